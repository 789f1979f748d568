//! `ecs:ListTasks` and `ecs:DescribeTasks` together: the runs of this tool that have a task in a cluster.

use std::collections::BTreeSet;

use aws_sdk_ecs::types::Task;
use fargate_contract::grant;

use super::describe_tasks::fleet::describe_with_tags;
use super::list_tasks::list_tasks;
use super::{Aws, ServiceError};

/// Names of the runs whose task is meant to run, or has not stopped yet. A cluster that is not there has none.
///
/// # Errors
/// [`ServiceError`].
pub async fn list_runs(aws: &Aws, cluster: &str, started_by: &str) -> Result<BTreeSet<String>, ServiceError> {
    let arns = match list_tasks(aws, cluster, started_by).await {
        Ok(arns) => arns,
        Err(error) if error.code() == Some("ClusterNotFoundException") => return Ok(BTreeSet::new()),
        Err(error) => return Err(error),
    };
    let tasks = describe_with_tags(aws, cluster, &arns).await?;
    Ok(tasks.iter().filter(|task| task.last_status() != Some("STOPPED")).filter_map(run).collect())
}

/// The run is named in the grant, which a task keeps, and in a tag, which it may never have had.
fn run(task: &Task) -> Option<String> {
    let containers = task.overrides().into_iter().flat_map(|overrides| overrides.container_overrides());
    let mut variables = containers.flat_map(|container| container.environment());
    let granted = variables.find(|variable| variable.name() == Some(grant::RUN)).and_then(|variable| variable.value());
    let mut tags = task.tags().iter();
    let tagged = || tags.find(|tag| tag.key() == Some("fargate-login:run")).and_then(|tag| tag.value());
    granted.or_else(tagged).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::canned::answering;
    use super::*;

    fn task(status: &str, granted: &str, tagged: &str) -> Value {
        json!({
            "lastStatus": status,
            "overrides": {"containerOverrides": [{"name": "cli", "environment": [{"name": granted, "value": "granted"}]}]},
            "tags": [{"key": "fargate-login:run", "value": tagged}],
        })
    }

    #[tokio::test]
    async fn runs_are_known_by_grant_or_tag_until_their_task_has_stopped() {
        let (aws, asked) = answering(|operation, _| match operation {
            "ListTasks" => (200, json!({"taskArns": ["a:1", "a:2", "a:3"]})),
            _ => {
                let stopped = task("STOPPED", "A", "stopped");
                (200, json!({"tasks": [task("RUNNING", grant::RUN, "x"), task("STOPPING", "A", "tagged"), stopped]}))
            }
        });
        let runs = list_runs(&aws, "shop", "us").await.expect("runs");
        assert_eq!(runs, BTreeSet::from(["granted".to_owned(), "tagged".to_owned()]));
        assert_eq!(asked.operations(), ["ListTasks", "DescribeTasks"]);
    }

    #[tokio::test]
    async fn a_cluster_that_is_gone_has_no_runs() {
        let (aws, _) = answering(|_, _| (400, json!({"__type": "ClusterNotFoundException", "message": "no"})));
        assert_eq!(list_runs(&aws, "shop", "us").await, Ok(BTreeSet::new()));
    }
}

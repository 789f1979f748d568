//! `ecs:ListTasks`: ARNs of a cluster's tasks, those of one tool or those of everybody.

use aws_sdk_ecs::types::DesiredStatus;

use super::{Aws, ServiceError};

/// Which of everybody's tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Name of their service.
    pub service: Option<String>,
    /// Those that have stopped, which ECS knows for about an hour, instead of those that are meant to run.
    pub stopped: bool,
}

/// Everybody's tasks that pass the filter.
///
/// # Errors
/// [`ServiceError`]; `ServiceNotFoundException` when the cluster has no such service.
pub async fn list_all_tasks(aws: &Aws, cluster: &str, filter: &TaskFilter) -> Result<Vec<String>, ServiceError> {
    // RUNNING takes in what is on its way there (ECS API reference, ListTasks).
    let status = if filter.stopped { DesiredStatus::Stopped } else { DesiredStatus::Running };
    let call = aws.ecs.list_tasks().cluster(cluster).desired_status(status).set_service_name(filter.service.clone());
    let mut pages = call.into_paginator().items().send();
    let mut arns = Vec::new();
    while let Some(arn) = pages.next().await {
        arns.push(arn.map_err(|error| ServiceError::new("ecs:ListTasks", &error))?);
    }
    Ok(arns)
}

/// Tasks with this `startedBy`, in every state before somebody wants them stopped: the API takes no second filter beside it
/// (ECS API reference, ListTasks), and its default is a desired status of RUNNING.
///
/// # Errors
/// [`ServiceError`].
pub async fn list_tasks(aws: &Aws, cluster: &str, started_by: &str) -> Result<Vec<String>, ServiceError> {
    let mut pages = aws.ecs.list_tasks().cluster(cluster).started_by(started_by).into_paginator().items().send();
    let mut arns = Vec::new();
    while let Some(arn) = pages.next().await {
        arns.push(arn.map_err(|error| ServiceError::new("ecs:ListTasks", &error))?);
    }
    Ok(arns)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;
    use crate::error::Advice as _;

    #[tokio::test]
    async fn all_pages_are_read_and_started_by_is_the_only_filter() {
        let (aws, asked) = answering(|_, request| match request.get("nextToken") {
            None => (200, json!({"taskArns": ["a:task/shop/1"], "nextToken": "2"})),
            Some(_) => (200, json!({"taskArns": ["a:task/shop/2"]})),
        });
        assert_eq!(list_tasks(&aws, "shop", "us").await.expect("ARNs"), ["a:task/shop/1", "a:task/shop/2"]);
        assert_eq!(asked.all()[0].1, json!({"cluster": "shop", "startedBy": "us"}));
        assert_eq!(asked.all()[1].1, json!({"cluster": "shop", "startedBy": "us", "nextToken": "2"}));
    }

    #[tokio::test]
    async fn everybodys_tasks_are_listed_by_service_and_by_what_they_are_meant_to_be() {
        let (aws, asked) = answering(|_, request| match request.get("nextToken") {
            None => (200, json!({"taskArns": ["a:task/shop/1"], "nextToken": "2"})),
            Some(_) => (200, json!({"taskArns": ["a:task/shop/2"]})),
        });
        let of_web = TaskFilter { service: Some("web".to_owned()), stopped: true };
        assert_eq!(list_all_tasks(&aws, "shop", &of_web).await.expect("ARNs").len(), 2);
        let request = json!({"cluster": "shop", "serviceName": "web", "desiredStatus": "STOPPED"});
        assert_eq!(asked.all()[0].1, request);
        list_all_tasks(&aws, "shop", &TaskFilter::default()).await.expect("ARNs");
        assert_eq!(asked.all()[2].1, json!({"cluster": "shop", "desiredStatus": "RUNNING"}));
    }

    #[tokio::test]
    async fn a_cluster_that_is_not_there_is_advised_on() {
        let (aws, _) = answering(|_, _| (400, json!({"__type": "ClusterNotFoundException", "message": "no"})));
        let error = list_tasks(&aws, "shop", "us").await.expect_err("refused");
        assert!(error.hints()[0].contains("-cluster"), "{:?}", error.hints());
    }
}

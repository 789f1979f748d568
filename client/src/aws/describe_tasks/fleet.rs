//! Many tasks at once, with their tags and what their runs were granted: how `ps`, `stop` and `gc` look at them.

use aws_sdk_ecs::types::{Task, TaskField};
use fargate_contract::{Grant, grant};

use super::TaskState;
use crate::aws::{Aws, ServiceError, last_part};
use crate::price::Size;

/// Most tasks of one call (ECS API reference, DescribeTasks).
const TASKS_MAX: usize = 100;
/// Capacity provider of Fargate Spot.
const SPOT: &str = "FARGATE_SPOT";

/// A task as its fleet sees it.
#[derive(Clone, Debug)]
pub struct FleetTask {
    /// Its ARN.
    pub arn: String,
    /// `family:revision` of its task definition.
    pub task_definition: String,
    /// `startedBy`.
    pub started_by: Option<String>,
    /// Where it stands, with the state of the container that was granted something.
    pub state: TaskState,
    /// What its run was granted, less the host key's seed; `None` for tasks that are not of this tool's making.
    pub grant: Option<Grant>,
    /// Value of the tag `fargate-login:caller`; ECS deletes a task's tags when it is stopped.
    pub caller: Option<String>,
    /// What is paid for, without a public address.
    pub size: Option<Size>,
    /// Whether it runs on Fargate Spot, which costs less.
    pub spot: bool,
}

/// Looks at tasks of one cluster. What ECS does not know (any more) is left out.
///
/// # Errors
/// [`ServiceError`].
pub async fn describe_fleet(aws: &Aws, cluster: &str, arns: &[String]) -> Result<Vec<FleetTask>, ServiceError> {
    let tasks = describe_with_tags(aws, cluster, arns).await?;
    Ok(tasks.iter().filter_map(FleetTask::read).collect())
}

/// Tasks of one cluster as ECS tells them, their tags included, asked for a hundred at a time.
///
/// # Errors
/// [`ServiceError`].
pub(crate) async fn describe_with_tags(aws: &Aws, cluster: &str, arns: &[String]) -> Result<Vec<Task>, ServiceError> {
    let mut found = Vec::with_capacity(arns.len());
    for batch in arns.chunks(TASKS_MAX) {
        let call = aws.ecs.describe_tasks().cluster(cluster).set_tasks(Some(batch.to_vec())).include(TaskField::Tags);
        let reply = call.send().await.map_err(|error| ServiceError::new("ecs:DescribeTasks", &error))?;
        found.extend(reply.tasks.unwrap_or_default());
    }
    Ok(found)
}

impl FleetTask {
    fn read(task: &Task) -> Option<Self> {
        let (container, grant) = granted(task).unzip();
        let state = TaskState::read(task, container.unwrap_or_default());
        let storage = task.ephemeral_storage().and_then(|storage| u32::try_from(storage.size_in_gib()).ok());
        let is_arm = task
            .attributes()
            .iter()
            .any(|known| known.name() == "ecs.cpu-architecture" && known.value() == Some("arm64"));
        let size = Size::read(state.cpu.as_deref(), state.memory.as_deref(), storage, false);
        let caller = task.tags().iter().find(|tag| tag.key() == Some("fargate-login:caller"));
        let definition = task.task_definition_arn().unwrap_or_default();
        Some(Self {
            arn: task.task_arn()?.to_owned(),
            task_definition: last_part(definition).to_owned(),
            started_by: task.started_by().map(str::to_owned),
            state,
            grant,
            caller: caller.and_then(|tag| tag.value()).map(str::to_owned),
            size: size.map(|size| Size { arm64: is_arm, ..size }),
            spot: task.capacity_provider_name() == Some(SPOT),
        })
    }
}

/// The container that was granted something, and what. A grant without a run's name is the ancestor's, whose containers know no
/// limits.
fn granted(task: &Task) -> Option<(&str, Grant)> {
    task.overrides()?.container_overrides().iter().find_map(|container| {
        let lookup = |name: &str| {
            // Nobody here needs the seed.
            let variable =
                container.environment().iter().find(|known| known.name() == Some(name) && name != grant::HOST_SEED);
            variable.and_then(|known| known.value()).map(str::to_owned)
        };
        let grant = Grant::from_env(lookup).ok().filter(|grant| grant.run.is_some())?;
        Some((container.name()?, grant))
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fargate_contract::HostSeed;
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::canned::answering;

    /// A task that was launched with this grant.
    fn task(id: &str, grant: &Grant) -> Value {
        let environment = grant.to_env().expect("an ed25519 key").into_iter();
        let environment: Vec<_> = environment.map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({
            "taskArn": format!("a:task/shop/{id}"), "taskDefinitionArn": "a:task-definition/cli:7", "startedBy": "us",
            "lastStatus": "RUNNING", "desiredStatus": "RUNNING", "createdAt": 1000.5, "cpu": "256", "memory": "512",
            "ephemeralStorage": {"sizeInGiB": 30}, "capacityProviderName": "FARGATE_SPOT",
            "attributes": [{"name": "ecs.cpu-architecture", "value": "arm64"}],
            "overrides": {"containerOverrides": [{"name": "aws-guardduty-agent"}, {"name": "cli", "environment": environment}]},
            "containers": [{"name": "cli", "lastStatus": "RUNNING"}],
            "tags": [{"key": "fargate-login:caller", "value": "arn:aws:iam::1:user/jane"}],
        })
    }

    fn grant() -> Grant {
        let seed = HostSeed::new([7; 32]);
        Grant {
            max_lifetime: Duration::from_secs(90),
            run: Some("r-1".to_owned()),
            host_seed: Some(seed.clone()),
            ..Grant::new(seed.public_key())
        }
    }

    #[tokio::test]
    async fn tasks_are_asked_for_by_the_hundred_with_their_tags() {
        let (aws, asked) = answering(|_, request| {
            let tasks = request["tasks"].as_array().expect("a list").iter();
            let tasks: Vec<_> = tasks.map(|id| task(id.as_str().expect("an id"), &grant())).collect();
            (200, json!({"tasks": tasks}))
        });
        let arns: Vec<_> = (0..201).map(|number| number.to_string()).collect();
        assert_eq!(describe_fleet(&aws, "shop", &arns).await.expect("tasks").len(), 201);
        let asked = asked.all();
        let sizes: Vec<_> = asked.iter().map(|(_, request)| request["tasks"].as_array().map(Vec::len)).collect();
        assert_eq!(sizes, [Some(100), Some(100), Some(1)]);
        assert!(asked.iter().all(|(_, request)| request["include"] == json!(["TAGS"])));
    }

    #[tokio::test]
    async fn what_was_granted_is_read_and_the_seed_is_not() {
        let (aws, _) = answering(|_, _| (200, json!({"tasks": [task("1", &grant())]})));
        let found = describe_fleet(&aws, "shop", &["1".to_owned()]).await.expect("tasks").remove(0);
        let granted = found.grant.expect("a grant");
        assert_eq!((granted.max_lifetime.as_secs(), granted.run.as_deref()), (90, Some("r-1")));
        assert!(granted.host_seed.is_none());
        assert_eq!(found.caller.as_deref(), Some("arn:aws:iam::1:user/jane"));
        assert_eq!((found.task_definition.as_str(), found.spot), ("cli:7", true));
        let size = found.size.expect("a size");
        assert_eq!((size.cpu, size.memory, size.storage, size.arm64, size.public_ipv4), (256, 512, 30, true, false));
    }

    #[tokio::test]
    async fn a_grant_without_a_name_is_somebody_elses() {
        let ancestor = Grant { run: None, ..grant() };
        let (aws, _) = answering(move |_, _| (200, json!({"tasks": [task("1", &ancestor)]})));
        let found = describe_fleet(&aws, "shop", &["1".to_owned()]).await.expect("tasks").remove(0);
        assert!(found.grant.is_none());
    }
}

//! Tasks as somebody looks at them who wants to choose one: where they stand and can be reached, and what is known of each container.

use std::net::IpAddr;

use aws_sdk_ecs::types::{Attachment, Container, ManagedAgent, Task, TaskField};
use aws_smithy_types::DateTime;

use super::{INTERFACE_TYPES, detail, seconds};
use crate::aws::run_task::Tag;
use crate::aws::{Aws, ServiceError};

/// Most tasks of one call (ECS API reference, DescribeTasks).
pub const TASKS_MAX: usize = 100;
/// The agent behind ExecuteCommand (ECS API reference, ManagedAgent).
const EXEC_AGENT: &str = "ExecuteCommandAgent";

/// A task, whoever has launched it. What overrides hold is left out: that may be somebody's secret.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListedTask {
    /// `taskArn`.
    pub arn: String,
    /// `clusterArn`.
    pub cluster_arn: String,
    /// `taskDefinitionArn`.
    pub task_definition_arn: String,
    /// `group`: `service:NAME`, `family:NAME` or what RunTask was told.
    pub group: Option<String>,
    /// `startedBy`.
    pub started_by: Option<String>,
    /// `lastStatus`; new words are to be expected.
    pub last_status: String,
    /// RUNNING or STOPPED.
    pub desired_status: String,
    /// `healthStatus`.
    pub health_status: Option<String>,
    /// `enableExecuteCommand`.
    pub exec: bool,
    /// `FARGATE`, `EC2` or `EXTERNAL`.
    pub launch_type: Option<String>,
    /// `capacityProviderName`.
    pub capacity_provider: Option<String>,
    /// `platformVersion`.
    pub platform_version: Option<String>,
    /// `availabilityZone`.
    pub availability_zone: Option<String>,
    /// CPU units, as text.
    pub cpu: Option<String>,
    /// Memory in MiB, as text.
    pub memory: Option<String>,
    /// Ephemeral storage in GiB.
    pub storage: Option<i32>,
    /// Its network interface, once there is one and while it is not deleted.
    pub interface: Option<Interface>,
    /// When RunTask was taken, in seconds since the epoch.
    pub created_at: Option<f64>,
    /// When it was RUNNING.
    pub started_at: Option<f64>,
    /// When it was STOPPED.
    pub stopped_at: Option<f64>,
    /// `stopCode`.
    pub stop_code: Option<String>,
    /// `stoppedReason`.
    pub stopped_reason: Option<String>,
    /// Its tags; ECS deletes them when it is stopped.
    pub tags: Vec<Tag>,
    /// Its containers, in ECS's order.
    pub containers: Vec<ListedContainer>,
}

/// A network interface of a task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its id.
    pub id: String,
    /// Id of its subnet.
    pub subnet: Option<String>,
    /// Its private IPv4 address.
    pub private_ipv4: Option<IpAddr>,
    /// Its IPv6 address.
    pub ipv6: Option<IpAddr>,
    /// Its public IPv4 address, which EC2 alone tells.
    pub public_ipv4: Option<IpAddr>,
}

/// A container of a task.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListedContainer {
    /// Its name in the task definition.
    pub name: String,
    /// Image reference.
    pub image: Option<String>,
    /// Digest of that image, once it was pulled.
    pub image_digest: Option<String>,
    /// The runtime's id, once it was made.
    pub runtime_id: Option<String>,
    /// PENDING, RUNNING or STOPPED.
    pub last_status: Option<String>,
    /// `healthStatus`.
    pub health_status: Option<String>,
    /// Its exit code, once it ran and ended.
    pub exit_code: Option<i32>,
    /// What ECS says about its end or its failure to start.
    pub reason: Option<String>,
    /// The agent behind ExecuteCommand, where ECS names one.
    pub exec_agent: Option<ExecAgent>,
}

/// The agent behind ExecuteCommand in one container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ExecAgent {
    /// PENDING, RUNNING or STOPPED.
    pub last_status: String,
    /// Why it does not run.
    pub reason: Option<String>,
    /// When it last started, in seconds since the epoch.
    pub last_started_at: Option<f64>,
}

/// Looks at no more than [`TASKS_MAX`] tasks of one cluster, named by id or ARN. What ECS does not know (any more) is left out.
///
/// # Errors
/// [`ServiceError`].
pub async fn describe_listed(aws: &Aws, cluster: &str, names: &[String]) -> Result<Vec<ListedTask>, ServiceError> {
    let call = aws.ecs.describe_tasks().cluster(cluster).set_tasks(Some(names.to_vec()));
    let reply = call.include(TaskField::Tags).send().await;
    let reply = reply.map_err(|error| ServiceError::new("ecs:DescribeTasks", &error))?;
    Ok(reply.tasks().iter().map(ListedTask::read).collect())
}

impl ListedTask {
    fn read(task: &Task) -> Self {
        let interface = task.attachments().iter().find(|attachment| {
            INTERFACE_TYPES.contains(&attachment.r#type().unwrap_or_default()) && attachment.status() != Some("DELETED")
        });
        Self {
            arn: task.task_arn().unwrap_or_default().to_owned(),
            cluster_arn: task.cluster_arn().unwrap_or_default().to_owned(),
            task_definition_arn: task.task_definition_arn().unwrap_or_default().to_owned(),
            group: text(task.group()),
            started_by: text(task.started_by()),
            last_status: task.last_status().unwrap_or_default().to_owned(),
            desired_status: task.desired_status().unwrap_or_default().to_owned(),
            health_status: text(task.health_status().map(|status| status.as_str())),
            exec: task.enable_execute_command(),
            launch_type: text(task.launch_type().map(|launch_type| launch_type.as_str())),
            capacity_provider: text(task.capacity_provider_name()),
            platform_version: text(task.platform_version()),
            availability_zone: text(task.availability_zone()),
            cpu: text(task.cpu()),
            memory: text(task.memory()),
            storage: task.ephemeral_storage().map(|storage| storage.size_in_gib()),
            interface: interface.and_then(|attachment| Interface::read(attachment, task)),
            created_at: seconds(task.created_at()),
            started_at: seconds(task.started_at()),
            stopped_at: seconds(task.stopped_at()),
            stop_code: text(task.stop_code().map(|code| code.as_str())),
            stopped_reason: text(task.stopped_reason()),
            tags: task.tags().iter().filter_map(Tag::read).collect(),
            containers: task.containers().iter().map(ListedContainer::read).collect(),
        }
    }
}

impl Interface {
    fn read(attachment: &Attachment, task: &Task) -> Option<Self> {
        let mut of_containers = task.containers().iter().flat_map(Container::network_interfaces);
        let ipv6 = of_containers.find_map(|known| known.ipv6_address()).or(detail(attachment, "ipv6Address"));
        Some(Self {
            id: detail(attachment, "networkInterfaceId")?.to_owned(),
            subnet: text(detail(attachment, "subnetId")),
            private_ipv4: detail(attachment, "privateIPv4Address").and_then(|address| address.parse().ok()),
            ipv6: ipv6.and_then(|address| address.parse().ok()),
            public_ipv4: None,
        })
    }
}

impl ListedContainer {
    fn read(container: &Container) -> Self {
        Self {
            name: container.name().unwrap_or_default().to_owned(),
            image: text(container.image()),
            image_digest: text(container.image_digest()),
            runtime_id: text(container.runtime_id()),
            last_status: text(container.last_status()),
            health_status: text(container.health_status().map(|status| status.as_str())),
            exit_code: container.exit_code(),
            reason: text(container.reason()),
            exec_agent: ExecAgent::of(container),
        }
    }
}

impl ExecAgent {
    /// That of a container, if ECS names one.
    pub(super) fn of(container: &Container) -> Option<Self> {
        let is_meant = |agent: &&ManagedAgent| agent.name().is_some_and(|name| name.as_str() == EXEC_AGENT);
        container.managed_agents().iter().find(is_meant).map(Self::read)
    }

    fn read(agent: &ManagedAgent) -> Self {
        Self {
            last_status: agent.last_status().unwrap_or_default().to_owned(),
            reason: text(agent.reason()),
            last_started_at: agent.last_started_at().map(DateTime::as_secs_f64),
        }
    }
}

/// Text that says something.
fn text(given: Option<&str>) -> Option<String> {
    given.filter(|text| !text.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::canned::answering;

    fn task() -> Value {
        let details = [("networkInterfaceId", "eni-1"), ("subnetId", "subnet-1"), ("privateIPv4Address", "10.0.1.7")];
        let details: Vec<_> = details.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({
            "taskArn": "a:task/shop/1", "clusterArn": "a:cluster/shop", "taskDefinitionArn": "a:task-definition/web:7",
            "group": "service:web", "lastStatus": "RUNNING", "desiredStatus": "RUNNING", "enableExecuteCommand": true,
            "healthStatus": "HEALTHY", "launchType": "FARGATE", "stoppedReason": "", "createdAt": 1000.5,
            "ephemeralStorage": {"sizeInGiB": 30}, "tags": [{"key": "team", "value": "a"}],
            "overrides": {"containerOverrides": [{"name": "app", "environment": [{"name": "A", "value": "hush"}]}]},
            "attachments": [
                {"type": "AmazonElasticBlockStorage", "status": "ATTACHED", "details": []},
                {"type": "ElasticNetworkInterface", "status": "ATTACHED", "details": details},
            ],
            "containers": [
                {"name": "app", "image": "web:7", "runtimeId": "1-0", "lastStatus": "RUNNING",
                 "networkInterfaces": [{"ipv6Address": "2001:db8::7"}],
                 "managedAgents": [{"name": "ExecuteCommandAgent", "lastStatus": "STOPPED", "reason": "no", "lastStartedAt": 1001.5}]},
                {"name": "aws-guardduty-agent-1", "lastStatus": "STOPPED", "exitCode": 9},
            ],
        })
    }

    #[tokio::test]
    async fn what_one_chooses_by_is_read_and_overrides_are_not() {
        let (aws, asked) = answering(|_, _| (200, json!({"tasks": [task()], "failures": []})));
        let found = describe_listed(&aws, "shop", &["1".to_owned()]).await.expect("tasks").remove(0);
        let interface = found.interface.as_ref().expect("an interface");
        assert_eq!((interface.id.as_str(), interface.subnet.as_deref()), ("eni-1", Some("subnet-1")));
        assert_eq!(interface.private_ipv4, Some("10.0.1.7".parse().expect("an address")));
        assert_eq!(interface.ipv6, Some("2001:db8::7".parse().expect("an address")));
        let agent = found.containers[0].exec_agent.as_ref().expect("an agent");
        assert_eq!((agent.last_status.as_str(), agent.reason.as_deref()), ("STOPPED", Some("no")));
        assert_eq!((found.containers[1].exit_code, &found.containers[1].exec_agent), (Some(9), &None));
        assert_eq!((found.exec, found.stopped_reason.as_deref(), found.storage), (true, None, Some(30)));
        assert!(!format!("{found:?}").contains("hush"));
        assert_eq!(asked.all()[0].1, json!({"cluster": "shop", "tasks": ["1"], "include": ["TAGS"]}));
    }
}

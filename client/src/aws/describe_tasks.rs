//! `ecs:DescribeTasks`: where the task stands. Containers are found by name, attachments by type, details by name: order
//! says nothing, and AWS adds containers of its own.

pub mod fleet;
pub mod listed;

use std::net::IpAddr;

use aws_sdk_ecs::types::{Attachment, Container, Task};
use aws_smithy_types::DateTime;

use super::{Aws, ServiceError};
use listed::ExecAgent;

/// The attachment of the task's network interface; the API says the long name, events say the short one.
const INTERFACE_TYPES: [&str; 2] = ["ElasticNetworkInterface", "eni"];

/// What one look at the task showed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskState {
    /// PROVISIONING, PENDING, RUNNING ... as ECS spells it; new words are to be expected.
    pub last_status: String,
    /// RUNNING or STOPPED.
    pub desired_status: String,
    /// Why it stopped, as a code.
    pub stop_code: Option<String>,
    /// Why it stopped, in words.
    pub stopped_reason: Option<String>,
    /// Reason and exit code of the container that carries the SSH server.
    pub container: ContainerState,
    /// Another container that failed before that one ran, which may have waited for it: its name and state.
    pub failed_before: Option<(String, ContainerState)>,
    /// Id of the network interface, once there is one and while it is not deleted.
    pub network_interface: Option<String>,
    /// Its private IPv4 address.
    pub private_ipv4: Option<IpAddr>,
    /// Its IPv6 address, if the container shows one.
    pub ipv6: Option<IpAddr>,
    /// Task CPU in CPU units, as text.
    pub cpu: Option<String>,
    /// Task memory in MiB, as text.
    pub memory: Option<String>,
    /// The runtime's id of the container that carries the SSH server, once it was made.
    pub runtime_id: Option<String>,
    /// The agent behind ExecuteCommand in that container, where ECS puts one.
    pub agent: Option<ExecAgent>,
    /// When ECS did what.
    pub times: Times,
}

/// The container's own part.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerState {
    /// Its status.
    pub last_status: Option<String>,
    /// Its exit code, once it ran and ended.
    pub exit_code: Option<i32>,
    /// What ECS says about its end or its failure to start.
    pub reason: Option<String>,
}

/// ECS's own timestamps, seconds since the epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Times {
    /// RunTask was taken.
    pub created_at: Option<f64>,
    /// The network interface was connected.
    pub connectivity_at: Option<f64>,
    /// The image pull began.
    pub pull_started_at: Option<f64>,
    /// The image pull ended.
    pub pull_stopped_at: Option<f64>,
    /// The task was RUNNING.
    pub started_at: Option<f64>,
}

/// One look at one task; `None` while (or once) ECS does not know it.
///
/// # Errors
/// [`ServiceError`].
pub async fn describe_task(
    aws: &Aws,
    cluster: &str,
    task_arn: &str,
    container: &str,
) -> Result<Option<TaskState>, ServiceError> {
    let reply = aws.ecs.describe_tasks().cluster(cluster).tasks(task_arn).send().await;
    let reply = reply.map_err(|error| ServiceError::new("ecs:DescribeTasks", &error))?;
    Ok(reply.tasks().iter().find(|task| task.task_arn() == Some(task_arn)).map(|task| TaskState::read(task, container)))
}

impl TaskState {
    /// Reads the parts that we act on.
    #[must_use]
    pub fn read(task: &Task, container_name: &str) -> Self {
        let container = task.containers().iter().find(|container| container.name() == Some(container_name));
        let own = container.map(ContainerState::read).unwrap_or_default();
        let attachment = task.attachments().iter().find(|attachment| {
            let kind = attachment.r#type().unwrap_or_default();
            INTERFACE_TYPES.contains(&kind) && attachment.status() != Some("DELETED")
        });
        let detail = |name| attachment.and_then(|attachment| detail(attachment, name));
        let on_container = container.and_then(|container| container.network_interfaces().first());
        Self {
            last_status: task.last_status().unwrap_or_default().to_owned(),
            desired_status: task.desired_status().unwrap_or_default().to_owned(),
            stop_code: task.stop_code().map(|code| code.as_str().to_owned()),
            stopped_reason: task.stopped_reason().filter(|reason| !reason.is_empty()).map(str::to_owned),
            failed_before: if own.has_ended() { None } else { failed(task, container_name) },
            container: own,
            network_interface: detail("networkInterfaceId").map(str::to_owned),
            private_ipv4: detail("privateIPv4Address").and_then(|text| text.parse().ok()),
            ipv6: on_container.and_then(|interface| interface.ipv6_address()).and_then(|text| text.parse().ok()),
            cpu: task.cpu().map(str::to_owned),
            memory: task.memory().map(str::to_owned),
            runtime_id: container.and_then(Container::runtime_id).map(str::to_owned),
            agent: container.and_then(ExecAgent::of),
            times: Times {
                created_at: seconds(task.created_at()),
                connectivity_at: seconds(task.connectivity_at()),
                pull_started_at: seconds(task.pull_started_at()),
                pull_stopped_at: seconds(task.pull_stopped_at()),
                started_at: seconds(task.started_at()),
            },
        }
    }

    /// Whether the task is over or on its way there: a Spot notice shows RUNNING with a desired STOPPED.
    #[must_use]
    pub fn is_ending(&self) -> bool {
        self.desired_status == "STOPPED" || self.last_status == "STOPPED"
    }

    /// Whether the agent behind ExecuteCommand takes sessions.
    #[must_use]
    pub fn is_agent_running(&self) -> bool {
        self.agent.as_ref().is_some_and(|agent| agent.last_status == "RUNNING")
    }

    /// The phase as a user follows it: the image pull is a part of PENDING that ECS does not name.
    #[must_use]
    pub fn phase(&self) -> &str {
        match (self.last_status.as_str(), self.times.pull_started_at, self.times.pull_stopped_at) {
            ("PENDING", Some(_), None) => "PULLING",
            ("PENDING", Some(_), Some(_)) => "STARTING",
            (status, ..) => status,
        }
    }
}

impl ContainerState {
    fn read(container: &Container) -> Self {
        Self {
            last_status: container.last_status().map(str::to_owned),
            exit_code: container.exit_code(),
            reason: container.reason().filter(|reason| !reason.is_empty()).map(str::to_owned),
        }
    }

    fn has_ended(&self) -> bool {
        self.exit_code.is_some() || self.reason.is_some()
    }
}

fn failed(task: &Task, except: &str) -> Option<(String, ContainerState)> {
    let others = task.containers().iter().filter(|container| container.name() != Some(except));
    let mut states = others.map(|other| (other.name().unwrap_or_default().to_owned(), ContainerState::read(other)));
    states.find(|(_, state)| state.exit_code.is_some_and(|code| code != 0) || state.reason.is_some())
}

fn detail<'a>(attachment: &'a Attachment, name: &str) -> Option<&'a str> {
    attachment.details().iter().find(|pair| pair.name() == Some(name)).and_then(|pair| pair.value())
}

fn seconds(time: Option<&DateTime>) -> Option<f64> {
    time.map(DateTime::as_secs_f64)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::{KeyValuePair, NetworkInterface};

    use super::*;

    fn attachment(kind: &str, status: &str, details: &[(&str, &str)]) -> Attachment {
        let details = details.iter().map(|(name, value)| KeyValuePair::builder().name(*name).value(*value).build());
        Attachment::builder().r#type(kind).status(status).set_details(Some(details.collect())).build()
    }

    #[test]
    fn the_interface_is_found_by_type_and_its_details_by_name() {
        let task = Task::builder()
            .last_status("PENDING")
            .desired_status("RUNNING")
            .attachments(attachment("AmazonElasticBlockStorage", "ATTACHED", &[("volumeId", "vol-1")]))
            .attachments(attachment(
                "ElasticNetworkInterface",
                "ATTACHED",
                &[("privateIPv4Address", "10.0.1.7"), ("networkInterfaceId", "eni-1"), ("subnetId", "subnet-1")],
            ))
            .containers(Container::builder().name("aws-guardduty-agent-1").exit_code(9).build())
            .containers(
                Container::builder()
                    .name("cli")
                    .network_interfaces(NetworkInterface::builder().ipv6_address("2001:db8::7").build())
                    .build(),
            )
            .pull_started_at(DateTime::from_secs(1))
            .build();
        let state = TaskState::read(&task, "cli");
        assert_eq!(state.network_interface.as_deref(), Some("eni-1"));
        assert_eq!(state.private_ipv4, Some("10.0.1.7".parse().expect("an address")));
        assert_eq!(state.ipv6, Some("2001:db8::7".parse().expect("an address")));
        assert_eq!((state.container.exit_code, state.phase()), (None, "PULLING"));
    }

    #[test]
    fn what_the_container_waited_for_is_told_when_it_never_ran() {
        let carrier = Container::builder().name("fargate-login-init").exit_code(1).reason("no").build();
        let task = |own: Container| Task::builder().containers(own).containers(carrier.clone()).build();
        let state = TaskState::read(&task(Container::builder().name("app").build()), "app");
        let (name, failed) = state.failed_before.expect("the carrier");
        assert_eq!(
            (name.as_str(), failed.exit_code, failed.reason.as_deref()),
            ("fargate-login-init", Some(1), Some("no"))
        );
        let state = TaskState::read(&task(Container::builder().name("app").exit_code(0).build()), "app");
        assert_eq!(state.failed_before, None);
    }

    #[test]
    fn the_interface_of_a_stopped_task_is_not_taken_as_live() {
        let task = Task::builder()
            .last_status("STOPPED")
            .attachments(attachment("ElasticNetworkInterface", "DELETED", &[("networkInterfaceId", "eni-1")]))
            .build();
        let state = TaskState::read(&task, "cli");
        assert!(state.is_ending());
        assert_eq!(state.network_interface, None);
    }
}

//! Whether ECS Exec gets one into a container, and by what name SSM knows it.

use crate::aws::describe_tasks::listed::{ListedContainer, ListedTask};
use crate::aws::last_part;

/// `lastStatus` of an agent that takes sessions.
const RUNNING: &str = "RUNNING";
/// That of one of which nothing is known yet.
const PENDING: &str = "PENDING";

/// Of a task: `no`, `yes`, `agent PENDING` where no container's agent runs, `1 of 2` where some do. Containers in which ECS puts no
/// agent do not count.
pub(super) fn of_task(task: &ListedTask) -> String {
    if !task.exec {
        return "no".to_owned();
    }
    let statuses: Vec<&str> = task.containers.iter().filter_map(status).collect();
    let running = statuses.iter().filter(|status| **status == RUNNING).count();
    match statuses.iter().find(|status| **status != RUNNING) {
        None if running == 0 => format!("agent {PENDING}"),
        None => "yes".to_owned(),
        Some(other) if running == 0 => format!("agent {other}"),
        Some(_) => format!("{running} of {}", statuses.len()),
    }
}

/// Of one container: `no`, `yes`, or how its agent stands.
pub(super) fn of_container(task: &ListedTask, container: &ListedContainer) -> String {
    match status(container) {
        _ if !task.exec => "no".to_owned(),
        None => "no agent".to_owned(),
        Some(RUNNING) => "yes".to_owned(),
        Some(other) => format!("agent {other}"),
    }
}

/// What SSM calls a container: `ecs:CLUSTER_TASK_RUNTIMEID`. `None` before the runtime has made it.
pub(super) fn target(task: &ListedTask, container: &ListedContainer) -> Option<String> {
    let runtime_id = container.runtime_id.as_deref()?;
    Some(format!("ecs:{}_{}_{runtime_id}", last_part(&task.cluster_arn), last_part(&task.arn)))
}

fn status(container: &ListedContainer) -> Option<&str> {
    container.exec_agent.as_ref().map(|agent| agent.last_status.as_str())
}

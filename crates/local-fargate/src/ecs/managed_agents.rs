//! `managedAgents`: the agent that ECS puts into containers which may be logged into, and how it gets on.

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::ssm::Agents;
use crate::task::{Container, Task};

/// The only one there is.
const NAME: &str = "ExecuteCommandAgent";

impl Container {
    /// Whether the agent in it takes sessions.
    pub(crate) fn is_agent_connected(&self, task: &Task) -> bool {
        task.launch.exec && self.ended.is_none() && self.agent_since(task).is_some()
    }

    /// When the agent connected, if it has, in seconds since the epoch.
    fn agent_since(&self, task: &Task) -> Option<f64> {
        let (at, since) = self.running_since?;
        (Instant::now() >= at + task.phases.agent).then_some(since + task.phases.agent.as_secs_f64())
    }
}

/// As DescribeTasks shows it; none for a task that was not launched with `enableExecuteCommand`.
pub(super) fn described(agents: &Agents, task: &Task, container: &Container) -> Option<Value> {
    if !task.launch.exec {
        return None;
    }
    let mut agent = json!({"name": NAME, "lastStatus": "PENDING"});
    if container.ended.is_some() || task.is_stopped() {
        // Whether it had connected or not.
        agent["lastStatus"] = "STOPPED".into();
    }
    if let Some(since) = container.agent_since(task) {
        if agent["lastStatus"] == "PENDING" {
            agent["lastStatus"] = "RUNNING".into();
        }
        agent["lastStartedAt"] = since.into();
        if let Some(reason) = &agents.stopped {
            agent["lastStatus"] = "STOPPED".into();
            agent["reason"] = reason.as_str().into();
        }
    }
    Some(json!([agent]))
}

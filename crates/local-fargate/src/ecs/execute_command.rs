//! `ExecuteCommand`: a session of Systems Manager's with a command in a container of a running task.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::fault::Fault;
use crate::lifecycle::State;
use crate::protocol::aws_json;
use crate::ssm::{self, Work, target};
use crate::state::Shared;
use crate::task::{Container, Task};

/// Ids of such sessions begin like this.
const PREFIX: &str = "ecs-execute-command-";
/// In ECS's words, its apostrophe included.
const NOT_ENABLED: &str = "The execute command failed because execute command was not enabled when the task was run or the execute command agent isn\u{2019}t running. Wait and try again or run a new task with execute command enabled and try again.";
const NOT_CONNECTED: &str = "The execute command failed due to an internal error. Try again later.";

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    cluster: Option<String>,
    task: Option<String>,
    container: Option<String>,
    command: Option<String>,
    interactive: Option<bool>,
}

/// Answers a call.
pub(super) fn call(shared: &Arc<Shared>, request: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(request)?;
    let command = request.command.filter(|command| !command.is_empty());
    let command = command.ok_or_else(|| ApiError::invalid("Command cannot be empty."))?;
    if request.interactive != Some(true) {
        return Err(ApiError::invalid("Interactive is the only mode supported currently."));
    }
    let (given, target, mut answer) = {
        let mut world = shared.lock();
        let cluster =
            shared.cluster_name(&world, request.cluster.as_deref()).ok_or_else(ApiError::cluster_not_found)?;
        let is_away = world.faults.take(|fault| matches!(fault, Fault::AgentNotConnected).then_some(())).is_some();
        let found = world.task(&cluster, request.task.as_deref().unwrap_or_default());
        let task = found.ok_or_else(|| ApiError::invalid("The referenced task was not found."))?;
        let container = choose(task, request.container.as_deref())?;
        let target = target::of_running(task, container).filter(|_| shared.config.agents.stopped.is_none());
        let target = target.ok_or_else(|| ApiError::invalid(NOT_ENABLED))?;
        if is_away {
            return Err(ApiError::new("TargetNotConnectedException", NOT_CONNECTED));
        }
        let answer = json!({
            "clusterArn": shared.arn(&format!("cluster/{cluster}")),
            "taskArn": task.arn,
            "containerArn": container.arn,
            "containerName": container.name,
            "interactive": true,
        });
        (format!("ecs:{cluster}_{}_{}", task.id, container.runtime_id), target, answer)
    };
    let session = ssm::start(shared, PREFIX, &given, target, Work::Interactive { command });
    let invitation = session.invitation(shared);
    answer["session"] = json!({
        "sessionId": invitation["SessionId"],
        "streamUrl": invitation["StreamUrl"],
        "tokenValue": invitation["TokenValue"],
    });
    Ok(answer)
}

/// The container of that name; without a name, the only one.
fn choose<'a>(task: &'a Task, name: Option<&str>) -> Result<&'a Container, ApiError> {
    if task.state != State::Running {
        return Err(ApiError::invalid(NOT_ENABLED));
    }
    match (name, task.containers.as_slice()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(ApiError::invalid("A container name is required: the task has more than one container.")),
        (Some(name), containers) => containers
            .iter()
            .find(|known| known.name == name)
            .ok_or_else(|| ApiError::invalid(format!("The container {name} was not found in the task {}.", task.id))),
    }
}

//! `ecs:ExecuteCommand`: a command in a container, by way of a session.

use super::start_session::granted;
use super::{Aws, ServiceError};
use crate::ssm::Session;
use crate::ssm::session::ecs_target;

const ACTION: &str = "ecs:ExecuteCommand";

/// What is run, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecuteCommandRequest {
    /// Cluster name or ARN.
    pub cluster: String,
    /// Id or ARN of the task.
    pub task: String,
    /// Name of the container.
    pub container: String,
    /// The container's `runtimeId` (DescribeTasks): part of what an encrypted session agrees upon.
    pub runtime_id: String,
    /// One line, split as a shell does and then run without one.
    pub command: String,
}

/// Starts a command on a terminal; the API knows no other way.
///
/// # Errors
/// [`ServiceError`]; `TargetNotConnectedException` when the container's agent is not there.
pub async fn execute_command(aws: &Aws, request: &ExecuteCommandRequest) -> Result<Session, ServiceError> {
    let call = aws.ecs.execute_command().cluster(&request.cluster).task(&request.task).container(&request.container);
    let sent = call.command(&request.command).interactive(true).send().await;
    let reply = sent.map_err(|error| ServiceError::new(ACTION, &error))?;
    let cluster = reply.cluster_arn().unwrap_or(&request.cluster);
    let task = reply.task_arn().unwrap_or(&request.task);
    let target = ecs_target(cluster, task, &request.runtime_id);
    let session = reply.session();
    granted(
        ACTION,
        session.and_then(|session| session.session_id()),
        session.and_then(|session| session.stream_url()),
        session.and_then(|session| session.token_value()),
        target,
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;
    use crate::error::Advice as _;

    fn request() -> ExecuteCommandRequest {
        ExecuteCommandRequest {
            cluster: "shop".to_owned(),
            task: "0123".to_owned(),
            container: "cli".to_owned(),
            runtime_id: "0123-456".to_owned(),
            command: "sh".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_command_is_a_session_to_its_container() {
        let (aws, asked) = answering(|_, _| {
            let session =
                json!({"sessionId": "ecs-execute-command-0a", "streamUrl": "wss://gateway/x", "tokenValue": "hush"});
            let cluster = "arn:aws:ecs:eu-west-1:000000000000:cluster/shop";
            let task = "arn:aws:ecs:eu-west-1:000000000000:task/shop/0123";
            (200, json!({"clusterArn": cluster, "taskArn": task, "interactive": true, "session": session}))
        });
        let session = execute_command(&aws, &request()).await.expect("a session");
        assert_eq!((session.id.as_str(), session.token.secret()), ("ecs-execute-command-0a", "hush"));
        assert_eq!(session.target, "ecs:shop_0123_0123-456");
        let expected =
            json!({"cluster": "shop", "container": "cli", "command": "sh", "interactive": true, "task": "0123"});
        assert_eq!(asked.all(), [("ExecuteCommand".to_owned(), expected)]);
    }

    #[tokio::test]
    async fn a_task_that_takes_no_commands_is_explained() {
        let message = "The execute command failed because execute command was not enabled when the task was run or the execute command agent isn't running.";
        for (code, message) in [("InvalidParameterException", message), ("TargetNotConnectedException", "no")] {
            let (aws, _) = answering(move |_, _| (400, json!({"__type": code, "message": message})));
            let error = execute_command(&aws, &request()).await.expect_err("refused");
            assert!(error.hints()[0].contains("ExecuteCommandAgent"), "{:?}", error.hints());
        }
    }
}

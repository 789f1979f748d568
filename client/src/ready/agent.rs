//! The agent that ECS puts beside the container for ECS Exec: without it there is no way through Systems Manager.

use tokio::sync::watch;

use super::sessions::Port;
use super::{ReadyError, Seen, Wait};
use crate::aws::describe_tasks::TaskState;
use crate::ssm::session::ecs_target;

/// What a user who waits is told.
pub(super) const PHASE: &str = "waiting for the ExecuteCommandAgent";
/// `lastStatus` of an agent (ECS API reference, ManagedAgent).
const RUNNING: &str = "RUNNING";
const STOPPED: &str = "STOPPED";

/// Waits until ECS says that the container's agent runs; the states come from the polling.
///
/// # Errors
/// [`ReadyError::AgentStopped`].
pub(super) async fn find(
    wait: Wait<'_>,
    mut states_rx: watch::Receiver<TaskState>,
    seen_tx: &watch::Sender<Seen>,
) -> Result<Port, ReadyError> {
    loop {
        let state = states_rx.borrow_and_update().clone();
        // The agent of a container that has ended stops with it: why that ended is what matters, and is told by the polling.
        let agent = state.agent.as_ref().filter(|_| !state.is_ending() && state.container.exit_code.is_none());
        if let Some(agent) = agent {
            seen_tx.send_modify(|seen| seen.agent = Some(agent.last_status.clone()));
            match (agent.last_status.as_str(), &state.runtime_id) {
                (RUNNING, Some(runtime_id)) => {
                    let target = ecs_target(&wait.task.cluster, &wait.task.arn, runtime_id);
                    let most = wait.plan.ssm_sessions;
                    return Ok(Port { target, port: wait.plan.port, most, sessions: wait.sessions.clone() });
                }
                (STOPPED, _) => return Err(ReadyError::AgentStopped { reason: agent.reason.clone() }),
                _ => {}
            }
        }
        if states_rx.changed().await.is_err() {
            // The polling has ended; its error ends the wait.
            std::future::pending::<()>().await;
        }
    }
}

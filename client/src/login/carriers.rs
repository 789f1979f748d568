//! The end of what carried connections through Systems Manager: after the connections, before the task.

use super::Run;
use crate::ready::sessions::Closed;
use crate::session;
use crate::ssm::SsmError;

/// Ends the run's sessions. Answers how the last one broke, if nobody had wanted it to end.
pub(super) async fn close(run: &Run<'_>) -> Option<SsmError> {
    if !run.plan.via.is_ssm() {
        return None;
    }
    let Closed { left, late, broken } = tokio::select! {
        closed = run.sessions.close() => closed,
        () = run.stop.second.cancelled() => {
            session::terminal::restore();
            run.ui.warn("leaving before all sessions of Systems Manager are known to have ended; they end with the task");
            return None;
        }
    };
    for (id, error) in left {
        run.ui.warn(&format!("session {id} could not be terminated ({error}); it ends with the task"));
    }
    if late > 0 {
        run.ui.warn(&format!(
            "sessions of Systems Manager that are not known to have ended: {late}; they end with the task"
        ));
    }
    broken
}

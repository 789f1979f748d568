//! What it takes to come back when a connection is lost: how to connect, whether there is still a task, and when to give up.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use tokio::time::sleep;

use super::SessionError;
use crate::ssh::{Connection, SshError};

/// First and longest pause between two attempts to come back; they double, with jitter.
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// The way back to a task.
pub trait WayBack {
    /// One attempt at another connection to the same host, with the same key.
    ///
    /// # Errors
    /// [`SshError`]; [`SshError::may_pass`] says whether another attempt makes sense.
    fn connect(&self) -> impl Future<Output = Result<Connection, SshError>>;

    /// Waits until it is known that the task has ended, which may be never.
    fn task_ended(&self) -> impl Future<Output = ()>;

    /// The connection is lost: what else uses it has to wait.
    fn lost(&self) {}

    /// This connection takes its place.
    ///
    /// # Errors
    /// Why what else uses it cannot go on.
    fn back(&self, _connection: &Connection) -> impl Future<Output = Result<(), SessionError>> {
        std::future::ready(Ok(()))
    }
}

/// Repeats `attempt` with growing pauses until it succeeds, makes no sense any more, the task has ended, or `grace` is over.
///
/// # Errors
/// [`SessionError`]; `cause`, how the connection was lost, where the task has ended: whoever hears of it asks how that ended.
pub async fn come_back<T, A: Future<Output = Result<T, SessionError>>>(
    attempt: impl FnMut() -> A,
    way: &impl WayBack,
    grace: Duration,
    cause: SshError,
) -> Result<T, SessionError> {
    way.lost();
    tracing::info!(%cause, "the connection is lost");
    let backoff = ExponentialBuilder::default().with_min_delay(RETRY_MIN).with_max_delay(RETRY_MAX).with_jitter();
    let attempts = attempt
        .retry(backoff.without_max_times())
        .when(|error| matches!(error, SessionError::Ssh(error) if error.may_pass()))
        .notify(|error, pause| tracing::debug!(%error, ?pause, "trying again"));
    tokio::select! {
        back = attempts => back,
        () = way.task_ended() => Err(cause.into()),
        () = sleep(grace) => Err(SessionError::NotResumed { after: grace, cause }),
    }
}

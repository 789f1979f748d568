//! What a session needs to know to come back when its connection is lost: how to connect, and whether there is still a task.

use crate::ssh::{Connection, SshError};

/// The way back to a task.
pub trait WayBack {
    /// One attempt at another connection to the same host, with the same key.
    ///
    /// # Errors
    /// [`SshError`]; [`SshError::may_pass`] says whether another attempt makes sense.
    fn connect(&self) -> impl Future<Output = Result<Connection, SshError>>;

    /// Waits until it is known that the task has ended, which may be never.
    fn task_ended(&self) -> impl Future<Output = ()>;
}

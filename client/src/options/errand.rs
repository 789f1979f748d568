//! What a run's connection is for.

use crate::files::CopyRequest;
use crate::forward::announce::Format;
use crate::forward::spec::Target;
use crate::openssh::door::Door;

/// What the connection is for. Whatever it is, the task is launched before and stopped after it.
///
/// `cli::errand` reads it off the flags, [`crate::plan::Plan`] hands it on, and `login::errand` runs it: a further errand is a variant
/// here and an arm there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Errand {
    /// A shell or a command of the remote, with our own standard streams.
    Session(RemoteCommand),
    /// Nothing but the forwards, until a signal.
    Hold(Format),
    /// Our standard input and output as one connection that the task makes.
    Stdio(Target),
    /// A program of this machine and its arguments, with the forwards up.
    Child(Vec<String>),
    /// Files between here and the task.
    Copy(CopyRequest),
    /// OpenSSH's connections, through this door: the connection is not ours then.
    OpenSsh(Door),
}

impl Errand {
    /// Whether another connection can go on where one was lost, though no session is kept for it.
    #[must_use]
    pub const fn outlives_its_connection(&self) -> bool {
        matches!(self, Self::Hold(_) | Self::Child(_))
    }
}

impl Default for Errand {
    fn default() -> Self {
        Self::Session(RemoteCommand::default())
    }
}

/// What to run at the remote.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RemoteCommand {
    /// The user's login shell.
    #[default]
    Shell,
    /// A program and its arguments, to arrive exactly as given.
    Argv(Vec<String>),
    /// A line for the remote shell.
    ShellCommand(String),
}

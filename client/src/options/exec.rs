//! What `exec` can be told.

use std::path::PathBuf;

use super::{Clusters, EscapeChar};
use crate::aws::config::Source;

/// A command in a task that runs already.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ExecOptions {
    /// Where to look for the task.
    pub clusters: Clusters,
    /// Name of the task's service.
    pub service: Option<String>,
    /// The task: an id, the beginning of one, or an ARN.
    pub task: Option<String>,
    /// Name of the container.
    pub container: Option<String>,
    /// Whether the wrapper that tells the exit status is left out, since the container has no shell for it.
    pub no_shell: bool,
    /// Whether the command shall have pipes though we have a terminal.
    pub no_pty: bool,
    /// File that the session is recorded in.
    pub record: Option<PathBuf>,
    /// Character that starts an escape, with a terminal; `None` is `~`.
    pub escape: Option<EscapeChar>,
    /// Program and arguments; none is a shell.
    pub command: Vec<String>,
    /// What is said about AWS.
    pub source: Source,
    /// No talk of our own but errors.
    pub quiet: bool,
    /// How much to say: 0 is the default.
    pub verbose: u8,
}

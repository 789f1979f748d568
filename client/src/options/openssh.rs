//! What `proxy` and `ssh-config` can be told.

use std::path::PathBuf;
use std::time::Duration;

use super::Options;

/// How long a task without a connection waits for the next: longer than the pauses within a script or between two commands of one
/// piece of work, and worth less than a cent.
pub const LINGER: Duration = Duration::from_secs(30);

/// A host as OpenSSH's configuration names it: one run at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// The word after `ssh`.
    pub name: String,
    /// Private directory of this host and its flags: sockets and known_hosts.
    pub directory: PathBuf,
    /// How long the task waits for the next connection after the last has closed.
    pub linger: Duration,
}

/// What `proxy` can be told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ProxyOptions {
    /// The host.
    pub host: Host,
    /// Whether this process is the one that owns the run; `proxy` starts it so.
    pub keeper: bool,
    /// The run.
    pub login: Options,
}

/// What `ssh-config` can be told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SshConfigOptions {
    /// The host.
    pub host: Host,
    /// What follows `fargate-login` in the ProxyCommand.
    pub proxy_arguments: Vec<String>,
    /// The run, to check it.
    pub login: Options,
    /// Whether to write a file instead of standard output.
    pub write: bool,
    /// Home directory, below which the file is written.
    pub home: Option<PathBuf>,
}

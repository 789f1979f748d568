//! The flags of `proxy` and `ssh-config`: those of a login, and what OpenSSH's side needs.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{Flags, help, values};

/// The flags of `proxy`.
#[derive(Clone, Debug, Args)]
#[command(args_override_self = true)]
pub(in crate::cli) struct ProxyFlags {
    /// Word after ssh that means this task
    #[arg(long, value_name = "NAME", value_parser = values::host, help_heading = help::OPENSSH)]
    pub(in crate::cli) host: Option<String>,
    /// How long the task waits for the next connection after the last has closed; 0 or off ends it at once [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = values::duration_or_off, help_heading = help::OPENSSH)]
    pub(in crate::cli) linger: Option<Duration>,
    /// Directory for sockets, which nobody else can enter [default: below XDG_RUNTIME_DIR, else /tmp]
    #[arg(long, value_name = "DIRECTORY", help_heading = help::OPENSSH)]
    pub(in crate::cli) runtime_dir: Option<PathBuf>,
    /// Directory from which the project file is looked for [default: the working directory]
    #[arg(long, value_name = "DIRECTORY", help_heading = help::OPENSSH)]
    pub(in crate::cli) project_dir: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) login: Flags,
    /// Own the run, on the socket that is standard input
    #[arg(long, hide = true)]
    pub(in crate::cli) keeper: bool,
}

/// The flags of `ssh-config`.
#[derive(Clone, Debug, Args)]
#[command(args_override_self = true)]
pub(in crate::cli) struct SshConfigFlags {
    /// Write ~/.ssh/fargate-login/NAME.conf instead of printing
    #[arg(long, help_heading = help::OPENSSH)]
    pub(in crate::cli) write: bool,
    #[command(flatten)]
    pub(in crate::cli) proxy: ProxyFlags,
}

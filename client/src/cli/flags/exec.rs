//! The flags of `exec`.

use clap::Args;

use super::Reach;
use crate::cli::{help, listing_values, values};
use crate::options::EscapeChar;

/// The flags of `exec`.
#[derive(Clone, Debug, Default, Args)]
#[command(args_override_self = true)]
pub(in crate::cli) struct ExecFlags {
    /// Service of the task
    #[arg(long, value_name = "NAME", value_parser = listing_values::service, help_heading = help::TASK)]
    pub(in crate::cli) service: Option<String>,
    /// The task: an id, the beginning of one, or an ARN
    #[arg(long, value_name = "TASK", value_parser = listing_values::task, help_heading = help::TASK)]
    pub(in crate::cli) task: Option<String>,
    /// Container of the task
    #[arg(long, alias = "cli-container-name", value_name = "NAME",
        value_parser = values::name, help_heading = help::TASK)]
    pub(in crate::cli) container: Option<String>,
    /// Shell to start when there is no command [default: bash if the container has it, else sh]
    #[arg(long, value_name = "PATH", value_parser = values::name, help_heading = help::SESSION)]
    pub(in crate::cli) shell: Option<String>,
    /// Start the command without /bin/sh around it, for containers that have none: its exit status is not known
    #[arg(long, help_heading = help::SESSION)]
    pub(in crate::cli) no_shell: bool,
    /// Give the command pipes, as when standard input or output is no terminal: exact bytes, errors apart
    #[arg(short = 'T', long, help_heading = help::SESSION)]
    pub(in crate::cli) no_pty: bool,
    /// Escape character, ^ and a letter, or none [default: ~]
    #[arg(short = 'e', long, value_name = "CHAR", value_parser = values::escape, help_heading = help::SESSION)]
    pub(in crate::cli) escape_char: Option<EscapeChar>,
    /// Program and arguments, which arrive exactly as given
    #[arg(last = true, value_name = "COMMAND")]
    pub(in crate::cli) command: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) reach: Reach,
}

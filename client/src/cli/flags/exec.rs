//! The flags of `exec`.

use std::path::PathBuf;

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
    /// Taken, as docker's and kubectl's are: input reaches the command in any case
    #[arg(short = 'i', long = "stdin", alias = "interactive", hide = true)]
    pub(in crate::cli) interactive: bool,
    /// Taken, as docker's and kubectl's are: the command has a terminal where we have one
    #[arg(short = 't', long = "tty", hide = true)]
    pub(in crate::cli) tty: bool,
    /// Record what the terminal shows, not what is typed, in a new file (asciicast v2)
    #[arg(long, value_name = "FILE", value_parser = values::record, help_heading = help::SESSION)]
    pub(in crate::cli) record: Option<PathBuf>,
    /// Escape character, ^ and a letter, or none [default: ~]
    #[arg(short = 'e', long, value_name = "CHAR", value_parser = values::escape, help_heading = help::SESSION)]
    pub(in crate::cli) escape_char: Option<EscapeChar>,
    /// Program and arguments, which arrive exactly as given
    #[arg(last = true, value_name = "COMMAND")]
    pub(in crate::cli) command: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli) reach: Reach,
}

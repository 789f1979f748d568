//! The flags of `services`, `tasks` and `describe`.

use clap::Args;

use super::Reach;
use crate::cli::{help, listing_values, values};

/// The flags of `services`.
#[derive(Clone, Debug, Default, Args)]
#[command(args_override_self = true)]
pub(in crate::cli) struct ServicesFlags {
    /// What to print: text, a table, or json [default: text]
    #[arg(short = 'o', long, value_name = "FORMAT", value_parser = values::output, help_heading = help::OTHER)]
    pub(in crate::cli) output: Option<values::Output>,
    #[command(flatten)]
    pub(in crate::cli) reach: Reach,
}

/// The flags of `tasks`.
#[derive(Clone, Debug, Default, Args)]
#[command(args_override_self = true)]
pub(in crate::cli) struct TasksFlags {
    /// Only tasks of this service
    #[arg(long, value_name = "NAME", value_parser = listing_values::service, help_heading = help::TASK)]
    pub(in crate::cli) service: Option<String>,
    /// Those that have stopped within about an hour, instead of those that run
    #[arg(long, help_heading = help::TASK)]
    pub(in crate::cli) stopped: bool,
    /// What to print: text, a table, or json [default: text]
    #[arg(short = 'o', long, value_name = "FORMAT", value_parser = values::output, help_heading = help::OTHER)]
    pub(in crate::cli) output: Option<values::Output>,
    #[command(flatten)]
    pub(in crate::cli) reach: Reach,
}

/// The flags of `describe`.
#[derive(Clone, Debug, Default, Args)]
#[command(args_override_self = true)]
pub(in crate::cli) struct DescribeFlags {
    /// An id, the beginning of an id, or an ARN
    #[arg(value_name = "TASK", value_parser = listing_values::task)]
    pub(in crate::cli) task: Option<String>,
    /// What to print: text or json [default: text]
    #[arg(short = 'o', long, value_name = "FORMAT", value_parser = values::output, help_heading = help::OTHER)]
    pub(in crate::cli) output: Option<values::Output>,
    #[command(flatten)]
    pub(in crate::cli) reach: Reach,
}

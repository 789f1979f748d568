//! The flags of `ps`, `stop` and `gc`.

use std::time::Duration;

use clap::Args;

use super::Flags;
use crate::cli::wrong::UsageError;
use crate::cli::{help, values};
use crate::options::Clusters;

/// How to reach AWS, and how much to say.
#[derive(Clone, Debug, Default, Args)]
pub(in crate::cli) struct Reach {
    /// Cluster to look in [default: default]
    #[arg(long, value_name = "NAME", value_parser = values::name, help_heading = help::AWS)]
    cluster: Option<String>,
    /// Look in every cluster of the region
    #[arg(short = 'A', long, help_heading = help::AWS)]
    all_clusters: bool,
    /// AWS profile [default: as for the AWS CLI]
    #[arg(long, value_name = "NAME", value_parser = values::name, help_heading = help::AWS)]
    profile: Option<String>,
    /// AWS region [default: as for the AWS CLI]
    #[arg(long, value_name = "NAME", value_parser = values::name, help_heading = help::AWS)]
    region: Option<String>,
    /// Endpoint for every AWS service
    #[arg(long, value_name = "URL", value_parser = values::endpoint_url, help_heading = help::AWS)]
    endpoint_url: Option<String>,
    /// Say nothing but errors
    #[arg(short = 'q', long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = values::switch, overrides_with = "verbose", help_heading = help::OTHER)]
    quiet: Option<bool>,
    /// Say more; -vv and -vvv still more
    #[arg(short = 'v', long, action = clap::ArgAction::Count, overrides_with = "quiet", help_heading = help::OTHER)]
    verbose: u8,
}

/// The flags of `gc`.
#[derive(Clone, Debug, Default, Args)]
#[command(args_override_self = true)]
pub(in crate::cli) struct GcFlags {
    /// Show what would be done, and change nothing
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = values::switch, help_heading = help::AWS)]
    dry_run: Option<bool>,
    /// How old a rule has to be to go because its run has no task: one is added before the task is launched [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = help::LIMITS)]
    pub(in crate::cli) older_than: Option<Duration>,
    #[command(flatten)]
    pub(in crate::cli) reach: Reach,
}

/// The flags of `ps`.
#[derive(Clone, Debug, Default, Args)]
#[command(args_override_self = true)]
pub(in crate::cli) struct PsFlags {
    /// What to print: text, a table, or json [default: text]
    #[arg(short = 'o', long, value_name = "FORMAT", value_parser = values::output, help_heading = help::OTHER)]
    pub(in crate::cli) output: Option<values::Output>,
    #[command(flatten)]
    pub(in crate::cli) reach: Reach,
}

/// The flags of `stop`.
#[derive(Clone, Debug, Default, Args)]
#[command(args_override_self = true)]
pub(in crate::cli) struct StopFlags {
    /// Ids, beginnings of ids, or ARNs
    #[arg(value_name = "TASK", value_parser = values::name)]
    pub(in crate::cli) tasks: Vec<String>,
    /// Stop every task that bears your name
    #[arg(long, help_heading = help::TASK)]
    pub(in crate::cli) all: bool,
    /// With --all: also those of others
    #[arg(long, help_heading = help::TASK)]
    pub(in crate::cli) everybody: bool,
    #[command(flatten)]
    pub(in crate::cli) reach: Reach,
}

impl GcFlags {
    /// The same, as flags of a login, to be put over the other sources.
    pub(in crate::cli) fn into_flags(self) -> Flags {
        Flags { dry_run: self.dry_run, ..self.reach.into_flags() }
    }
}

impl Reach {
    /// The clusters that are meant, given the one that lower sources name.
    pub(in crate::cli) fn clusters(all: bool, named: Option<String>) -> Clusters {
        match (all, named) {
            (true, _) => Clusters::All,
            (false, Some(name)) => Clusters::Named(name),
            (false, None) => Clusters::Default,
        }
    }

    /// Whether all clusters are meant.
    ///
    /// # Errors
    /// [`UsageError::ClusterAndAll`].
    pub(in crate::cli) fn all_clusters(&self) -> Result<bool, UsageError> {
        if self.all_clusters && self.cluster.is_some() { Err(UsageError::ClusterAndAll) } else { Ok(self.all_clusters) }
    }

    /// The same, as flags of a login, to be put over the other sources.
    pub(in crate::cli) fn into_flags(self) -> Flags {
        Flags {
            cluster: self.cluster,
            profile: self.profile,
            region: self.region,
            endpoint_url: self.endpoint_url,
            quiet: self.quiet,
            verbose: self.verbose,
            ..Flags::default()
        }
    }
}

//! `services`, `tasks` and `describe`: their flags over the settings of a login, as far as they have them.

use std::path::Path;

use clap::ArgMatches;

use super::flags::{DescribeFlags, Reach, ServicesFlags, TasksFlags};
use super::layers::{self, Env};
use super::values::Output;
use super::wrong::UsageError;
use super::{Usage, refuse_flags_before, translate};
use crate::options::{Invocation, ListingOptions, Subject, TaskFilter};

/// Where a command line is read: what clap has found, the environment, the working directory.
#[derive(Clone, Copy)]
pub(super) struct Surroundings<'a> {
    pub(super) matches: &'a ArgMatches,
    pub(super) env: Env<'a>,
    pub(super) cwd: &'a Path,
}

pub(super) fn services(flags: ServicesFlags, around: Surroundings<'_>) -> Result<Invocation, Usage> {
    refuse_flags_before(translate::SERVICES, around.matches)?;
    invocation(Subject::Services, flags.output, flags.reach, around)
}

pub(super) fn tasks(flags: TasksFlags, around: Surroundings<'_>) -> Result<Invocation, Usage> {
    refuse_flags_before(translate::TASKS, around.matches)?;
    let filter = TaskFilter { service: flags.service, stopped: flags.stopped };
    invocation(Subject::Tasks(filter), flags.output, flags.reach, around)
}

pub(super) fn describe(flags: DescribeFlags, around: Surroundings<'_>) -> Result<Invocation, Usage> {
    refuse_flags_before(translate::DESCRIBE, around.matches)?;
    let task = flags.task.ok_or(UsageError::NothingToDescribe)?;
    invocation(Subject::Task(task), flags.output, flags.reach, around)
}

fn invocation(
    subject: Subject,
    output: Option<Output>,
    reach: Reach,
    around: Surroundings<'_>,
) -> Result<Invocation, Usage> {
    let all = reach.all_clusters()?;
    let options = reach.into_flags().over(layers::below_the_flags(around.env, around.cwd)?);
    Ok(Invocation::Listing(ListingOptions {
        subject,
        json: output == Some(Output::Json),
        clusters: Reach::clusters(all, options.cluster),
        source: options.source,
        quiet: options.quiet,
        verbose: options.verbose,
    }))
}

//! `ps` and `stop`: their flags over the settings of a login, as far as they have them.

use std::path::Path;

use clap::ArgMatches;

use super::flags::{PsFlags, Reach, StopFlags};
use super::layers::{self, Env};
use super::values::Output;
use super::wrong::UsageError;
use super::{Usage, refuse_flags_before, translate};
use crate::options::{FleetAction, FleetOptions, Invocation, StopWish};

pub(super) fn ps(flags: PsFlags, matches: &ArgMatches, env: Env<'_>, cwd: &Path) -> Result<Invocation, Usage> {
    refuse_flags_before(translate::PS, matches)?;
    let action = FleetAction::Ps { json: flags.output == Some(Output::Json) };
    invocation(action, flags.reach, env, cwd)
}

pub(super) fn stop(flags: StopFlags, matches: &ArgMatches, env: Env<'_>, cwd: &Path) -> Result<Invocation, Usage> {
    refuse_flags_before(translate::STOP, matches)?;
    let wish = match (flags.tasks.is_empty(), flags.all, flags.everybody) {
        (false, false, false) => StopWish::Tasks(flags.tasks),
        (true, true, false) => StopWish::Own,
        (true, true, true) => StopWish::Everybodys,
        (true, false, _) => return Err(UsageError::NothingToStop.into()),
        (false, ..) => return Err(UsageError::TasksAndAll.into()),
    };
    invocation(FleetAction::Stop(wish), flags.reach, env, cwd)
}

fn invocation(action: FleetAction, reach: Reach, env: Env<'_>, cwd: &Path) -> Result<Invocation, Usage> {
    let all = reach.all_clusters()?;
    let options = reach.into_flags().over(layers::below_the_flags(env, cwd)?);
    Ok(Invocation::Fleet(FleetOptions {
        action,
        clusters: Reach::clusters(all, options.cluster),
        source: options.source,
        quiet: options.quiet,
        verbose: options.verbose,
    }))
}

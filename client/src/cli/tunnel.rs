//! `forward` with `--target` or `--service`: its flags over the settings of a login, as far as they mean something where no task is run.

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _};

use super::flags::{Cli, Flags, TunnelFlags};
use super::listing::Surroundings;
use super::ssh_option::SshOption;
use super::wrong::{Origin, UsageError};
use super::{Usage, layers, translate};
use crate::fleet::DEFAULT_CLUSTER;
use crate::forward::Forwards;
use crate::forward::announce::Format;
use crate::forward::spec::Target;
use crate::options::{Invocation, Through, TunnelOptions, TunnelPurpose, Via};

/// Flags of a login that say something without a task of one's own.
const KNOWN: [&str; 17] = [
    "target",
    "service",
    "specs",
    "local_forward",
    "ssh_option",
    "keep_going",
    "no_command",
    "exec",
    "output",
    "command",
    "via",
    "profile",
    "region",
    "endpoint_url",
    "dry_run",
    "quiet",
    "verbose",
];
/// The same, of a service alone.
const OF_SERVICE: [&str; 2] = ["cluster", "container"];

pub(super) fn invocation(flags: TunnelFlags, before: Flags, around: Surroundings<'_>) -> Result<Invocation, Usage> {
    let by = if flags.service.is_some() { "--service" } else { "--target" };
    if flags.service.is_some() && flags.target.is_some() {
        return Err(UsageError::TwoTargets.into());
    }
    refuse_flags_of_tasks(around.matches, by)?;
    let (target, service) = (flags.target.clone(), flags.service.clone());
    let flags = [before, flags.into_flags()];
    flags.iter().try_for_each(|flags| refuse_other_forwards(flags, by))?;
    // Settings that say it are for logins.
    if flags.iter().any(|flags| flags.via.via == Some(Via::Direct)) {
        return Err(UsageError::DirectBehindTarget { by }.into());
    }
    let purpose = purpose(&flags)?;
    let mut options = layers::below_the_flags(around.env, around.cwd)?;
    for flags in flags {
        options = layers::with_values(flags, &Origin::Flag("--env".to_owned()), around.env)?.over(options);
    }
    // Those of settings are for logins.
    let forwards = Forwards { dynamic: Vec::new(), remote: Vec::new(), agent: false, ..options.forwards };
    if forwards.local.is_empty() {
        return Err(UsageError::NothingForwarded.into());
    }
    let socket = forwards.local.iter().find_map(|forward| match &forward.target {
        Target::Unix(path) => Some(path.display().to_string()),
        Target::Tcp { .. } => None,
    });
    if let Some(path) = socket {
        return Err(UsageError::SocketBehindTarget { path }.into());
    }
    let through = match (target, service) {
        (Some(target), _) => Through::Target(target),
        // One of the two is there: that is what brings us here.
        (None, service) => Through::Service {
            service: service.unwrap_or_default(),
            cluster: options.cluster.unwrap_or_else(|| DEFAULT_CLUSTER.to_owned()),
            container: options.container.filter(|_| is_given(around.matches, "container")),
        },
    };
    Ok(Invocation::Tunnel(Box::new(TunnelOptions {
        through,
        forwards,
        purpose,
        dry_run: options.dry_run,
        source: options.source,
        quiet: options.quiet,
        verbose: options.verbose,
    })))
}

/// What the forwards are held for. No command of a container is meant here, so what follows `--` runs on this machine.
fn purpose(flags: &[Flags; 2]) -> Result<TunnelPurpose, UsageError> {
    let [first, second] = flags;
    let command = if second.command.is_empty() { &first.command } else { &second.command };
    let output = second.forwards.output.or(first.forwards.output);
    if flags.iter().any(|flags| flags.forwards.exec) && command.is_empty() {
        return Err(UsageError::NothingToExec);
    }
    match (command.is_empty(), output) {
        (true, format) => Ok(TunnelPurpose::Hold(format.unwrap_or_default())),
        (false, None | Some(Format::Text)) => Ok(TunnelPurpose::Child(command.clone())),
        (false, Some(_)) => Err(UsageError::OutputOfChild),
    }
}

/// Refuses, on the command line, what only a task of one's own can do. Settings are for logins, and pass.
fn refuse_flags_of_tasks(matches: &ArgMatches, by: &'static str) -> Result<(), UsageError> {
    let of_forward = matches.subcommand_matches(translate::FORWARD);
    let given = [Some(matches), of_forward].into_iter().flatten().flat_map(|matches| {
        let typed = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
        matches.ids().filter(typed)
    });
    let command = Cli::command();
    for id in given {
        let Some(arg) = command.get_arguments().find(|arg| arg.get_id() == id) else { continue };
        let long = arg.get_long().filter(|_| arg.get_short().is_none()).map(|long| format!("--{long}"));
        let flag = long.or(arg.get_short().map(|short| format!("-{short}"))).unwrap_or_default();
        let id = id.as_str();
        match by {
            _ if KNOWN.contains(&id) => {}
            "--service" if OF_SERVICE.contains(&id) => {}
            _ if OF_SERVICE.contains(&id) => return Err(UsageError::OfService { flag }),
            _ => return Err(UsageError::NeedsTask { flag, by }),
        }
    }
    Ok(())
}

/// The same, of what `-o` can say.
fn refuse_other_forwards(flags: &Flags, by: &'static str) -> Result<(), UsageError> {
    let words = flags.ssh_option.iter().find_map(|option| match option {
        SshOption::RemoteForward(_) => Some("-o RemoteForward"),
        SshOption::DynamicForward(_) => Some("-o DynamicForward"),
        SshOption::ForwardAgent(true) => Some("-o ForwardAgent"),
        _ => None,
    });
    words.map_or(Ok(()), |flag| Err(UsageError::NeedsTask { flag: flag.to_owned(), by }))
}

fn is_given(matches: &ArgMatches, id: &str) -> bool {
    let all = [Some(matches), matches.subcommand_matches(translate::FORWARD)];
    all.into_iter().flatten().any(|matches| matches.value_source(id) == Some(ValueSource::CommandLine))
}

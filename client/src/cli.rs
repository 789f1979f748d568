//! The command line: arguments, `FARGATE_LOGIN_*` variables and configuration files become an [`Invocation`].

mod errand;
mod exec;
mod fargate_size;
mod file_values;
pub(crate) mod flags;
mod fleet;
mod forward_values;
mod help;
mod ingress_values;
mod layers;
mod listing;
mod listing_values;
pub(crate) mod nearest;
mod openssh;
mod over;
mod ssh_option;
mod translate;
mod tunnel;
mod values;
pub(crate) mod wrong;

pub(crate) use openssh::KEEPER_FLAG;

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory as _, FromArgMatches as _};

use self::flags::{Cli, FileFlags, Flags, GcFlags, LocalFlags, Sub};
use self::layers::Env;
use self::listing::Surroundings;
use self::wrong::{Origin, UsageError};
use crate::argv;
use crate::options::{GcOptions, Invocation, LocalOptions};
use crate::ui;

/// Where the stand-in listens when nothing else is said: the port that tools for local AWS use.
const LOCAL_LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 4566);

/// There is nothing to run: somebody asked for help, or called us wrongly. The text ends with a line feed and may hold
/// colours, which `anstream` takes out where they do not belong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Help or version, for standard output; the exit status is 0.
    Shown(String),
    /// `error: ...` and `hint: ...` lines, for standard error; the exit status is 2.
    Wrong(String),
}

impl From<UsageError> for Usage {
    fn from(error: UsageError) -> Self {
        Self::Wrong(format!("{}\n", ui::render(&error)))
    }
}

/// Reads what is to be done. `args` begins with the program's name, `env` answers a variable of our environment, and
/// the project file is looked for from `cwd` upward. Reads files, writes nothing.
///
/// # Errors
/// [`Usage`], when there is nothing to run.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    env: &dyn Fn(&str) -> Option<String>,
    cwd: &Path,
) -> Result<Invocation, Usage> {
    let mut command = command();
    let args = argv::to_clap(args, &command)?;
    let parsed =
        command.try_get_matches_from_mut(&args).and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (cli, matches) = parsed.map_err(|error| told_by_clap(&error, &command))?;
    match cli.subcommand {
        None => login([cli.login, Flags::default()], env, cwd),
        Some(Sub::Login(flags)) => login([cli.login, *flags], env, cwd),
        Some(Sub::Forward(flags)) if flags.names_target() => {
            tunnel::invocation(*flags, cli.login, Surroundings { matches: &matches, env, cwd })
        }
        Some(Sub::Forward(flags)) => login([cli.login, flags.into_flags()], env, cwd),
        Some(Sub::Cp(flags)) => login([cli.login, flags.into_flags()?], env, cwd),
        Some(Sub::Local(flags)) => local(&flags, &matches, env),
        Some(Sub::Ps(flags)) => fleet::ps(flags, &matches, env, cwd),
        Some(Sub::Stop(flags)) => fleet::stop(flags, &matches, env, cwd),
        Some(Sub::Services(flags)) => listing::services(flags, Surroundings { matches: &matches, env, cwd }),
        Some(Sub::Tasks(flags)) => listing::tasks(flags, Surroundings { matches: &matches, env, cwd }),
        Some(Sub::Describe(flags)) => listing::describe(flags, Surroundings { matches: &matches, env, cwd }),
        Some(Sub::Exec(flags)) => exec::exec(*flags, Surroundings { matches: &matches, env, cwd }),
        Some(Sub::Gc(flags)) => gc(flags, &matches, env, cwd),
        Some(Sub::Proxy(flags)) => openssh::proxy(*flags, &args, &matches, env, cwd),
        Some(Sub::SshConfig(flags)) => openssh::ssh_config(*flags, &args, &matches, env, cwd),
    }
}

/// The command with help screens of our own.
fn command() -> Command {
    let command = Cli::command();
    let login = help::login(&command);
    let of = |screen: fn(&Command) -> String| {
        move |command: Command| {
            let text = screen(&command);
            command.override_help(text)
        }
    };
    command
        .override_help(login.clone())
        .mut_subcommand("login", |command| command.override_help(login))
        .mut_subcommand(translate::FORWARD, of(help::forward))
        .mut_subcommand(translate::CP, of(help::cp))
        .mut_subcommand(translate::LOCAL, of(help::local))
        .mut_subcommand(translate::PS, of(help::ps))
        .mut_subcommand(translate::STOP, of(help::stop))
        .mut_subcommand(translate::SERVICES, of(help::services))
        .mut_subcommand(translate::TASKS, of(help::tasks))
        .mut_subcommand(translate::DESCRIBE, of(help::describe))
        .mut_subcommand(translate::EXEC, of(help::exec))
        .mut_subcommand(translate::GC, of(help::gc))
        .mut_subcommand(translate::SSH_CONFIG, |command| of(help::ssh_config)(hide_unused(command)))
        .mut_subcommand(translate::PROXY, |command| of(help::proxy)(hide_unused(command)))
}

/// Without the flags of a login that OpenSSH has no use for.
fn hide_unused(command: Command) -> Command {
    command.mut_args(|arg| if openssh::is_unused(&arg) { arg.hide(true) } else { arg })
}

/// Flags before the word `login` or `forward`, and flags behind it, which win.
fn login(flags: [Flags; 2], env: Env<'_>, cwd: &Path) -> Result<Invocation, Usage> {
    let errand = errand::of(&flags)?;
    let carried = FileFlags::carried(&flags);
    let names = |name: fn(&Flags) -> &Option<String>| flags.iter().any(|flags| name(flags).is_some());
    if names(|flags| &flags.task_definition) && names(|flags| &flags.from) {
        return Err(UsageError::TwoOriginals.into());
    }
    let mut options = layers::below_the_flags(env, cwd)?;
    for flags in flags {
        options = layers::with_values(flags, &Origin::Flag("--env".to_owned()), env)?.over(options);
    }
    fargate_size::check(options.cpu, options.memory)?;
    errand::check(&errand, &options.forwards)?;
    options.errand = errand;
    options.carried = carried;
    Ok(Invocation::Login(Box::new(options)))
}

/// Settings of a login hold for `gc` as far as it has the flags.
fn gc(flags: GcFlags, matches: &ArgMatches, env: Env<'_>, cwd: &Path) -> Result<Invocation, Usage> {
    refuse_flags_before(translate::GC, matches)?;
    let older_than = flags.older_than.or(layers::of_variables::<GcFlags>(env)?.older_than);
    let all = flags.reach.all_clusters()?;
    let options = flags.into_flags().over(layers::below_the_flags(env, cwd)?);
    Ok(Invocation::Gc(GcOptions {
        clusters: flags::Reach::clusters(all, options.cluster),
        dry_run: options.dry_run,
        older_than,
        source: options.source,
        quiet: options.quiet,
        verbose: options.verbose,
    }))
}

fn local(flags: &LocalFlags, matches: &ArgMatches, env: Env<'_>) -> Result<Invocation, Usage> {
    refuse_flags_before(translate::LOCAL, matches)?;
    let lower: LocalFlags = layers::of_variables(env)?;
    Ok(Invocation::Local(LocalOptions {
        listen: flags.listen.or(lower.listen).unwrap_or(LOCAL_LISTEN),
        launcher: flags.launcher.or(lower.launcher).unwrap_or_default(),
        task_definition_files: over(&flags.task_definition_file, lower.task_definition_file),
        service_files: over(&flags.service_file, lower.service_file),
        secrets_file: flags.secrets_file.clone().or(lower.secrets_file),
        latency: flags.latency.or(lower.latency).unwrap_or_default(),
        seed: flags.seed.or(lower.seed),
    }))
}

fn over(given: &[PathBuf], lower: Vec<PathBuf>) -> Vec<PathBuf> {
    if given.is_empty() { lower } else { given.to_vec() }
}

/// Flags before the word of a subcommand belong to the login, which is not what is asked for.
fn refuse_flags_before(subcommand: &'static str, matches: &ArgMatches) -> Result<(), UsageError> {
    let is_given = |id: &&clap::Id| matches.value_source(id.as_str()) == Some(ValueSource::CommandLine);
    let command = Cli::command();
    let given = matches.ids().find(is_given).and_then(|id| command.get_arguments().find(|arg| arg.get_id() == id));
    if let Some(arg) = given {
        let long = arg.get_long().map(|long| format!("--{long}"));
        let flag = long.or(arg.get_short().map(|short| format!("-{short}"))).unwrap_or_default();
        let of_subcommand = command.find_subcommand(subcommand);
        let known =
            of_subcommand.is_some_and(|known| known.get_arguments().any(|other| other.get_id() == arg.get_id()));
        return Err(if known {
            UsageError::BeforeSubcommand { flag, subcommand }
        } else {
            UsageError::NotForSubcommand { flag, subcommand }
        });
    }
    Ok(())
}

fn told_by_clap(error: &clap::Error, command: &Command) -> Usage {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return Usage::Shown(error.render().ansi().to_string());
    }
    translate::of_command_line(error, command).into()
}

#[cfg(test)]
mod tests;

//! `proxy` and `ssh-config`: a login's flags and settings for OpenSSH's use, and the same as one line that OpenSSH can run.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, Args as _, Command};
use sha2::{Digest as _, Sha256};

use super::flags::{Flags, ProxyFlags, SshConfigFlags};
use super::layers::{self, Env};
use super::wrong::{Origin, UsageError};
use super::{Usage, fargate_size, refuse_flags_before, translate};
use crate::forward::Forwards;
use crate::openssh::directory;
use crate::options::openssh::LINGER;
use crate::options::{Carried, Errand, Host, Invocation, Options, ProxyOptions, SshConfigOptions, file};

/// Flags of a login for what OpenSSH has flags of its own for, or does not ask for.
const UNUSED: [&str; 21] = [
    "dry_run",
    "timings",
    "reconnect_grace",
    "escape_char",
    "record",
    "tty",
    "no_tty",
    "shell_command",
    "command",
    "local_forward",
    "remote_forward",
    "dynamic_forward",
    "forward_agent",
    "keep_going",
    "no_command",
    "stdio",
    "exec",
    "output",
    "put",
    "get",
    "get_when",
];
/// What makes a `proxy` the keeper.
pub(crate) const KEEPER_FLAG: &str = "--keeper";
/// Flags of ours that say nothing about the run.
const WRITE_FLAG: &str = "--write";
const RUNTIME_DIR: &str = "--runtime-dir";
const PROJECT_DIR: &str = "--project-dir";
/// Bytes of the hash that tells a host's flags apart: enough for those of one user, and short enough for a socket's path.
const HASH_BYTES: usize = 8;

pub(super) fn proxy(
    flags: ProxyFlags,
    args: &[OsString],
    matches: &ArgMatches,
    env: Env<'_>,
    cwd: &Path,
) -> Result<Invocation, Usage> {
    refuse_flags_before(translate::PROXY, matches)?;
    let keeper = flags.keeper;
    let host = host(&flags, &said(args, translate::PROXY), env)?;
    let login = login(flags, translate::PROXY, matches, env, cwd)?;
    Ok(Invocation::Proxy(Box::new(ProxyOptions { host, keeper, login })))
}

pub(super) fn ssh_config(
    flags: SshConfigFlags,
    args: &[OsString],
    matches: &ArgMatches,
    env: Env<'_>,
    cwd: &Path,
) -> Result<Invocation, Usage> {
    refuse_flags_before(translate::SSH_CONFIG, matches)?;
    let SshConfigFlags { write, proxy: flags } = flags;
    let mut said = said(args, translate::SSH_CONFIG);
    let is_given = |arg: &Arg| is_unused(arg) || is_given(arg, matches);
    let (before, after) = layers::tokens_of_variables(env, &is_given)?;
    said.splice(0..0, before);
    said.extend(after);
    if flags.project_dir.is_none() && file::project_file(cwd).is_some() {
        said.extend([PROJECT_DIR.to_owned(), cwd.display().to_string()]);
    }
    let host = host(&flags, &said, env)?;
    if flags.runtime_dir.is_none() {
        let base = host.directory.parent().unwrap_or(&host.directory);
        said.extend([RUNTIME_DIR.to_owned(), base.display().to_string()]);
    }
    let login = login(flags, translate::SSH_CONFIG, matches, env, cwd)?;
    said.insert(0, translate::PROXY.to_owned());
    Ok(Invocation::SshConfig(Box::new(SshConfigOptions {
        host,
        proxy_arguments: said,
        login,
        write,
        home: env("HOME").map(PathBuf::from).filter(|home| home.is_absolute()),
    })))
}

/// What follows the subcommand, but for what says nothing about the run. Names and values are UTF-8, or they would not have parsed.
fn said(args: &[OsString], subcommand: &str) -> Vec<String> {
    let behind = args.iter().skip_while(|arg| *arg != subcommand).skip(1);
    let words = behind.map(|arg| arg.to_string_lossy().into_owned());
    words.filter(|word| word != WRITE_FLAG && word != KEEPER_FLAG).collect()
}

/// The host, in a directory that is its own as long as it is said in the same words.
fn host(flags: &ProxyFlags, said: &[String], env: Env<'_>) -> Result<Host, UsageError> {
    let name = flags.host.clone().ok_or(UsageError::NoHost)?;
    let mut hash = Sha256::new();
    let mut words = said.iter();
    while let Some(word) = words.next() {
        if word == RUNTIME_DIR {
            words.next();
        } else if !word.starts_with(&format!("{RUNTIME_DIR}=")) {
            hash.update(word.as_bytes());
            hash.update([0]);
        }
    }
    let hash = hash.finalize();
    let hex: String = hash.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect();
    let base = flags.runtime_dir.clone().unwrap_or_else(|| directory::default_base(env));
    Ok(Host { name, directory: base.join(hex), linger: flags.linger.unwrap_or(LINGER) })
}

fn login(
    flags: ProxyFlags,
    subcommand: &'static str,
    matches: &ArgMatches,
    env: Env<'_>,
    cwd: &Path,
) -> Result<Options, Usage> {
    let command = Flags::augment_args(Command::new(""));
    let mut unused = command.get_arguments().filter(|arg| is_unused(arg));
    if let Some(arg) = unused.find(|arg| is_given(arg, matches)) {
        let short = || arg.get_short().map_or_else(|| "--".to_owned(), |short| format!("-{short}"));
        let flag = arg.get_long().map_or_else(short, |long| format!("--{long}"));
        return Err(UsageError::NotForSubcommand { flag, subcommand }.into());
    }
    if flags.login.task_definition.is_some() && flags.login.from.is_some() {
        return Err(UsageError::TwoOriginals.into());
    }
    let project = flags.project_dir.as_deref().unwrap_or(cwd);
    let own: Flags = layers::with_values(flags.login, &Origin::Flag("--env".to_owned()), env)?;
    let options = own.over(layers::below_the_flags(env, project)?);
    fargate_size::check(options.cpu, options.memory)?;
    // What OpenSSH will ask for, it says itself.
    let (forwards, carried) = (Forwards::default(), Carried::default());
    Ok(Options { dry_run: false, errand: Errand::default(), forwards, carried, ..options })
}

/// Whether this flag of a login says nothing here.
pub(super) fn is_unused(arg: &Arg) -> bool {
    UNUSED.contains(&arg.get_id().as_str())
}

/// Whether the subcommand's own flags say it.
fn is_given(arg: &Arg, matches: &ArgMatches) -> bool {
    let of_subcommand = matches.subcommand().map_or(matches, |(_, of_subcommand)| of_subcommand);
    of_subcommand.value_source(arg.get_id().as_str()) == Some(clap::parser::ValueSource::CommandLine)
}

//! What clap found wrong, in our words.

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command};

use super::nearest::nearest;
use super::values::BadValue;
use super::wrong::{Origin, UsageError};

/// Words that may stand alone; `help` is clap's.
const SUBCOMMANDS: [&str; 14] = [
    "login",
    "forward",
    "cp",
    "local",
    "ps",
    "services",
    "tasks",
    "describe",
    "exec",
    "stop",
    "gc",
    "ssh-config",
    "proxy",
    "help",
];
/// Long names of flags that everybody knows by the short ones.
const KNOWN_AS: [(&str, &str); 4] =
    [("--ssh-option", "-o"), ("--local-forward", "-L"), ("--remote-forward", "-R"), ("--dynamic-forward", "-D")];
/// Subcommands other than the login itself.
pub(super) const FORWARD: &str = "forward";
pub(super) const CP: &str = "cp";
pub(super) const LOCAL: &str = "local";
pub(super) const GC: &str = "gc";
pub(super) const PS: &str = "ps";
pub(super) const STOP: &str = "stop";
pub(super) const SERVICES: &str = "services";
pub(super) const TASKS: &str = "tasks";
pub(super) const DESCRIBE: &str = "describe";
pub(super) const EXEC: &str = "exec";
pub(super) const SSH_CONFIG: &str = "ssh-config";
pub(super) const PROXY: &str = "proxy";

/// An error of the command line.
pub(super) fn of_command_line(error: &clap::Error, command: &Command) -> UsageError {
    let invalid = text(error, ContextKind::InvalidArg).or_else(|| text(error, ContextKind::InvalidSubcommand));
    match (error.kind(), invalid) {
        (ErrorKind::UnknownArgument | ErrorKind::InvalidSubcommand, Some(token)) => {
            unknown(&token, command, subcommand(error))
        }
        (_, Some(arg)) => of_value(error, Origin::Flag(flag(&arg))),
        (_, None) => UsageError::Other(first_line(error)),
    }
}

/// An error of one value, wherever it was given.
pub(super) fn of_value(error: &clap::Error, origin: Origin) -> UsageError {
    let value = text(error, ContextKind::InvalidValue).unwrap_or_default();
    let bad = std::error::Error::source(error).and_then(|source| source.downcast_ref::<BadValue>()).cloned();
    match (error.kind(), bad) {
        (ErrorKind::InvalidValue | ErrorKind::ValueValidation, _) if value.is_empty() => {
            UsageError::MissingValue { origin }
        }
        (ErrorKind::ValueValidation, Some(bad)) => {
            UsageError::BadValue { origin, value: bad.shown.clone().unwrap_or(value), bad: Box::new(bad) }
        }
        _ => UsageError::Other(first_line(error)),
    }
}

/// The subcommand that complains, by the usage line that clap gives with what it found.
fn subcommand(error: &clap::Error) -> &'static str {
    let usage = match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    };
    let is_named = |name: &&str| usage.contains(&format!(" {name} "));
    [GC, PS, STOP, SERVICES, TASKS, DESCRIBE, EXEC, SSH_CONFIG, PROXY].into_iter().find(is_named).unwrap_or(LOCAL)
}

/// A token that is no flag and no subcommand here. clap takes values off flags, but leaves bare words whole.
fn unknown(token: &str, command: &Command, subcommand: &'static str) -> UsageError {
    let is = |arg: &Arg| match token.strip_prefix("--") {
        Some(long) => arg.get_long() == Some(long),
        None => {
            token.strip_prefix('-').is_some_and(|short| arg.get_short().map(String::from).as_deref() == Some(short))
        }
    };
    let of_local = || command.find_subcommand(LOCAL).into_iter().flat_map(Command::get_arguments);
    if !token.starts_with('-') {
        let word = token.to_owned();
        return match nearest(token, SUBCOMMANDS) {
            Some(same) if same == token => UsageError::SecondSubcommand { word },
            near => UsageError::UnknownSubcommand { word, nearest: near.map(str::to_owned) },
        };
    }
    let flag = token.to_owned();
    if matches!(token, "-" | "-=") {
        return UsageError::Other("a `=` follows a short flag that takes no value".to_owned());
    }
    if of_local().any(is) {
        return UsageError::OnlyForLocal { flag };
    }
    if command.get_arguments().any(is) {
        return UsageError::NotForSubcommand { flag, subcommand };
    }
    let longs = command.get_arguments().chain(of_local()).filter_map(Arg::get_long);
    let near = token.strip_prefix("--").and_then(|name| nearest(name, longs));
    UsageError::UnknownFlag { flag, nearest: near.map(|name| format!("--{name}")) }
}

/// The flag of what clap shows, such as `--port <PORT>` or `--timings[=<FORMAT>]`.
fn flag(shown: &str) -> String {
    // A positional argument is shown as `[NAME]...`.
    let flag = shown.trim_start_matches(['[', '<']).split([' ', '[', '=', ']', '>']).next().unwrap_or_default();
    let known_as = KNOWN_AS.iter().find(|(long, _)| *long == flag);
    known_as.map_or(flag, |(_, short)| *short).to_owned()
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    }
}

/// clap's own message, without its label and its usage lines.
fn first_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).replace('\'', "`")
}

//! What the connection is for, by the flags that say so: no two of them go together.

use super::flags::Flags;
use super::wrong::UsageError;
use crate::forward::Forwards;
use crate::options::{Errand, RemoteCommand};

/// The errand of a command line, whose flags may stand before and behind the subcommand.
///
/// # Errors
/// [`UsageError`] naming the two that exclude each other.
pub(super) fn of(flags: &[Flags; 2]) -> Result<Errand, UsageError> {
    let [first, second] = flags;
    let command = if second.command.is_empty() { &first.command } else { &second.command }.clone();
    let line = second.shell_command.clone().or_else(|| first.shell_command.clone());
    let stdio = second.forwards.stdio.clone().or_else(|| first.forwards.stdio.clone());
    let output = second.forwards.output.or(first.forwards.output);
    let hold = flags.iter().any(|flags| flags.forwards.no_command);
    let exec = flags.iter().any(|flags| flags.forwards.exec);
    if line.is_some() && !command.is_empty() {
        return Err(UsageError::TwoCommands);
    }
    let remote = line.is_some() || (!command.is_empty() && !exec);
    let copy = second.files.copy.clone().or_else(|| first.files.copy.clone());
    let said = [
        (copy.is_some(), "cp"),
        (hold, "-N"),
        (stdio.is_some(), "-W"),
        (exec, "--exec"),
        (remote, "a command for the container"),
    ];
    let mut said = said.into_iter().filter_map(|(given, name)| given.then_some(name));
    if let (Some(one), Some(other)) = (said.next(), said.next()) {
        return Err(UsageError::TwoErrands { one, other });
    }
    if output.is_some() && !hold {
        return Err(UsageError::OutputOfSession);
    }
    if let Some(copy) = copy {
        return Ok(Errand::Copy(copy));
    }
    match (stdio, line) {
        (Some(target), _) => Ok(Errand::Stdio(target)),
        (None, Some(line)) => Ok(Errand::Session(RemoteCommand::ShellCommand(line))),
        (None, None) if hold => Ok(Errand::Hold(output.unwrap_or_default())),
        (None, None) if exec && command.is_empty() => Err(UsageError::NothingToExec),
        (None, None) if exec => Ok(Errand::Child(command)),
        (None, None) if command.is_empty() => Ok(Errand::Session(RemoteCommand::Shell)),
        (None, None) => Ok(Errand::Session(RemoteCommand::Argv(command))),
    }
}

/// Whether there is what the errand is about: a connection that does nothing but forward has to forward something.
///
/// # Errors
/// [`UsageError::NothingForwarded`].
pub(super) fn check(errand: &Errand, forwards: &Forwards) -> Result<(), UsageError> {
    let listens = !(forwards.local.is_empty() && forwards.dynamic.is_empty() && forwards.remote.is_empty());
    match errand {
        Errand::Hold(_) | Errand::Child(_) if !listens => Err(UsageError::NothingForwarded),
        _ => Ok(()),
    }
}

//! `exec`: its flags over the settings of a login, as far as they say where to look.

use super::flags::{ExecFlags, Reach};
use super::listing::Surroundings;
use super::wrong::UsageError;
use super::{Usage, layers, refuse_flags_before, translate};
use crate::options::{ExecOptions, Invocation};

pub(super) fn exec(flags: ExecFlags, around: Surroundings<'_>) -> Result<Invocation, Usage> {
    refuse_flags_before(translate::EXEC, around.matches)?;
    let has_command = !flags.command.is_empty();
    for (given, one, other) in [
        (flags.task.is_some() && flags.service.is_some(), "--task", "--service"),
        (flags.shell.is_some() && has_command, "--shell", "a command"),
        (flags.shell.is_some() && flags.no_shell, "--shell", "--no-shell"),
    ] {
        if given {
            return Err(UsageError::Exclude { one, other }.into());
        }
    }
    if flags.no_pty && flags.tty {
        return Err(UsageError::TerminalAndPipes { flag: "-t" }.into());
    }
    if flags.no_shell && !has_command {
        return Err(UsageError::NothingWithoutShell.into());
    }
    let all = flags.reach.all_clusters()?;
    let options = flags.reach.into_flags().over(layers::below_the_flags(around.env, around.cwd)?);
    Ok(Invocation::Exec(ExecOptions {
        clusters: Reach::clusters(all, options.cluster),
        service: flags.service,
        task: flags.task,
        container: flags.container,
        no_shell: flags.no_shell,
        no_pty: flags.no_pty,
        record: flags.record,
        escape: flags.escape_char,
        command: if has_command { flags.command } else { flags.shell.into_iter().collect() },
        source: options.source,
        quiet: options.quiet,
        verbose: options.verbose,
    }))
}

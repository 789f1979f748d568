//! A program of this machine with the forwards up: its environment and arguments tell it where, signals are its own, and its exit status
//! is ours.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::ExitStatus as ProcessStatus;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{Mode, OFlags};
use tokio::process::{Child, Command};

use crate::error::Advice;
use crate::forward::announce::{Listening, filled_in, variables};
use crate::session::ExitStatus;
use crate::signals::{Diverted, Stop};
use crate::ui::Ui;

/// Exit statuses of a shell for a program that is not there, and for one that cannot be started (POSIX, Shell Command Language, 2.8.2).
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;
/// Time for the program to end by itself once its tunnels are gone for good, before and after it is asked to.
const LEFT_ALONE: Duration = Duration::from_secs(10);

/// Why the program does not run.
#[derive(Debug, thiserror::Error)]
pub enum ChildError {
    /// There is no such program.
    #[error("`{program}` is not a program of this machine")]
    NotFound {
        /// As it was named.
        program: String,
    },
    /// It cannot be started.
    #[error("`{program}` cannot be started: {cause}")]
    NotExecutable {
        /// As it was named.
        program: String,
        /// Why not.
        cause: std::io::Error,
    },
}

impl ChildError {
    /// As a shell has it.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => NOT_FOUND,
            Self::NotExecutable { .. } => NOT_EXECUTABLE,
        }
    }

    fn of(program: &str, cause: std::io::Error) -> Self {
        let program = program.to_owned();
        if cause.kind() == ErrorKind::NotFound {
            Self::NotFound { program }
        } else {
            Self::NotExecutable { program, cause }
        }
    }
}

impl Advice for ChildError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotFound { .. } => {
                vec![
                    "`--exec` runs it here, with the forwards up; without it, the command runs in the container"
                        .to_owned(),
                ]
            }
            Self::NotExecutable { .. } => Vec::new(),
        }
    }
}

/// Whether the program is there, before anything is launched for it.
///
/// # Errors
/// [`ChildError`].
pub(crate) fn check(words: &[String]) -> Result<(), ChildError> {
    let program = words.first().map_or("", String::as_str);
    let refuse = |kind: ErrorKind| Err(ChildError::of(program, kind.into()));
    let state = |path: &Path| match std::fs::metadata(path) {
        Ok(file) if file.is_dir() => Some(ErrorKind::IsADirectory),
        Ok(file) if file.permissions().mode() & 0o111 == 0 => Some(ErrorKind::PermissionDenied),
        Ok(_) => None,
        Err(error) => Some(error.kind()),
    };
    if program.contains('/') {
        return state(Path::new(program)).map_or(Ok(()), refuse);
    }
    // Without a PATH the system has its own idea of one: then starting it tells.
    let Some(path) = std::env::var_os("PATH") else { return Ok(()) };
    let places = std::env::split_paths(&path).map(|folder| folder.join(program));
    if !program.is_empty() && places.into_iter().any(|place| state(&place).is_none()) {
        return Ok(());
    }
    refuse(ErrorKind::NotFound)
}

/// What the program is told of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'a> {
    /// Listeners of this machine: its arguments name them by number.
    pub(crate) local: &'a [Listening],
    /// All listeners: its environment.
    pub(crate) all: &'a [Listening],
}

/// Runs it to its end, told of all listeners. Forwards that are `lost` for good end it. `None` when a signal came before, which is a
/// wish to stop: nothing is started any more.
pub(crate) async fn run<E: From<ChildError>>(
    words: &[String],
    told: Told<'_>,
    stop: &Stop,
    ui: &Ui,
    lost: impl Future<Output = E>,
) -> Option<Result<ExitStatus, E>> {
    let mut filled = words.iter().map(|word| filled_in(word, told.local));
    let program = filled.next().unwrap_or_default();
    let mut signals = stop.divert()?;
    let failed = |cause| Some(Err(ChildError::of(&program, cause).into()));
    let mut child = match Command::new(&program).args(filled).envs(variables(told.all)).spawn() {
        Ok(child) => child,
        Err(cause) => return failed(cause),
    };
    let ended = tokio::select! {
        ended = attend(&mut child, &mut signals) => Ok(ended),
        lost = lost => Err(lost),
    };
    match ended {
        Ok(Ok(status)) => Some(Ok(of_process(status))),
        Ok(Err(cause)) => failed(cause),
        Err(lost) => {
            ui.warn(&format!("the connection is lost for good, so `{program}` is ended"));
            end(&mut child, &mut signals).await;
            Some(Err(lost))
        }
    }
}

/// Waits for its end, and passes signals on.
async fn attend(child: &mut Child, signals: &mut Diverted) -> std::io::Result<ProcessStatus> {
    loop {
        let signal = tokio::select! {
            status = child.wait() => return status,
            signal = signals.recv() => signal,
        };
        // What is typed at a terminal goes to everybody in its foreground, the program among them.
        let typed = matches!(signal, Signal::SIGINT | Signal::SIGQUIT) && in_foreground();
        if !typed {
            send(child, signal);
        }
    }
}

/// Asks it to end, and makes it.
async fn end(child: &mut Child, signals: &mut Diverted) {
    for signal in [Signal::SIGTERM, Signal::SIGKILL] {
        send(child, signal);
        if tokio::time::timeout(LEFT_ALONE, attend(child, signals)).await.is_ok() {
            return;
        }
    }
}

fn send(child: &Child, signal: Signal) {
    // Without an id it has ended; between the two it is a zombie, which takes any signal.
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    let _ = id.map(|id| kill(Pid::from_raw(id), signal));
}

/// Whether we are in the foreground of a terminal. The program is wherever we are: it is in our process group.
fn in_foreground() -> bool {
    let terminal = rustix::fs::open("/dev/tty", OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty());
    terminal.is_ok_and(|terminal| {
        rustix::termios::tcgetpgrp(&terminal).is_ok_and(|foreground| foreground == rustix::process::getpgrp())
    })
}

fn of_process(status: ProcessStatus) -> ExitStatus {
    match (status.code(), status.signal().and_then(|number| Signal::try_from(number).ok())) {
        (Some(code), _) => ExitStatus::Code(code.unsigned_abs()),
        (None, Some(signal)) => ExitStatus::Signal {
            name: signal.as_str().trim_start_matches("SIG").to_owned(),
            core_dumped: status.core_dumped(),
            message: String::new(),
        },
        (None, None) => ExitStatus::Left,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_looked_for_as_a_shell_does() {
        let code = |program: &str| check(&[program.to_owned()]).err().map(|error| error.exit_code());
        assert_eq!(code("sh"), None);
        assert_eq!(code("/bin/sh"), None);
        assert_eq!(code("no-such-program-at-all"), Some(NOT_FOUND));
        assert_eq!(code("/no/such/program"), Some(NOT_FOUND));
        assert_eq!(code("/etc/passwd"), Some(NOT_EXECUTABLE));
        assert_eq!(code("/tmp"), Some(NOT_EXECUTABLE));
        assert_eq!(code(""), Some(NOT_FOUND));
    }

    #[test]
    fn a_death_by_signal_is_128_and_more() {
        assert_eq!(of_process(ProcessStatus::from_raw(7 << 8)).exit_code(), 7);
        assert_eq!(of_process(ProcessStatus::from_raw(Signal::SIGKILL as i32)).exit_code(), 137);
    }
}

//! Processes beside a container's first one, with its environment and its mark: they end with the container.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;

use super::exit_code;
use crate::launcher::second::{Hold, Program, Second};
use crate::launcher::spawner::{self, Leader};

/// What a container's processes have in common.
pub(crate) struct Beside {
    pub(crate) variables: Vec<(String, OsString)>,
    pub(crate) directory: PathBuf,
}

/// A process beside the first one; it leads a session of its own.
#[derive(Debug)]
pub(crate) struct Companion {
    child: Child,
    pid: Pid,
    /// Readable when the process has ended.
    pidfd: AsyncFd<OwnedFd>,
    /// The master's side of its terminal.
    terminal: Option<OwnedFd>,
    exit_code: Option<i32>,
}

impl Beside {
    pub(in crate::launcher) async fn start(&self, program: &Program) -> io::Result<Second> {
        let (name, arguments) = program.argv.split_first().ok_or(io::ErrorKind::NotFound)?;
        let mut command = Command::new(name);
        let pairs = |pairs: &[(String, String)]| pairs.to_vec();
        command
            .args(arguments)
            .env_clear()
            .envs(pairs(&program.defaults))
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.envs(pairs(&program.variables)).current_dir(&self.directory);
        if program.has_terminal { with_terminal(command).await } else { with_pipes(command).await }
    }
}

async fn with_terminal(mut command: Command) -> io::Result<Second> {
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags)?;
    unlockpt(&master)?;
    let slave = ioctl_tiocgptpeer(&master, flags)?;
    rustix::io::ioctl_fionbio(&master, true)?;
    command.stdin(slave.try_clone()?).stdout(slave.try_clone()?).stderr(slave);
    let child = spawner::spawn(command, Leader::OfTerminal).await?;
    let companion = Companion::watch(child, Some(master.try_clone()?))?;
    // A terminal is read and written as a pipe is; at its end reading fails.
    Ok(Second {
        input: Some(Box::new(pipe::Sender::from_owned_fd_unchecked(master.try_clone()?)?)),
        output: Box::new(pipe::Receiver::from_owned_fd_unchecked(master)?),
        errors: None,
        hold: Hold::Process(companion),
    })
}

async fn with_pipes(mut command: Command) -> io::Result<Second> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawner::spawn(command, Leader::OfSession).await?;
    let outputs = [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
    let companion = Companion::watch(child, None)?;
    let [Some(output), Some(errors)] = outputs else { return Err(io::Error::other("it has no output")) };
    Ok(Second {
        input: None,
        output: Box::new(pipe::Receiver::from_owned_fd(output)?),
        errors: Some(Box::new(pipe::Receiver::from_owned_fd(errors)?)),
        hold: Hold::Process(companion),
    })
}

impl Companion {
    fn watch(mut child: Child, terminal: Option<OwnedFd>) -> io::Result<Self> {
        let watched = pidfd_open(rustix::process::Pid::from_child(&child), PidfdFlags::empty())
            .map_err(io::Error::from)
            .and_then(crate::sys::readable);
        // Process ids fit in 22 bits.
        match watched.and_then(|pidfd| Ok((pidfd, i32::try_from(child.id()).map_err(io::Error::other)?))) {
            Ok((pidfd, pid)) => Ok(Self { child, pid: Pid::from_raw(pid), pidfd, terminal, exit_code: None }),
            Err(error) => {
                let _ = child.kill().and_then(|()| child.wait());
                Err(error)
            }
        }
    }

    pub(in crate::launcher) fn resize(&self, columns: u16, rows: u16) {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        if let Some(terminal) = &self.terminal {
            // Fails on a terminal that is gone only.
            let _ = tcsetwinsize(terminal.as_fd(), size);
        }
    }

    pub(in crate::launcher) fn signal(&self, signal: Signal) {
        if self.exit_code.is_none() {
            // Not waited for yet: the number is still that of its group.
            let _ = kill(Pid::from_raw(-self.pid.as_raw()), signal);
        }
    }

    pub(in crate::launcher) async fn wait(&mut self) -> i32 {
        // Fails only without a reactor, that is after the runtime.
        let _ = self.pidfd.readable().await;
        self.bury()
    }

    fn bury(&mut self) -> i32 {
        let Self { child, exit_code: known, .. } = self;
        *known.get_or_insert_with(|| child.wait().map_or(255, exit_code))
    }
}

impl Drop for Companion {
    /// A session that is over takes its program with it: a hangup for who hears it, then the end.
    fn drop(&mut self) {
        for signal in [Signal::SIGHUP, Signal::SIGCONT, Signal::SIGKILL] {
            self.signal(signal);
        }
        self.bury();
    }
}

impl std::fmt::Debug for Beside {
    /// Without the variables.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Beside").field("directory", &self.directory).finish_non_exhaustive()
    }
}

//! The role of PID 1: block signals, start `serve`, reap every zombie, forward signals, end as `serve` ended. Synchronous, no
//! threads: a process that reaps everything cannot share its children with a runtime that waits for some of them.

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{Pid, geteuid, getpid, getppid};
use rustix::process::{PidfdFlags, pidfd_open};

use crate::log::{Event, Log};
use crate::{handover, reaper, roles, sys};

/// PID of a container's first process.
const FIRST: Pid = Pid::from_raw(1);

/// The kernel sends these for bugs of ours; blocked, they would spin or kill without a trace.
const FAULTS: [Signal; 6] =
    [Signal::SIGABRT, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGSEGV, Signal::SIGTRAP];

/// Signals for us alone: job control of a terminal that we may have been started from, and our children's ends.
const KEPT: [Signal; 6] =
    [Signal::SIGCHLD, Signal::SIGTSTP, Signal::SIGTTIN, Signal::SIGTTOU, Signal::SIGPIPE, Signal::SIGURG];

/// Runs the role to its end.
pub(crate) fn run(self_args: &[&str]) -> ExitCode {
    let grant = handover::take();
    let log = Log::to_stdout(None);
    let started = Init::start(self_args, &grant);
    drop(grant);
    // From here on `serve` runs and sessions may hang on us: nothing may end this process but the end of `serve`.
    match started.map(Init::wait) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            log.write(&Event::Failed { error: format!("the server cannot be started: {error}") });
            ExitCode::FAILURE
        }
    }
}

struct Init {
    serve: Pid,
    signals: SignalFd,
    /// The process that started us, where that is somebody who can go away.
    parent: Option<OwnedFd>,
}

impl Init {
    fn start(self_args: &[&str], grant: &[u8]) -> io::Result<Self> {
        let mut blocked = SigSet::all();
        FAULTS.iter().for_each(|fault| blocked.remove(*fault));
        blocked.thread_set_mask()?;
        let signals = SignalFd::with_flags(&blocked, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let parent = if getpid() == FIRST {
            None
        } else {
            prctl::set_child_subreaper(true)?;
            watch_parent()
        };
        let mut command = Command::new(own_executable()?);
        command.args(self_args).arg(roles::SERVE).args(owns_machine().then_some(roles::CONTAINER));
        command.env_clear().envs(std::env::vars_os()).stdin(Stdio::piped());
        sys::prepare_serve(&mut command, getpid());
        let mut child = command.spawn()?;
        let serve = Pid::from_raw(child.id().cast_signed());
        if let Some(mut stdin) = child.stdin.take() {
            // No more than `serve` reads, lest we wait for it here. A server that died before is reaped below, with its own code.
            let _ = stdin.write_all(grant);
        }
        Ok(Self { serve, signals, parent })
    }

    /// Waits for the end of `serve`; its exit code.
    fn wait(mut self) -> u8 {
        loop {
            if let Some(code) = reaper::reap(self.serve) {
                if getpid() != FIRST {
                    // The kernel does this when PID 1 ends.
                    reaper::kill_the_rest();
                }
                return code;
            }
            self.await_event();
            while let Ok(Some(info)) = self.signals.read_signal() {
                let signal = i32::try_from(info.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
                if let Some(signal) = signal.filter(|signal| !KEPT.contains(signal)) {
                    self.forward(signal);
                }
            }
        }
    }

    fn await_event(&mut self) {
        let mut watched = vec![PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
        watched.extend(self.parent.as_ref().map(|parent| PollFd::new(parent.as_fd(), PollFlags::POLLIN)));
        let polled = poll(&mut watched, PollTimeout::NONE);
        let orphaned = polled.is_ok() && watched.get(1).and_then(PollFd::any).unwrap_or(false);
        if orphaned {
            self.parent = None;
            self.forward(Signal::SIGTERM);
        }
    }

    fn forward(&self, signal: Signal) {
        // Already a zombie: the next turn reaps it.
        let _ = kill(self.serve, signal);
    }
}

/// The path to start ourselves again by: the kernel's, or the one we were started by where nobody mounted `/proc`.
pub(crate) fn own_executable() -> io::Result<PathBuf> {
    std::env::current_exe().or_else(|error| std::env::args_os().next().map(PathBuf::from).ok_or(error))
}

/// A descriptor that becomes readable when our parent ends. `None` where the kernel has none to give.
fn watch_parent() -> Option<OwnedFd> {
    let parent = rustix::process::Pid::from_raw(getppid().as_raw())?;
    pidfd_open(parent, PidfdFlags::empty()).ok()
}

/// Whether the files below `/etc` are this container's and ours to write: root, as PID 1 or right below an init like tini.
fn owns_machine() -> bool {
    geteuid().is_root() && (getpid() == FIRST || getppid() == FIRST)
}

//! The one place with `unsafe`: what a container's first process does between fork and exec, and the descriptor that tells its end.
#![allow(unsafe_code, reason = "pre_exec runs in the forked child; the reactor must trust a descriptor")]

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt as _;

use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::unistd::{getppid, setsid};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Makes the child lead a session of its own, with its standard input for a terminal if it has one, die with the thread that forks
/// it, and start with no signal blocked.
pub(crate) fn contain(command: &mut std::process::Command, has_terminal: bool) {
    let parent = nix::unistd::getpid();
    let prepare = move || {
        setsid()?;
        if has_terminal {
            rustix::process::ioctl_tiocsctty(rustix::stdio::stdin())?;
        }
        set_pdeathsig(Signal::SIGKILL)?;
        // The parent may have died before the line above took effect.
        if getppid() != parent {
            return Err(io::Error::from_raw_os_error(nix::libc::ESRCH));
        }
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None)?;
        Ok(())
    };
    // SAFETY: between fork and exec only async-signal-safe functions may run and nothing may be allocated: the closure makes
    // at most six system calls through thin wrappers, and builds its errors from numbers.
    unsafe {
        command.pre_exec(prepare);
    }
}

/// Lets the reactor watch a descriptor.
pub(crate) fn readable(descriptor: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: the descriptor must stay open and the same for as long as it is registered: `AsyncFd` owns it until it is dropped,
    // and an `OwnedFd` has one number for life.
    Ok(unsafe { AsyncFd::register_with_interest(descriptor, Interest::READABLE) }?)
}

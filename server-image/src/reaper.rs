//! Reaping: what becomes of processes whose parent does not wait for them.

use std::fs;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpid};

/// What a shell adds to a signal's number.
const SIGNAL_BASE: i32 = 128;
/// Exit code when a process's end is unknown.
const UNKNOWN: u8 = 1;

/// Reaps everything that has ended. `Some` is the exit code of `watched` once it ended: 128 + n when signal n ended it.
pub(crate) fn reap(watched: Pid) -> Option<u8> {
    let mut ended = None;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == watched => ended = Some(u8::try_from(code).unwrap_or(UNKNOWN)),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == watched => {
                ended = Some(u8::try_from(SIGNAL_BASE + signal as i32).unwrap_or(UNKNOWN));
            }
            Ok(WaitStatus::StillAlive) => return ended,
            // A child ended by a real-time signal is reaped all the same; nix has no name for the signal.
            Ok(_) | Err(Errno::EINTR | Errno::EINVAL) => {}
            Err(_) => return ended.or(Some(UNKNOWN)),
        }
    }
}

/// Kills every process that was left to us, and those that are left to us when they die, until nobody is there.
pub(crate) fn kill_the_rest() {
    loop {
        let Some(children) = children_of(getpid()) else { return };
        for child in children {
            // Gone already, or not ours to kill: waitpid below tells.
            let _ = kill(child, Signal::SIGKILL);
        }
        match waitpid(None, None) {
            Ok(_) | Err(Errno::EINTR | Errno::EINVAL) => {}
            Err(_) => return,
        }
    }
}

/// Direct children, from `/proc`; `None` without one.
fn children_of(parent: Pid) -> Option<Vec<Pid>> {
    let entries = fs::read_dir("/proc").ok()?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Some(pids.filter(|pid| parent_of(*pid) == Some(parent)).map(Pid::from_raw).collect())
}

/// The parent of a process, from `/proc`.
pub(crate) fn parent_of(pid: i32) -> Option<Pid> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // "pid (name) state ppid ...": the name may hold spaces and parentheses, so count from its end.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(1)?.parse().ok().map(Pid::from_raw)
}

//! The engine of images that bring OpenSSH: each accepted socket becomes the standard streams of an `sshd -i`, so no byte passes
//! through us and sftp, scp, agents and forwardings are OpenSSH's own. Who may log in, for how long, and with which environment
//! stays ours to say:
//!
//! * `sshd`: finding the server, and the configuration it is given.
//! * `directory`: the public files and the sockets that sshd needs to see.
//! * `agent`: signs with the host key, which stays in this process.
//! * `connection`: one sshd from its start to its end, followed through its log.
//! * `line`: what lines of that log mean.
//! * `desk`: where the sessions' attendants come for the container's environment and report how sessions ended.
//! * `attendant`: the role `session`, between sshd and the user's shell.
//! * `wire`: what desk and attendant say to each other.

mod agent;
pub(crate) mod attendant;
pub(crate) mod connection;
mod desk;
mod directory;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod line;
mod sshd;
mod wire;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::unistd::{Pid, Uid};
use tokio::sync::watch;

use crate::reaper::parent_of;
pub(crate) use sshd::Sshd;

/// Generations between an sshd and a process of its session that are looked through at most.
const GENERATIONS: usize = 64;

/// How far the login over one sshd has come.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Login {
    /// It may still come.
    Awaited,
    /// As this user, from there.
    Done { user: String, uid: Uid, peer: SocketAddr },
    /// The connection is over, or was never let in.
    Gone,
}

/// What connection and desk know of one sshd. Clones are the same.
#[derive(Clone, Debug)]
struct Known {
    login: watch::Receiver<Login>,
    /// Sessions over it whose process ended by itself: not by the hang-up of a closed terminal.
    ended: Arc<AtomicUsize>,
}

/// The sshds that run as our direct children, by process id. Clones are the same table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sshds(Arc<Mutex<HashMap<i32, Known>>>);

impl Sshds {
    fn add(&self, pid: Pid, known: Known) {
        self.table().insert(pid.as_raw(), known);
    }

    fn remove(&self, pid: Pid) {
        self.table().remove(&pid.as_raw());
    }

    fn is_one(&self, pid: i32) -> bool {
        self.table().contains_key(&pid)
    }

    /// The sshd that a process belongs to: the one among its ancestors.
    fn ancestor_of(&self, pid: i32) -> Option<Known> {
        let mut current = pid;
        for _ in 0..GENERATIONS {
            if let Some(known) = self.table().get(&current) {
                return Some(known.clone());
            }
            current = parent_of(current)?.as_raw();
        }
        None
    }

    fn table(&self) -> MutexGuard<'_, HashMap<i32, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

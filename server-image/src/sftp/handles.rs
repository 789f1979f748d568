//! Files and directories that are open, by the handles that clients call them by.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use nix::sys::resource::{Resource, getrlimit};
use rustix::fs::Dir;

use super::failure::Failure;
use super::request::HandleId;
use super::running::Running;

/// Handles that one client may have at most.
const MOST: u64 = 1024;

/// Descriptors that are not for handles: the standard streams and what a single request opens meanwhile.
const SPARE: u64 = 16;

/// An open file.
#[derive(Debug)]
pub(super) struct OpenFile {
    pub(super) file: OwnedFd,
    /// As the log has it.
    pub(super) path: Vec<u8>,
    /// Writes go to its end, wherever the client says.
    pub(super) append: bool,
    /// Bytes read and written.
    pub(super) moved: u64,
    /// The first error of a write.
    pub(super) spoilt: Option<&'static str>,
    /// The digest of what passes, where the client wants it.
    pub(super) running: Option<Running>,
}

#[derive(Debug)]
pub(super) enum Open {
    File(OpenFile),
    Directory(Dir),
}

/// What is open. A handle is never given out twice.
#[derive(Debug)]
pub(super) struct Handles {
    open: HashMap<u64, Open>,
    given: u64,
    most: u64,
}

impl Handles {
    /// As many as the process may have descriptors, and no more than is sensible.
    pub(super) fn new() -> Self {
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(MOST, |(soft, _)| soft);
        Self::bounded(descriptors.saturating_sub(SPARE).clamp(1, MOST))
    }

    pub(super) fn bounded(most: u64) -> Self {
        Self { open: HashMap::new(), given: 0, most }
    }

    pub(super) const fn most(&self) -> u64 {
        self.most
    }

    /// Whether there is room for another.
    pub(super) fn check_room(&self) -> Result<(), Failure> {
        let open = u64::try_from(self.open.len()).unwrap_or(u64::MAX);
        if open < self.most { Ok(()) } else { Err(Failure::TOO_MANY) }
    }

    pub(super) fn add(&mut self, open: Open) -> u64 {
        self.given += 1;
        self.open.insert(self.given, open);
        self.given
    }

    pub(super) fn file(&mut self, handle: HandleId) -> Result<&mut OpenFile, Failure> {
        match handle.and_then(|handle| self.open.get_mut(&handle)) {
            Some(Open::File(file)) => Ok(file),
            _ => Err(Failure::NO_HANDLE),
        }
    }

    pub(super) fn directory(&mut self, handle: HandleId) -> Result<&mut Dir, Failure> {
        match handle.and_then(|handle| self.open.get_mut(&handle)) {
            Some(Open::Directory(directory)) => Ok(directory),
            _ => Err(Failure::NO_HANDLE),
        }
    }

    /// Either kind.
    pub(super) fn any(&self, handle: HandleId) -> Result<&Open, Failure> {
        handle.and_then(|handle| self.open.get(&handle)).ok_or(Failure::NO_HANDLE)
    }

    pub(super) fn remove(&mut self, handle: HandleId) -> Result<Open, Failure> {
        handle.and_then(|handle| self.open.remove(&handle)).ok_or(Failure::NO_HANDLE)
    }

    /// Everything that is left, in the order in which it was opened.
    pub(super) fn remove_all(&mut self) -> Vec<Open> {
        let mut all: Vec<_> = self.open.drain().collect();
        all.sort_unstable_by_key(|(handle, _)| *handle);
        all.into_iter().map(|(_, open)| open).collect()
    }
}

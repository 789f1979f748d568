//! Files between here and the task: over SFTP, many at once, whole or not at all, and compared by digest.
//!
//! [`Direction::of`] reads the places of a command line; [`copy`] does what they say. A file is written under a name of its own
//! beside its place, compared, and only then gets its name. What goes wrong with one file is told, and the others go on.

mod chain;
mod digest;
mod disk;
mod download;
mod error;
mod part;
mod place;
mod receive_tree;
mod send_tree;
mod sftp;
#[cfg(test)]
mod tests;
mod upload;
mod walk;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::sync::CancellationToken;

pub use error::CopyError;
use error::FileError;
pub use place::{Direction, Local, Place, PlaceError};
use sftp::Sftp;
#[cfg(test)]
pub(crate) use sftp::fuzz;

use crate::error::Advice as _;
use crate::ssh::Connection;
use crate::ui::{Meter, Ui};

/// Lanes that files take: so many small files are under way at once.
const LANES: u32 = 32;
/// A file takes one lane for each of these, in bytes: a large one has all of them, since it fills the connection alone.
const LANE_WIDTH: u64 = 128 * 1024;
/// Files that are begun, beside those that have a lane.
const BEGUN: usize = 64;
/// Handles of the server's that are left for directories and others.
const SPARE_HANDLES: u64 = 8;
/// Time for taking away what is not whole, when the copy was stopped.
const SWEEP: Duration = Duration::from_secs(5);

/// What is to be copied, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyRequest {
    /// From where to where.
    pub direction: Direction,
    /// Directories too, with all that is in them.
    pub recursive: bool,
    /// Go on with a part that an earlier copy left, and leave one.
    pub resume: bool,
}

/// What was copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// Files, without directories.
    pub files: u64,
    /// Bytes in them; those that an earlier copy had left are not counted.
    pub bytes: u64,
}

/// Looks at this machine's side of a copy, so that nothing is launched for one that cannot be.
///
/// # Errors
/// [`CopyError::Here`]: a source does not exist, a directory would need the flag, or there is no directory for the destination.
pub fn check(request: &CopyRequest) -> Result<(), CopyError> {
    let checked = match &request.direction {
        Direction::ToTask { sources, .. } => sources.iter().try_for_each(|source| match source {
            Local::Stream => Ok(()),
            Local::Path(path) => disk::check_source(path, request.recursive),
        }),
        Direction::FromTask { destination: Local::Path(path), .. } => disk::check_destination(path),
        Direction::FromTask { destination: Local::Stream, .. } => Ok(()),
    };
    checked.map_err(|error| CopyError::Here { cause: error.to_string(), hints: error.hints() })
}

/// Copies; one SFTP channel is opened for it. Failures of single files are told through `ui` as they come.
///
/// # Errors
/// [`CopyError`]: nothing was or will be left under its final name that is not whole.
pub async fn copy(
    connection: &Connection,
    request: &CopyRequest,
    ui: &Ui,
    cancel: &CancellationToken,
) -> Result<Copied, CopyError> {
    let sftp = tokio::select! {
        opened = Sftp::open(connection) => opened?,
        () = cancel.cancelled() => return Err(CopyError::Cancelled),
    };
    let copier = Copier::new(connection, sftp, request, ui);
    let ended = tokio::select! {
        // Every kind of copy is in it: boxed, it does not travel through every caller's future.
        ended = Box::pin(copier.run(&request.direction)) => ended,
        () = cancel.cancelled() => Err(CopyError::Cancelled),
    };
    ui.clear();
    copier.sweep().await;
    let outcome = ended.and_then(|()| copier.outcome());
    copier.sftp.close().await;
    match outcome {
        Err(CopyError::Sftp { .. }) if copier.connection.is_closed() => {
            Err(CopyError::Lost { cause: connection.closed().await, resume: request.resume })
        }
        outcome => outcome,
    }
}

/// One copy under way.
struct Copier<'a> {
    connection: &'a Connection,
    sftp: Sftp,
    ui: &'a Ui,
    meter: Meter,
    recursive: bool,
    resume: bool,
    lanes: Semaphore,
    parts: Mutex<Parts>,
    tally: Tally,
}

/// Names under which something is not whole.
#[derive(Debug, Default)]
struct Parts {
    here: BTreeSet<PathBuf>,
    in_task: BTreeSet<Vec<u8>>,
}

#[derive(Debug, Default)]
struct Tally {
    all: AtomicU64,
    failed: AtomicU64,
    files: AtomicU64,
    bytes: AtomicU64,
}

impl<'a> Copier<'a> {
    fn new(connection: &'a Connection, sftp: Sftp, request: &CopyRequest, ui: &'a Ui) -> Self {
        let handles = sftp.limits().handles.saturating_sub(SPARE_HANDLES).max(1);
        let lanes = usize::try_from(handles).unwrap_or(usize::MAX).min(LANES as usize);
        Self {
            connection,
            sftp,
            ui,
            meter: ui.meter(),
            recursive: request.recursive,
            resume: request.resume,
            lanes: Semaphore::new(lanes),
            parts: Mutex::default(),
            tally: Tally::default(),
        }
    }

    async fn run(&self, direction: &Direction) -> Result<(), CopyError> {
        match direction {
            Direction::ToTask { sources, destination } => self.send(sources, destination).await,
            Direction::FromTask { sources, destination: Local::Path(path) } => self.receive(sources, path).await,
            Direction::FromTask { sources, destination: Local::Stream } => {
                for source in sources {
                    self.count();
                    self.settle(self.download_stream(source).await)?;
                }
                Ok(())
            }
        }
    }

    /// Takes away what is not whole, unless it is to be gone on with. Of a copy that came to its end there is nothing.
    async fn sweep(&self) {
        let parts = std::mem::take(&mut *self.lock_parts());
        if self.resume {
            return;
        }
        let here = parts.here;
        let swept = disk::blocking(move || {
            here.iter().for_each(|part| drop(std::fs::remove_file(part)));
            Ok(())
        });
        // What is not there any more is as good as removed.
        let _ = swept.await;
        let sweeping = async {
            for part in &parts.in_task {
                // With the connection lost, it goes with the task.
                if self.sftp.remove(part).await.is_err_and(|error| error.is_end()) {
                    break;
                }
            }
        };
        let _ = tokio::time::timeout(SWEEP, sweeping).await;
    }

    fn outcome(&self) -> Result<Copied, CopyError> {
        let [all, failed, files, bytes] = [&self.tally.all, &self.tally.failed, &self.tally.files, &self.tally.bytes]
            .map(|count| count.load(Ordering::Relaxed));
        if failed == 0 { Ok(Copied { files, bytes }) } else { Err(CopyError::Incomplete { failed, all }) }
    }

    /// One more file or directory.
    fn count(&self) {
        self.tally.all.fetch_add(1, Ordering::Relaxed);
    }

    fn count_file(&self) {
        self.tally.files.fetch_add(1, Ordering::Relaxed);
    }

    fn moved(&self, bytes: u64) {
        self.tally.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.meter.moved(bytes);
    }

    /// Tells a failure, unless it is one of everything.
    fn settle(&self, result: Result<(), FileError>) -> Result<(), CopyError> {
        match result {
            Ok(()) => Ok(()),
            Err(FileError::Remote { source, .. }) if source.is_end() => Err(source.into()),
            Err(error) => {
                self.tally.failed.fetch_add(1, Ordering::Relaxed);
                self.ui.error(&error);
                Ok(())
            }
        }
    }

    /// Does something else while files are under way.
    async fn beside<T, F>(
        &self,
        under_way: &mut FuturesUnordered<F>,
        work: impl Future<Output = T>,
    ) -> Result<T, CopyError>
    where
        F: Future<Output = Result<(), FileError>>,
    {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                Some(ended) = under_way.next(), if !under_way.is_empty() => self.settle(ended)?,
            }
        }
    }

    /// Waits until only `most` files are under way.
    async fn wait_for<F>(&self, under_way: &mut FuturesUnordered<F>, most: usize) -> Result<(), CopyError>
    where
        F: Future<Output = Result<(), FileError>>,
    {
        while under_way.len() > most {
            if let Some(ended) = under_way.next().await {
                self.settle(ended)?;
            }
        }
        Ok(())
    }

    /// The right to move a file of this size.
    async fn lanes(&self, size: u64) -> Option<SemaphorePermit<'_>> {
        let lanes = u32::try_from(size / LANE_WIDTH + 1).unwrap_or(u32::MAX).min(LANES);
        // Few handles make few lanes.
        let lanes = lanes.min(u32::try_from(self.lanes_in_all()).unwrap_or(LANES)).max(1);
        // It is never closed.
        self.lanes.acquire_many(lanes).await.ok()
    }

    fn lanes_in_all(&self) -> u64 {
        self.sftp.limits().handles.saturating_sub(SPARE_HANDLES).max(1).min(u64::from(LANES))
    }

    fn lock_parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

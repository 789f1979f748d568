//! A tree on its way: its directories one after the other, and beside them the files in them.

use std::sync::Arc;

use futures_util::stream::FuturesUnordered;

use super::chain::Chain;
use super::error::{CopyError, FileError};
use super::sftp::Attributes;
use super::{BEGUN, Copier};

/// Mode of a directory that is being filled.
pub(super) const FILLING: u32 = 0o700;

/// A directory that is to be copied, from a path of one side to a path of the other.
pub(super) struct Step<Source, Target, Identity> {
    pub(super) source: Source,
    pub(super) target: Target,
    pub(super) original: Attributes,
    pub(super) chain: Arc<Chain<Identity>>,
}

/// What an entry of a directory turns out to be.
pub(super) enum Sorted<Step, File> {
    File {
        /// In bytes, as far as it is known.
        size: u64,
        file: File,
    },
    Directory(Step),
    /// It has been told that it is not copied.
    Passed,
}

/// Directories that are to come, and files that are under way.
pub(super) struct Walk<'a, Step, Moving> {
    copier: &'a Copier<'a>,
    steps: Vec<Step>,
    under_way: FuturesUnordered<Moving>,
}

impl<'a, Step, Moving> Walk<'a, Step, Moving>
where
    Moving: Future<Output = Result<(), FileError>>,
{
    pub(super) fn new(copier: &'a Copier<'a>, top: Step) -> Self {
        Self { copier, steps: vec![top], under_way: FuturesUnordered::new() }
    }

    /// The next directory.
    pub(super) fn step(&mut self) -> Option<Step> {
        self.steps.pop()
    }

    /// Does something with a directory while files are under way. `None` where it failed, which is told.
    pub(super) async fn beside<T>(
        &mut self,
        work: impl Future<Output = Result<T, FileError>>,
    ) -> Result<Option<T>, CopyError> {
        match self.copier.beside(&mut self.under_way, work).await? {
            Ok(done) => Ok(Some(done)),
            Err(error) => {
                self.copier.settle(Err(error))?;
                Ok(None)
            }
        }
    }

    /// Takes an entry up: a directory is for later, and a file is begun.
    pub(super) async fn take<File>(
        &mut self,
        entry: Result<Sorted<Step, File>, FileError>,
        begin: impl FnOnce(File) -> Moving,
    ) -> Result<(), CopyError> {
        self.copier.count();
        match entry {
            Err(error) => self.copier.settle(Err(error)),
            Ok(Sorted::Passed) => Ok(()),
            Ok(Sorted::Directory(step)) => {
                self.steps.push(step);
                Ok(())
            }
            Ok(Sorted::File { size, file }) => {
                self.copier.meter.expect(size);
                self.under_way.push(begin(file));
                self.copier.wait_for(&mut self.under_way, BEGUN).await
            }
        }
    }

    /// Waits for the files that are still under way.
    pub(super) async fn end(mut self) -> Result<(), CopyError> {
        self.copier.wait_for(&mut self.under_way, 0).await
    }
}

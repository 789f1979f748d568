//! Files and directories into the task.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::stream::FuturesUnordered;

use super::chain::Chain;
use super::disk::{self, blocking};
use super::error::{CopyError, FileError};
use super::place::{Local, base_name, join, shown, shown_local};
use super::sftp::{Attributes, Kind, SftpError};
use super::{BEGUN, Copier};

/// Mode of a directory that is being filled.
const FILLING: u32 = 0o700;

/// A directory that is to be copied.
struct Step {
    source: PathBuf,
    target: Vec<u8>,
    original: Attributes,
    /// By device and inode.
    chain: Arc<Chain<(u64, u64)>>,
}

/// What a directory holds, symbolic links followed.
struct Entry {
    path: PathBuf,
    found: io::Result<std::fs::Metadata>,
}

impl Copier<'_> {
    /// Copies into the task as `scp` does: into `destination` if that is a directory, else to that name.
    pub(super) async fn send(&self, sources: &[Local], destination: &[u8]) -> Result<(), CopyError> {
        let there = match self.sftp.find(destination).await.map_err(FileError::remote("look at", destination)) {
            Ok(there) => there,
            Err(error) => {
                self.count();
                return self.settle(Err(error));
            }
        };
        let into = there.is_some_and(|there| there.kind() == Kind::Directory);
        if !into && (sources.len() > 1 || destination.ends_with(b"/")) {
            self.count();
            return self.settle(Err(FileError::NotADirectory { path: shown(destination) }));
        }
        for source in sources {
            self.count();
            match source {
                Local::Stream if into => {
                    self.settle(Err(FileError::NotAFile { path: shown(destination) }))?;
                }
                Local::Stream => self.settle(self.upload_stream(destination.to_vec()).await)?,
                Local::Path(path) => self.send_one(path, destination, into).await?,
            }
        }
        Ok(())
    }

    async fn send_one(&self, source: &Path, destination: &[u8], into: bool) -> Result<(), CopyError> {
        let at = source.to_owned();
        let found = blocking(move || std::fs::metadata(at)).await.map_err(FileError::local("read", source));
        let metadata = match found {
            Ok(metadata) => metadata,
            Err(error) => return self.settle(Err(error)),
        };
        let target = match base_name(source.as_os_str().as_bytes()) {
            Some(name) if into => join(destination, name),
            _ => destination.to_vec(),
        };
        if metadata.is_file() {
            self.meter.expect(metadata.len());
            return self.settle(self.upload(source.to_owned(), metadata.len(), target, false).await);
        }
        if !metadata.is_dir() {
            self.pass_over(&shown_local(source));
            return Ok(());
        }
        if !self.recursive {
            return self.settle(Err(FileError::Directory { path: shown_local(source) }));
        }
        let chain = Chain::top((metadata.dev(), metadata.ino()));
        let original = disk::attributes(&metadata);
        self.send_tree(Step { source: source.to_owned(), target, original, chain }).await
    }

    async fn send_tree(&self, top: Step) -> Result<(), CopyError> {
        let mut under_way = FuturesUnordered::new();
        let mut steps = vec![top];
        let mut made = Vec::new();
        while let Some(step) = steps.pop() {
            let fresh = match self.beside(&mut under_way, self.make_directory(&step.target)).await? {
                Ok(fresh) => fresh,
                Err(error) => {
                    self.settle(Err(error))?;
                    continue;
                }
            };
            if fresh {
                made.push((step.target.clone(), step.original));
            }
            let at = step.source.clone();
            let listed = self.beside(&mut under_way, blocking(move || list(&at))).await?;
            let entries = match listed.map_err(FileError::local("read", &step.source)) {
                Ok(entries) => entries,
                Err(error) => {
                    self.settle(Err(error))?;
                    continue;
                }
            };
            for entry in entries {
                self.count();
                match self.sort(&step, entry) {
                    Err(error) => self.settle(Err(error))?,
                    Ok(Sorted::Passed) => {}
                    Ok(Sorted::Directory(step)) => steps.push(step),
                    Ok(Sorted::File { source, size, target }) => {
                        self.meter.expect(size);
                        under_way.push(self.upload(source, size, target, fresh));
                        self.wait_for(&mut under_way, BEGUN).await?;
                    }
                }
            }
        }
        self.wait_for(&mut under_way, 0).await?;
        // Deepest first: what is made unwritable or unsearchable has nothing left to be done in it.
        for (target, original) in made.into_iter().rev() {
            let like = Attributes { permissions: original.mode(), times: original.times, ..Attributes::default() };
            let set = self.sftp.setstat(&target, &like).await;
            self.settle(set.map_err(FileError::remote("set mode and times of", &target)))?;
        }
        Ok(())
    }

    fn sort(&self, step: &Step, entry: Entry) -> Result<Sorted, FileError> {
        let metadata = entry.found.map_err(FileError::local("read", &entry.path))?;
        let name = entry.path.file_name().unwrap_or_default().as_bytes();
        let target = join(&step.target, name);
        if metadata.is_file() {
            return Ok(Sorted::File { size: metadata.len(), source: entry.path, target });
        }
        if !metadata.is_dir() {
            self.pass_over(&shown_local(&entry.path));
            return Ok(Sorted::Passed);
        }
        let Some(chain) = Chain::below(&step.chain, (metadata.dev(), metadata.ino())) else {
            return Err(FileError::Loop { path: shown_local(&entry.path) });
        };
        Ok(Sorted::Directory(Step { source: entry.path, target, original: disk::attributes(&metadata), chain }))
    }

    /// Whether it is of our own making: otherwise it was there.
    async fn make_directory(&self, path: &[u8]) -> Result<bool, FileError> {
        let cannot = || FileError::remote("make the directory", path);
        let refused = match self.sftp.mkdir(path, FILLING).await {
            Ok(()) => return Ok(true),
            Err(error) if error.is_end() => return Err(cannot()(error)),
            Err(refused @ SftpError::Status { .. }) => refused,
            Err(error) => error,
        };
        match self.sftp.find(path).await.map_err(cannot())?.map(|there| there.kind()) {
            Some(Kind::Directory) => Ok(false),
            Some(_) => Err(FileError::NotADirectory { path: shown(path) }),
            None => Err(cannot()(refused)),
        }
    }

    /// Sockets, pipes and devices have no content of their own.
    pub(super) fn pass_over(&self, path: &str) {
        self.ui.warn(&format!("{path} is neither a file nor a directory: it is passed over"));
    }
}

enum Sorted {
    File { source: PathBuf, size: u64, target: Vec<u8> },
    Directory(Step),
    Passed,
}

fn list(directory: &Path) -> io::Result<Vec<Entry>> {
    let entry = |entry: io::Result<std::fs::DirEntry>| {
        let path = entry?.path();
        let found = std::fs::metadata(&path);
        Ok(Entry { path, found })
    };
    std::fs::read_dir(directory)?.map(entry).collect()
}

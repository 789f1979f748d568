//! Files and directories into the task.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::Copier;
use super::chain::Chain;
use super::disk::{self, blocking};
use super::error::{CopyError, FileError};
use super::place::{Local, base_name, join, shown, shown_local};
use super::sftp::{Attributes, Kind, SftpError};
use super::walk::{self, FILLING, Sorted, Walk};

/// A directory of ours, known by its device and inode.
type Step = walk::Step<PathBuf, Vec<u8>, (u64, u64)>;

/// A file of the tree, and its place in the task.
struct Leaf {
    source: PathBuf,
    size: u64,
    target: Vec<u8>,
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
        let mut walk = Walk::new(self, top);
        let mut made = Vec::new();
        while let Some(step) = walk.step() {
            let Some(fresh) = walk.beside(self.make_directory(&step.target)).await? else { continue };
            if fresh {
                made.push((step.target.clone(), step.original));
            }
            let Some(entries) = walk.beside(list(&step.source)).await? else { continue };
            for entry in entries {
                let begin = |Leaf { source, size, target }| self.upload(source, size, target, fresh);
                walk.take(self.sort(&step, entry), begin).await?;
            }
        }
        walk.end().await?;
        // Deepest first: what is made unwritable or unsearchable has nothing left to be done in it.
        for (target, original) in made.into_iter().rev() {
            let like = Attributes { permissions: original.mode(), times: original.times, ..Attributes::default() };
            let set = self.sftp.setstat(&target, &like).await;
            self.settle(set.map_err(FileError::remote("set mode and times of", &target)))?;
        }
        Ok(())
    }

    fn sort(&self, step: &Step, entry: Entry) -> Result<Sorted<Step, Leaf>, FileError> {
        let metadata = entry.found.map_err(FileError::local("read", &entry.path))?;
        let name = entry.path.file_name().unwrap_or_default().as_bytes();
        let target = join(&step.target, name);
        if metadata.is_file() {
            let (size, source) = (metadata.len(), entry.path);
            return Ok(Sorted::File { size, file: Leaf { source, size, target } });
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

async fn list(directory: &Path) -> Result<Vec<Entry>, FileError> {
    let entry = |entry: io::Result<std::fs::DirEntry>| {
        let path = entry?.path();
        let found = std::fs::metadata(&path);
        Ok(Entry { path, found })
    };
    let at = directory.to_owned();
    let listed = blocking(move || std::fs::read_dir(at)?.map(entry).collect());
    listed.await.map_err(FileError::local("read", directory))
}

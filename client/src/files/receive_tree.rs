//! Files and directories out of the task.

use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::Copier;
use super::chain::Chain;
use super::disk::{self, blocking};
use super::error::{CopyError, FileError};
use super::place::{base_name, is_name, join, local_name, shown, shown_local};
use super::sftp::{Attributes, Kind, Name, SftpError};
use super::walk::{self, FILLING, Sorted, Walk};

/// A directory of the task's, known by its real path.
type Step = walk::Step<Vec<u8>, PathBuf, Bytes>;

/// A file of the tree, and its place here.
struct Leaf {
    source: Vec<u8>,
    original: Attributes,
    target: PathBuf,
}

/// An entry of a directory, symbolic links followed.
struct Entry {
    source: Vec<u8>,
    name: Bytes,
    found: Result<Found, FileError>,
}

struct Found {
    attributes: Attributes,
    /// Where a link leads to.
    real: Option<Bytes>,
}

impl Copier<'_> {
    /// Copies out of the task as `scp` does: into `destination` if that is a directory, else to that name.
    pub(super) async fn receive(&self, sources: &[Vec<u8>], destination: &Path) -> Result<(), CopyError> {
        let at = destination.to_owned();
        let into = blocking(move || Ok(at.is_dir())).await.unwrap_or(false);
        let must_be = sources.len() > 1 || destination.as_os_str().as_encoded_bytes().ends_with(b"/");
        if !into && must_be {
            self.count();
            return self.settle(Err(FileError::NotADirectory { path: shown_local(destination) }));
        }
        for source in sources {
            self.count();
            self.receive_one(source, destination, into).await?;
        }
        Ok(())
    }

    async fn receive_one(&self, source: &[u8], destination: &Path, into: bool) -> Result<(), CopyError> {
        let original = match self.sftp.stat(source).await.map_err(FileError::remote("read", source)) {
            Ok(original) => original,
            Err(error) => return self.settle(Err(error)),
        };
        let target = match base_name(source) {
            Some(name) if into => destination.join(local_name(name)),
            _ => destination.to_owned(),
        };
        match original.kind() {
            Kind::File => {
                self.meter.expect(original.size.unwrap_or(0));
                self.settle(self.download(source.to_vec(), original, target, false).await)
            }
            Kind::Directory if !self.recursive => self.settle(Err(FileError::Directory { path: shown(source) })),
            Kind::Directory => {
                let real = match self.sftp.realpath(source).await.map_err(FileError::remote("read", source)) {
                    Ok(real) => real,
                    Err(error) => return self.settle(Err(error)),
                };
                let chain = Chain::top(real);
                self.receive_tree(Step { source: source.to_vec(), target, original, chain }).await
            }
            Kind::Symlink | Kind::Special => {
                self.pass_over(&shown(source));
                Ok(())
            }
        }
    }

    async fn receive_tree(&self, top: Step) -> Result<(), CopyError> {
        let mut walk = Walk::new(self, top);
        let mut made = Vec::new();
        while let Some(step) = walk.step() {
            let Some(fresh) = walk.beside(make_directory(&step.target)).await? else { continue };
            if fresh {
                made.push((step.target.clone(), step.original));
            }
            let Some(entries) = walk.beside(self.list(&step.source)).await? else { continue };
            for entry in entries {
                let begin = |Leaf { source, original, target }| self.download(source, original, target, fresh);
                walk.take(self.sort_theirs(&step, entry), begin).await?;
            }
        }
        walk.end().await?;
        // Deepest first: what is made unwritable or unsearchable has nothing left to be done in it.
        for (target, original) in made.into_iter().rev() {
            let at = target.clone();
            let set = blocking(move || disk::make_like(&std::fs::File::open(at)?, &original)).await;
            self.settle(set.map_err(FileError::local("set mode and times of", target)))?;
        }
        Ok(())
    }

    fn sort_theirs(&self, step: &Step, entry: Entry) -> Result<Sorted<Step, Leaf>, FileError> {
        let Found { attributes, real } = entry.found?;
        let target = step.target.join(local_name(&entry.name));
        match attributes.kind() {
            Kind::File => {
                let file = Leaf { source: entry.source, original: attributes, target };
                Ok(Sorted::File { size: attributes.size.unwrap_or(0), file })
            }
            Kind::Symlink | Kind::Special => {
                self.pass_over(&shown(&entry.source));
                Ok(Sorted::Passed)
            }
            Kind::Directory => {
                let real = real.unwrap_or_else(|| join(&step.chain.own, &entry.name).into());
                let Some(chain) = Chain::below(&step.chain, real) else {
                    return Err(FileError::Loop { path: shown(&entry.source) });
                };
                Ok(Sorted::Directory(Step { source: entry.source, target, original: attributes, chain }))
            }
        }
    }

    async fn list(&self, directory: &[u8]) -> Result<Vec<Entry>, FileError> {
        let cannot_read = || FileError::remote("read", directory);
        let handle = self.sftp.opendir(directory).await.map_err(cannot_read())?;
        let mut names = Vec::new();
        let read = loop {
            match self.sftp.readdir(&handle).await {
                Ok(None) => break Ok(()),
                Ok(Some(more)) => names.extend(more),
                Err(error) => break Err(error),
            }
        };
        let closed = self.sftp.close_handle(&handle).await;
        read.and(closed).map_err(cannot_read())?;
        let mut entries = Vec::with_capacity(names.len());
        for Name { name, attributes } in names {
            if matches!(name.as_ref(), b"." | b"..") {
                continue;
            }
            let source = join(directory, &name);
            let found = if is_name(&name) {
                self.follow(&source, attributes).await.map_err(FileError::remote("read", &source))
            } else {
                Err(FileError::Name { name: shown(&name), directory: shown(directory) })
            };
            entries.push(Entry { source, name, found });
        }
        Ok(entries)
    }

    async fn follow(&self, path: &[u8], attributes: Attributes) -> Result<Found, SftpError> {
        if attributes.kind() != Kind::Symlink {
            return Ok(Found { attributes, real: None });
        }
        let attributes = self.sftp.stat(path).await?;
        let real = if attributes.kind() == Kind::Directory { Some(self.sftp.realpath(path).await?) } else { None };
        Ok(Found { attributes, real })
    }
}

/// Whether it is of our own making: otherwise it was there.
async fn make_directory(path: &Path) -> Result<bool, FileError> {
    let at = path.to_owned();
    let made = blocking(move || match std::fs::DirBuilder::new().mode(FILLING).create(&at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && at.is_dir() => Ok(false),
        Err(error) => Err(error),
    });
    made.await.map_err(FileError::local("make the directory", path))
}

//! One file into the task.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;

use super::disk::{self, Piece, Sum};
use super::error::FileError;
use super::part;
use super::place::{join, shown, shown_local, split};
use super::sftp::{Attributes, Kind, OpenFlags, SftpError};
use super::{Copier, digest};

/// Bytes of one file that are sent and not answered yet.
const WINDOW: usize = 4 * 1024 * 1024;
/// Mode of what is not whole.
const PART_MODE: u32 = 0o600;
/// Mode of what came as a stream and has none of its own.
const STREAM_MODE: u32 = 0o644;

/// Content on its way out.
struct Outgoing {
    file: File,
    /// What the copy is to be like.
    original: Attributes,
    /// Its name, for people; a stream has none.
    name: Option<PathBuf>,
}

impl Outgoing {
    fn cannot_read(&self) -> impl FnOnce(std::io::Error) -> FileError + use<> {
        let name = self.name.clone();
        move |source| match name {
            Some(path) => FileError::Local { action: "read", path, source },
            None => FileError::Stream { action: "read standard input", source },
        }
    }
}

impl Copier<'_> {
    /// Copies a file of about `size` bytes to `target`; when that is in a directory of our own making, nothing can be there yet.
    pub(super) async fn upload(
        &self,
        source: PathBuf,
        size: u64,
        target: Vec<u8>,
        fresh: bool,
    ) -> Result<(), FileError> {
        let _lanes = self.lanes(size).await;
        let (file, metadata) = disk::open(source.clone()).await.map_err(FileError::local("read", &source))?;
        if !metadata.is_file() {
            return Err(FileError::NotAFile { path: shown_local(&source) });
        }
        let target = if fresh { target } else { self.place_in_task(target).await? };
        let outgoing = Outgoing { file, original: disk::attributes(&metadata), name: Some(source) };
        self.deliver(outgoing, &target).await
    }

    /// Copies our standard input to `target`.
    pub(super) async fn upload_stream(&self, target: Vec<u8>) -> Result<(), FileError> {
        let stdin = std::io::stdin().as_fd().try_clone_to_owned();
        let stdin = stdin.map_err(|source| FileError::Stream { action: "read standard input", source })?;
        let target = self.place_in_task(target).await?;
        let original = Attributes { permissions: Some(STREAM_MODE), ..Attributes::default() };
        self.deliver(Outgoing { file: File::from(stdin), original, name: None }, &target).await
    }

    /// Where a file is really written: through a symbolic link, if one has its name.
    async fn place_in_task(&self, target: Vec<u8>) -> Result<Vec<u8>, FileError> {
        match self.sftp.find(&target).await.map_err(FileError::remote("look at", &target))?.map(|there| there.kind()) {
            None => Ok(target),
            Some(Kind::File) => {
                Ok(self.sftp.realpath(&target).await.map_err(FileError::remote("look at", &target))?.to_vec())
            }
            Some(_) => Err(FileError::NotAFile { path: shown(&target) }),
        }
    }

    /// Writes beside `target`, and gives it the name when it is whole.
    async fn deliver(&self, outgoing: Outgoing, target: &[u8]) -> Result<(), FileError> {
        let (directory, name) = split(target);
        let (part, flags) = if self.resume {
            (join(directory, &part::resumable(name)), OpenFlags::CONTINUED)
        } else {
            (join(directory, &part::once(name)), OpenFlags::NEW)
        };
        self.lock_parts().in_task.insert(part.clone());
        let named = self.deliver_as(&part, flags, outgoing, target).await;
        self.lock_parts().in_task.remove(&part);
        named
    }

    async fn deliver_as(
        &self,
        part: &[u8],
        flags: OpenFlags,
        outgoing: Outgoing,
        target: &[u8],
    ) -> Result<(), FileError> {
        let handle = self.sftp.open_file(part, flags, PART_MODE).await.map_err(FileError::remote("write", target))?;
        let filled = self.fill(outgoing, &handle, part, target).await;
        let closed = self.sftp.close_handle(&handle).await.map_err(FileError::remote("write", target));
        let named = match filled.and(closed) {
            Ok(()) => self.sftp.replace(part, target).await.map_err(FileError::remote("write", target)),
            failed => failed,
        };
        match &named {
            Ok(()) => self.count_file(),
            // The end of the connection is the end of this too.
            Err(error) if error.is_end() || self.resume => {}
            Err(_) => drop(self.sftp.remove(part).await),
        }
        named
    }

    async fn fill(&self, mut outgoing: Outgoing, handle: &Bytes, part: &[u8], target: &[u8]) -> Result<(), FileError> {
        let cannot_read = outgoing.cannot_read();
        let expected = outgoing.original.size.filter(|_| outgoing.name.is_some()).unwrap_or(0);
        let is_small = outgoing.name.is_some() && expected < digest::WORTH_FOLLOWING;
        if !is_small {
            // In vain, the server reads the file again.
            self.sftp
                .follow(handle)
                .await
                .or_else(SftpError::unless_end)
                .map_err(FileError::remote("write", target))?;
        }
        let begun = if self.resume && outgoing.name.is_some() {
            let (file, begun) = self.begun_in_task(outgoing.file, handle, part, target).await?;
            outgoing.file = file;
            begun
        } else {
            Sum::default()
        };
        let length = self.sftp.limits().write as usize;
        // What is small is read in one piece, and has no buffer that is larger than it.
        let length = if is_small { length.min(usize::try_from(expected).unwrap_or(length) + 1) } else { length };
        let (pieces, reading) = disk::read_pieces(outgoing.file, handle.clone(), length, begun);
        let written = self.write_all(pieces).await.map_err(FileError::remote("write", target));
        // When writing failed, the reader has nobody to read for: a stream may keep it waiting all the same.
        written?;
        let sum = reading.await.unwrap_or_else(|lost| Err(std::io::Error::other(lost))).map_err(cannot_read)?;
        let length = sum.length;
        if length < expected {
            let path = outgoing.name.as_deref().map(shown_local).unwrap_or_default();
            return Err(FileError::Shorter { path });
        }
        let here = (length, sum.digest());
        let like = Attributes {
            permissions: outgoing.original.mode(),
            times: outgoing.original.times,
            ..Attributes::default()
        };
        let (compared, made_like) = tokio::join!(
            digest::compare(self.connection, &self.sftp, (handle.as_ref(), part), target, here),
            self.sftp.fsetstat(handle, &like)
        );
        compared?;
        made_like.map_err(FileError::remote("set mode and times of", target))?;
        if length >= disk::WORTH_SYNCING {
            self.sftp.fsync(handle).await.map_err(FileError::remote("write", target))?;
        }
        Ok(())
    }

    /// What an earlier copy left, if it is how our file begins; else the part is emptied.
    async fn begun_in_task(
        &self,
        mut file: File,
        handle: &[u8],
        part: &[u8],
        target: &[u8],
    ) -> Result<(File, Sum), FileError> {
        let cannot = || FileError::remote("go on with", target);
        let there = self.sftp.fstat(handle).await.map_err(cannot())?.size.unwrap_or(0);
        if there == 0 {
            return Ok((file, Sum::default()));
        }
        let read = disk::blocking(move || {
            let sum = disk::sum_of(&mut file, there)?;
            Ok((file, sum))
        });
        let (mut file, sum) = read.await.map_err(FileError::local("read", split_name(target)))?;
        if sum.length == there {
            let digest = digest::of(self.connection, &self.sftp, handle, part, there).await.map_err(cannot())?;
            if digest == sum.clone().digest() {
                self.meter.moved(there);
                return Ok((file, sum));
            }
        }
        let empty = Attributes { size: Some(0), ..Attributes::default() };
        self.sftp.fsetstat(handle, &empty).await.map_err(cannot())?;
        let rewound = disk::blocking(move || {
            std::io::Seek::rewind(&mut file)?;
            Ok(file)
        });
        Ok((rewound.await.map_err(FileError::local("read", split_name(target)))?, Sum::default()))
    }

    async fn write_all(&self, mut pieces: mpsc::Receiver<Piece>) -> Result<(), SftpError> {
        let most = (WINDOW / self.sftp.limits().write as usize).max(1);
        let mut sent = FuturesUnordered::new();
        let mut more = true;
        while more || !sent.is_empty() {
            tokio::select! {
                piece = pieces.recv(), if more && sent.len() < most => match piece {
                    None => more = false,
                    Some(Piece { offset, buffer }) => sent.push(async move {
                        let length = buffer.content_len() as u64;
                        self.sftp.write(offset, buffer).await.map(|()| length)
                    }),
                },
                Some(written) = sent.next(), if !sent.is_empty() => self.moved(written?),
            }
        }
        Ok(())
    }
}

fn split_name(path: &[u8]) -> PathBuf {
    PathBuf::from(super::place::local_name(split(path).1))
}

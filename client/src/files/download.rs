//! One file out of the task.

use std::fs::File;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use tokio::sync::mpsc;

use super::disk::{self, Sum};
use super::error::FileError;
use super::part::LocalPart;
use super::place::{shown, shown_local};
use super::sftp::{Attributes, Kind, OpenFlags, SftpError};
use super::{Copier, digest};

/// Bytes of one file that are asked for and not here yet.
const WINDOW: usize = 4 * 1024 * 1024;

/// A file of the task's that is open.
struct Incoming<'a> {
    path: &'a [u8],
    handle: Bytes,
    original: Attributes,
}

impl Copier<'_> {
    /// Copies a file to `target`; when that is in a directory of our own making, nothing can be there yet.
    pub(super) async fn download(
        &self,
        source: Vec<u8>,
        original: Attributes,
        target: PathBuf,
        fresh: bool,
    ) -> Result<(), FileError> {
        let _lanes = self.lanes(original.size.unwrap_or(0)).await;
        let place = if fresh {
            target
        } else {
            let at = target.clone();
            let place = disk::blocking(move || disk::final_place(&at)).await;
            place
                .map_err(FileError::local("write", &target))?
                .ok_or_else(|| FileError::NotAFile { path: shown_local(&target) })?
        };
        let handle = self.open_in_task(&source).await?;
        let incoming = Incoming { path: &source, handle, original };
        let received = self.receive_file(&incoming, place).await;
        self.close_in_task(incoming).await?;
        received?;
        self.count_file();
        Ok(())
    }

    /// Copies a file to our standard output.
    pub(super) async fn download_stream(&self, source: &[u8]) -> Result<(), FileError> {
        let cannot_write = |source| FileError::Stream { action: "write standard output", source };
        let stdout = File::from(std::io::stdout().as_fd().try_clone_to_owned().map_err(cannot_write)?);
        let original = self.sftp.stat(source).await.map_err(FileError::remote("read", source))?;
        if original.kind() == Kind::Directory {
            return Err(FileError::Directory { path: shown(source) });
        }
        let incoming = Incoming { path: source, handle: self.open_in_task(source).await?, original };
        let received = async {
            self.follow_digest(&incoming).await?;
            let (pieces, writing) = disk::write_pieces(stdout, Sum::default());
            let read = self.read_all(&incoming, 0, pieces).await;
            let written = writing.await.unwrap_or_else(|lost| Err(std::io::Error::other(lost)));
            let (_, sum) = written.map_err(cannot_write)?;
            read?;
            self.check(&incoming, sum).await
        };
        let received = received.await;
        self.close_in_task(incoming).await?;
        received?;
        self.count_file();
        Ok(())
    }

    async fn open_in_task(&self, path: &[u8]) -> Result<Bytes, FileError> {
        self.sftp.open_file(path, OpenFlags::READ, 0).await.map_err(FileError::remote("read", path))
    }

    /// What was only read can be closed without success; only the end of everything counts.
    async fn close_in_task(&self, incoming: Incoming<'_>) -> Result<(), FileError> {
        match self.sftp.close_handle(&incoming.handle).await {
            Err(error) if error.is_end() => Err(FileError::remote("read", incoming.path)(error)),
            _ => Ok(()),
        }
    }

    /// Writes beside `place`, and gives it the name when it is whole.
    async fn receive_file(&self, incoming: &Incoming<'_>, place: PathBuf) -> Result<(), FileError> {
        let part = LocalPart::path_beside(&place, self.resume);
        self.lock_parts().here.insert(part.clone());
        let received = self.receive_as(part.clone(), incoming, place).await;
        self.lock_parts().here.remove(&part);
        received
    }

    async fn receive_as(&self, part: PathBuf, incoming: &Incoming<'_>, place: PathBuf) -> Result<(), FileError> {
        let cannot_write = || FileError::local("write", &place);
        let resume = self.resume;
        let part = disk::blocking(move || LocalPart::open(part, resume)).await.map_err(cannot_write())?;
        self.follow_digest(incoming).await?;
        let (part, begun) = self.begun_here(part, incoming, &place).await?;
        let from = begun.length;
        let (pieces, writing) = disk::write_pieces(part, begun);
        let read = self.read_all(incoming, from, pieces).await;
        let written = writing.await.unwrap_or_else(|lost| Err(std::io::Error::other(lost)));
        // A disk that is full is why nothing more was read.
        let (part, sum) = written.map_err(cannot_write())?;
        read?;
        let length = sum.length;
        self.check(incoming, sum).await?;
        let (original, sync) = (incoming.original, length >= disk::WORTH_SYNCING);
        let at = place.clone();
        disk::blocking(move || part.finish(&at, &original, sync)).await.map_err(cannot_write())
    }

    /// Has the server make the digest while it reads. In vain, it reads the file again.
    async fn follow_digest(&self, incoming: &Incoming<'_>) -> Result<(), FileError> {
        if incoming.original.size.unwrap_or(0) < digest::WORTH_FOLLOWING {
            return Ok(());
        }
        let followed = self.sftp.follow(&incoming.handle).await.or_else(SftpError::unless_end);
        followed.map_err(FileError::remote("read", incoming.path))
    }

    async fn check(&self, incoming: &Incoming<'_>, sum: Sum) -> Result<(), FileError> {
        let here = (sum.length, sum.digest());
        let of = (incoming.handle.as_ref(), incoming.path);
        digest::compare(self.connection, &self.sftp, of, incoming.path, here).await
    }

    /// What an earlier copy left, if it is how the task's file begins; else the part is emptied.
    async fn begun_here(
        &self,
        mut part: LocalPart,
        incoming: &Incoming<'_>,
        place: &std::path::Path,
    ) -> Result<(LocalPart, Sum), FileError> {
        if !self.resume {
            return Ok((part, Sum::default()));
        }
        let size = incoming.original.size.unwrap_or(0);
        let read = disk::blocking(move || {
            let sum = part.sum()?;
            Ok((part, sum))
        });
        let (mut part, sum) = read.await.map_err(FileError::local("read", place))?;
        if sum.length > 0 && sum.length <= size {
            let told = digest::of(self.connection, &self.sftp, &incoming.handle, incoming.path, sum.length).await;
            if told.map_err(FileError::remote("read", incoming.path))? == sum.clone().digest() {
                self.meter.moved(sum.length);
                return Ok((part, sum));
            }
        }
        let emptied = disk::blocking(move || {
            part.empty()?;
            Ok(part)
        });
        Ok((emptied.await.map_err(FileError::local("write", place))?, Sum::default()))
    }

    /// Reads to the end, with many requests under way; the pieces come in order.
    async fn read_all(&self, incoming: &Incoming<'_>, from: u64, pieces: mpsc::Sender<Bytes>) -> Result<(), FileError> {
        let cannot_read = || FileError::remote("read", incoming.path);
        let size = incoming.original.size.unwrap_or(0);
        let length = self.sftp.limits().read;
        let most = (WINDOW / length as usize).max(1);
        let mut asked = FuturesOrdered::new();
        let (mut next, mut received) = (from, from);
        loop {
            while asked.len() < most && next < size {
                asked.push_back(self.read_part(incoming, next, length, size));
                next += u64::from(length);
            }
            let Some(piece) = asked.next().await else { break };
            let piece = piece.map_err(cannot_read())?;
            let expected = u64::from(length).min(size - received);
            if (piece.len() as u64) < expected {
                return Err(FileError::Shorter { path: shown(incoming.path) });
            }
            received += piece.len() as u64;
            self.moved(piece.len() as u64);
            if pieces.send(piece).await.is_err() {
                return Ok(());
            }
        }
        if size > 0 {
            return Ok(());
        }
        // Files of /proc say that they are empty.
        while let Some(piece) = self.sftp.read(&incoming.handle, received, length).await.map_err(cannot_read())? {
            received += piece.len() as u64;
            self.moved(piece.len() as u64);
            if pieces.send(piece).await.is_err() {
                break;
            }
        }
        Ok(())
    }

    /// `length` bytes, less only where the file has no more: a server may give less at a time.
    async fn read_part(
        &self,
        incoming: &Incoming<'_>,
        offset: u64,
        length: u32,
        size: u64,
    ) -> Result<Bytes, SftpError> {
        let want = u32::try_from(size - offset).unwrap_or(u32::MAX).min(length);
        let Some(first) = self.sftp.read(&incoming.handle, offset, want).await? else { return Ok(Bytes::new()) };
        if first.len() as u32 == want {
            return Ok(first);
        }
        let mut part = BytesMut::from(first);
        while (part.len() as u32) < want {
            let left = want - part.len() as u32;
            match self.sftp.read(&incoming.handle, offset + part.len() as u64, left).await? {
                Some(more) => part.extend_from_slice(&more),
                None => break,
            }
        }
        Ok(part.freeze())
    }
}

//! Files of our own side, read and written on threads of their own: a disk that is slow holds up no connection.

use std::fs::{File, FileTimes, Metadata, OpenOptions, Permissions};
use std::io::{self, Read, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, spawn_blocking};

use super::error::FileError;
use super::place::shown_local;
use super::sftp::{Attributes, WriteBuffer};

/// Pieces of a file between the disk's thread and the connection.
const PIECES: usize = 4;
/// Files of at least this size, in bytes, are written to the disk before they get their name: it tells of a full disk that has put
/// the news off. For smaller ones it would take longer than everything else.
pub(super) const WORTH_SYNCING: u64 = 1024 * 1024;
/// How much is read at once for a digest, in bytes.
const DIGEST_READ: usize = 256 * 1024;

/// A piece of a file on its way out.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) offset: u64,
    pub(super) buffer: WriteBuffer,
}

/// What was read or written: how many bytes, from the first of the file on, and their digest.
#[derive(Clone, Debug, Default)]
pub(super) struct Sum {
    pub(super) length: u64,
    pub(super) hash: Sha256,
}

impl Sum {
    pub(super) fn digest(self) -> [u8; 32] {
        self.hash.finalize().into()
    }

    pub(super) fn add(&mut self, content: &[u8]) {
        self.hash.update(content);
        self.length += content.len() as u64;
    }
}

/// Runs on a thread that may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    spawn_blocking(work).await.unwrap_or_else(|lost| Err(io::Error::other(lost)))
}

/// Opens a file to be copied, without waiting for the other end of a pipe.
pub(super) async fn open(path: PathBuf) -> io::Result<(File, Metadata)> {
    blocking(move || {
        let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)?;
        let metadata = file.metadata()?;
        Ok((file, metadata))
    })
    .await
}

/// Reads on from where `sum` stands to the end, in pieces of `length` bytes for the WRITEs of a handle.
pub(super) fn read_pieces(
    mut from: impl Read + Send + 'static,
    handle: Bytes,
    length: usize,
    mut sum: Sum,
) -> (mpsc::Receiver<Piece>, JoinHandle<io::Result<Sum>>) {
    let (pieces_tx, pieces) = mpsc::channel(PIECES);
    let reading = spawn_blocking(move || {
        loop {
            let mut buffer = WriteBuffer::new(&handle, length);
            let read = fill(&mut from, buffer.content())?;
            if read == 0 {
                return Ok(sum);
            }
            buffer.truncate(read);
            let offset = sum.length;
            sum.add(buffer.content());
            // Who does not want any more says elsewhere why.
            if pieces_tx.blocking_send(Piece { offset, buffer }).is_err() {
                return Ok(sum);
            }
        }
    });
    (pieces, reading)
}

/// Writes what comes to the end of `to`, and gives it back when no more comes.
pub(super) fn write_pieces<W: Write + Send + 'static>(
    mut to: W,
    mut sum: Sum,
) -> (mpsc::Sender<Bytes>, JoinHandle<io::Result<(W, Sum)>>) {
    let (pieces, mut pieces_rx) = mpsc::channel::<Bytes>(PIECES);
    let writing = spawn_blocking(move || {
        while let Some(piece) = pieces_rx.blocking_recv() {
            to.write_all(&piece)?;
            sum.add(&piece);
        }
        to.flush()?;
        Ok((to, sum))
    });
    (pieces, writing)
}

/// The sum of the first `length` bytes; the file stands behind them then.
pub(super) fn sum_of(file: &mut File, length: u64) -> io::Result<Sum> {
    file.seek(SeekFrom::Start(0))?;
    let mut sum = Sum::default();
    let mut buffer = vec![0; DIGEST_READ];
    while sum.length < length {
        let want = usize::try_from(length - sum.length).unwrap_or(DIGEST_READ).min(DIGEST_READ);
        let part = buffer.get_mut(..want).unwrap_or_default();
        let read = fill(file, part)?;
        sum.add(part.get(..read).unwrap_or_default());
        if read < want {
            break;
        }
    }
    Ok(sum)
}

/// Gives a file the mode and times of its original.
pub(super) fn make_like(file: &File, original: &Attributes) -> io::Result<()> {
    if let Some(mode) = original.mode() {
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    if let Some((access, change)) = original.times {
        file.set_times(FileTimes::new().set_accessed(at(access)).set_modified(at(change)))?;
    }
    Ok(())
}

/// What a copy of ours is to have: mode and times. SFTP counts seconds in 32 bits, from 1970 on.
pub(super) fn attributes(of: &Metadata) -> Attributes {
    let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
    Attributes {
        size: Some(of.size()),
        permissions: Some(of.mode()),
        times: Some((seconds(of.atime()), seconds(of.mtime()))),
        ..Attributes::default()
    }
}

/// Where a file is really written: through a symbolic link, if one has its name. `None` if that is no place for a file.
pub(super) fn final_place(path: &Path) -> io::Result<Option<PathBuf>> {
    match std::fs::metadata(path) {
        Ok(there) if there.is_file() => std::fs::canonicalize(path).map(Some),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some(path.to_owned())),
        Err(error) => Err(error),
    }
}

/// Whether something can be copied from here.
pub(super) fn check_source(path: &Path, recursive: bool) -> Result<(), FileError> {
    let found = std::fs::metadata(path).map_err(FileError::local("read", path))?;
    if found.is_dir() && !recursive {
        return Err(FileError::Directory { path: shown_local(path) });
    }
    Ok(())
}

/// Whether something can be copied to here.
pub(super) fn check_destination(path: &Path) -> Result<(), FileError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if path.is_dir() || parent.is_dir() {
        return Ok(());
    }
    Err(FileError::NotADirectory { path: shown_local(parent) })
}

fn at(seconds: u32) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::from(seconds))
}

/// Reads until the buffer is full or nothing more comes.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

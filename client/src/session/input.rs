//! Reading standard input so that it can be left at any moment: what is typed after the session belongs to the shell that
//! started us.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use bytes::Bytes;
use nix::poll::PollFlags;
use rustix::buffer::spare_capacity;
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use tokio::net::unix::pipe::Receiver;
use tokio::sync::mpsc;

use super::output::wait_until;

/// Most that is read at once: what a Linux pipe holds (pipe(7)).
const CHUNK: usize = 64 * 1024;
/// Below this a chunk is copied out of its buffer, so that single keystrokes do not each hold 64 KiB while they wait.
const COPY_BELOW: usize = CHUNK / 4;
/// Chunks that the thread may read ahead.
const READ_AHEAD: usize = 2;

/// Standard input, one chunk at a time.
#[derive(Debug)]
pub struct Input {
    source: Source,
    buffer: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    /// Terminals and pipes, through an open file description of our own: the user's keeps its flags.
    Own(Receiver),
    /// Everything else: epoll does not take files and `/dev/null`, and sockets cannot be reopened. Nobody but us reads
    /// these, so a thread may read ahead.
    Thread(mpsc::Receiver<io::Result<Bytes>>),
}

impl Input {
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When the descriptor is not open, or there can be no more threads.
    pub fn open(fd: OwnedFd) -> io::Result<Self> {
        let own = match FileType::from_raw_mode(rustix::fs::fstat(&fd)?.st_mode) {
            FileType::Fifo | FileType::CharacterDevice => reopen(fd.as_fd()).and_then(Receiver::from_file_unchecked),
            _ => Err(ErrorKind::Unsupported.into()),
        };
        let source = match own {
            Ok(own) => Source::Own(own),
            Err(_) => Source::Thread(read_on_a_thread(fd)?),
        };
        Ok(Self { source, buffer: Vec::new() })
    }

    /// The next chunk, never empty; `None` at the end. Cancel-safe: from a terminal or a pipe nothing is read that is not
    /// returned.
    ///
    /// # Errors
    /// What reading failed with.
    pub async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match &mut self.source {
            Source::Thread(chunks_rx) => chunks_rx.recv().await.transpose(),
            Source::Own(fd) => match read(fd, &mut self.buffer).await {
                Ok(0) => Ok(None),
                Ok(_) => Ok(Some(take(&mut self.buffer))),
                // A terminal whose other end is gone.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::IO) => Ok(None),
                Err(error) => Err(error),
            },
        }
    }
}

/// Reads first and waits only when there is nothing: a named pipe whose writers left before it was opened never becomes
/// ready.
async fn read(fd: &Receiver, buffer: &mut Vec<u8>) -> io::Result<usize> {
    buffer.clear();
    buffer.reserve(CHUNK);
    loop {
        match rustix::io::read(fd, spare_capacity(buffer)) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            result => return Ok(result?),
        }
        fd.readable().await?;
        // Through the receiver, so that it learns when there was nothing to read after all.
        match fd.try_read_buf(buffer) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            result => return result,
        }
    }
}

/// A large chunk leaves with the buffer, a small one as a copy.
fn take(buffer: &mut Vec<u8>) -> Bytes {
    if buffer.len() < COPY_BELOW { Bytes::copy_from_slice(buffer) } else { Bytes::from(std::mem::take(buffer)) }
}

/// The same terminal or pipe through a new open file description, so that `O_NONBLOCK` is ours alone. `/dev/tty` is for
/// a terminal that belongs to another user (after `su`).
fn reopen(fd: BorrowedFd<'_>) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let own = rustix::fs::open(format!("/proc/self/fd/{}", fd.as_raw_fd()), flags, Mode::empty());
    match own {
        Err(_) if rustix::termios::isatty(fd) => Ok(rustix::fs::open("/dev/tty", flags, Mode::empty())?.into()),
        other => Ok(other?.into()),
    }
}

fn read_on_a_thread(fd: OwnedFd) -> io::Result<mpsc::Receiver<io::Result<Bytes>>> {
    let (chunks_tx, chunks_rx) = mpsc::channel(READ_AHEAD);
    std::thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let file = File::from(fd);
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            buffer.reserve(CHUNK);
            let chunk = match rustix::io::read(&file, spare_capacity(&mut buffer)) {
                Ok(0) => return,
                Ok(_) => Ok(take(&mut buffer)),
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => match wait_until(file.as_fd(), PollFlags::POLLIN) {
                    Ok(()) => continue,
                    Err(error) => Err(error),
                },
                Err(error) => Err(error.into()),
            };
            let failed = chunk.is_err();
            if chunks_tx.blocking_send(chunk).is_err() || failed {
                return;
            }
        }
    })?;
    Ok(chunks_rx)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    async fn read_all(fd: impl Into<OwnedFd>) -> Vec<u8> {
        let mut input = Input::open(fd.into()).expect("an open descriptor");
        let mut all = Vec::new();
        while let Some(chunk) = input.next().await.expect("readable") {
            assert!(!chunk.is_empty());
            all.extend_from_slice(&chunk);
        }
        all
    }

    fn data() -> Vec<u8> {
        (0..300_000u32).flat_map(u32::to_le_bytes).collect()
    }

    #[tokio::test]
    async fn pipes_sockets_files_and_nothing_are_read_to_their_end() {
        let (reader, mut writer) = io::pipe().expect("a pipe");
        let write = std::thread::spawn(move || writer.write_all(&data()));
        assert!(read_all(reader).await == data(), "pipe");
        write.join().expect("no panic").expect("written");

        let (reader, mut writer) = UnixStream::pair().expect("a socket pair");
        let write = std::thread::spawn(move || writer.write_all(&data()));
        assert!(read_all(reader).await == data(), "socket");
        write.join().expect("no panic").expect("written");

        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(&data()).expect("written");
        std::io::Seek::rewind(&mut file).expect("rewound");
        assert!(read_all(file).await == data(), "file");

        assert!(read_all(File::open("/dev/null").expect("/dev/null")).await.is_empty());
    }

    #[tokio::test]
    async fn a_named_pipe_whose_writer_left_long_ago_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a named pipe");
        let mut writer = File::options().read(true).write(true).open(&path).expect("a writer");
        let reader = File::open(&path).expect("a reader");
        writer.write_all(b"left").expect("written");
        drop(writer);
        assert_eq!(read_all(reader).await, b"left");
    }

    #[tokio::test]
    async fn what_comes_after_the_session_is_left_for_the_next_reader_and_the_flags_are_untouched() {
        let (mut reader, mut writer) = io::pipe().expect("a pipe");
        let mut input = Input::open(reader.try_clone().expect("a duplicate").into()).expect("a pipe");
        writer.write_all(b"for us").expect("written");
        assert_eq!(input.next().await.expect("readable").as_deref(), Some(&b"for us"[..]));
        let left = tokio::time::timeout(std::time::Duration::ZERO, input.next()).await;
        assert!(left.is_err(), "nothing to read");
        drop(input);
        writer.write_all(b"for the shell").expect("written");
        drop(writer);
        let flags = rustix::fs::fcntl_getfl(&reader).expect("flags");
        assert!(!flags.contains(OFlags::NONBLOCK), "{flags:?}");
        let mut rest = String::new();
        reader.read_to_string(&mut rest).expect("readable");
        assert_eq!(rest, "for the shell");
    }
}

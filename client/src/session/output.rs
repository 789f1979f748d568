//! Writing to standard output and standard error: a thread each, so that a consumer that is slow, or stuck, stops nobody else.

use std::io::{self, ErrorKind, IoSlice};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use bytes::Bytes;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::io::Errno;
use tokio::sync::{mpsc, oneshot};

use crate::recording::{Recorder, Stream};

/// Chunks on their way to the thread: with SSH packets of 32 KiB a quarter of a MiB, enough to keep the thread busy.
const QUEUE: usize = 8;

/// A chunk, and who wants to know that it is written.
type Item = (Bytes, Option<oneshot::Sender<()>>);

/// One of our two outputs. Dropped without [`Output::finish`], the thread writes what it has and is left behind: a
/// consumer that never reads again does not hold the program.
#[derive(Debug)]
pub struct Output {
    queue_tx: mpsc::Sender<Item>,
    recorded: Option<(Recorder, Stream)>,
    ended_rx: oneshot::Receiver<io::Result<()>>,
}

/// The consumer is gone, or writing failed: [`Output::finish`] tells which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

/// A place in an output's queue.
#[derive(Debug)]
pub struct Place<'a> {
    permit: mpsc::Permit<'a, Item>,
    output: &'a Output,
}

impl Place<'_> {
    /// Queues a chunk.
    pub fn send(self, chunk: Bytes) {
        self.output.record(&chunk);
        self.permit.send((chunk, None));
    }
}

impl Output {
    /// Starts the thread. The descriptor may be shared with other programs: its flags are left alone.
    ///
    /// # Errors
    /// When there can be no more threads.
    pub fn start(name: &str, fd: OwnedFd) -> io::Result<Self> {
        let (queue_tx, queue_rx) = mpsc::channel(QUEUE);
        let (ended_tx, ended_rx) = oneshot::channel();
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            // Nobody waits for the result of an output that was dropped.
            let _ = ended_tx.send(drain(queue_rx, fd.as_fd()));
        })?;
        Ok(Self { queue_tx, recorded: None, ended_rx })
    }

    /// What is written from here on is recorded as well.
    #[must_use]
    pub fn recorded(self, recorder: Option<Recorder>, stream: Stream) -> Self {
        Self { recorded: recorder.map(|recorder| (recorder, stream)), ..self }
    }

    fn record(&self, chunk: &Bytes) {
        if let Some((recorder, stream)) = &self.recorded {
            recorder.output(*stream, chunk);
        }
    }

    /// Queues a chunk; waits while the consumer is slow. Cancel-safe as long as the chunk is not needed again.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn write(&self, chunk: Bytes) -> Result<(), Closed> {
        self.record(&chunk);
        self.queue_tx.send((chunk, None)).await.map_err(|_| Closed)
    }

    /// [`Output::write`], and waits until the chunk is written: for what has to come before what another output writes next.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn write_out(&self, chunk: Bytes) -> Result<(), Closed> {
        self.record(&chunk);
        let (written_tx, written_rx) = oneshot::channel();
        self.queue_tx.send((chunk, Some(written_tx))).await.map_err(|_| Closed)?;
        written_rx.await.map_err(|_| Closed)
    }

    /// Waits for a place in the queue, which is then filled without waiting. Cancel-safe.
    ///
    /// # Errors
    /// [`Closed`].
    pub async fn reserve(&self) -> Result<Place<'_>, Closed> {
        let permit = self.queue_tx.reserve().await.map_err(|_| Closed)?;
        Ok(Place { permit, output: self })
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// What writing failed with; [`ErrorKind::BrokenPipe`] when the consumer went.
    pub async fn finish(self) -> io::Result<()> {
        drop(self.queue_tx);
        self.ended_rx.await.unwrap_or_else(|_| Err(ErrorKind::BrokenPipe.into()))
    }
}

/// Writes what is queued, all of it that is there at once: a wakeup and a system call for each packet would cost more than its bytes.
fn drain(mut queue_rx: mpsc::Receiver<Item>, fd: BorrowedFd<'_>) -> io::Result<()> {
    let mut items = Vec::with_capacity(QUEUE);
    while queue_rx.blocking_recv_many(&mut items, QUEUE) > 0 {
        let mut slices: Vec<IoSlice<'_>> = items.iter().map(|(chunk, _)| IoSlice::new(chunk)).collect();
        let mut rest = &mut slices[..];
        // None are left where all that is left is empty.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match rustix::io::writev(fd, rest) {
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(Errno::INTR) => {}
                // Somebody who shares the descriptor made it non-blocking.
                Err(Errno::AGAIN) => wait_until(fd, PollFlags::POLLOUT)?,
                Err(error) => return Err(error.into()),
            }
        }
        // Who has stopped waiting need not know.
        for written in items.drain(..).filter_map(|(_, written)| written) {
            let _ = written.send(());
        }
    }
    Ok(())
}

/// Blocks the thread until the descriptor is ready.
pub(super) fn wait_until(fd: BorrowedFd<'_>, ready: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(fd, ready)], PollTimeout::NONE) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read as _;

    #[tokio::test]
    async fn a_slow_consumer_gets_everything_in_order() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let output = Output::start("stdout", writer.into()).expect("a thread");
        let consumer = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).map(|_| read)
        });
        // More than the queue and the pipe hold.
        let chunks: Vec<Bytes> = (0..64u8).map(|byte| Bytes::from(vec![byte; 32 * 1024])).collect();
        for chunk in &chunks {
            output.write(chunk.clone()).await.expect("a consumer");
        }
        output.finish().await.expect("written");
        assert_eq!(consumer.await.expect("no panic").expect("read"), chunks.concat());
    }

    #[tokio::test]
    async fn what_is_written_out_comes_before_what_another_output_writes_next() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let second = Output::start("stderr", writer.try_clone().expect("a duplicate").into()).expect("a thread");
        let first = Output::start("stdout", writer.into()).expect("a thread");
        for _ in 0..100 {
            first.write_out(Bytes::from_static(b"1")).await.expect("written");
            second.write_out(Bytes::from_static(b"2")).await.expect("written");
        }
        first.finish().await.expect("written");
        second.finish().await.expect("written");
        let mut read = String::new();
        reader.read_to_string(&mut read).expect("text");
        assert_eq!(read, "12".repeat(100));
    }

    #[tokio::test]
    async fn a_descriptor_that_somebody_made_non_blocking_still_gets_everything() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        rustix::io::ioctl_fionbio(&writer, true).expect("non-blocking");
        let output = Output::start("stdout", writer.into()).expect("a thread");
        let chunk = Bytes::from(vec![7; 256 * 1024]);
        output.write(chunk.clone()).await.expect("a consumer");
        let consumer = tokio::task::spawn_blocking(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).map(|_| read)
        });
        output.finish().await.expect("written");
        assert!(consumer.await.expect("no panic").expect("read") == chunk);
    }

    #[tokio::test]
    async fn a_consumer_that_went_is_noticed() {
        let (reader, writer) = io::pipe().expect("a pipe");
        drop(reader);
        let output = Output::start("stdout", writer.into()).expect("a thread");
        while output.write(Bytes::from_static(b"x")).await.is_ok() {}
        assert_eq!(output.finish().await.expect_err("nobody reads").kind(), ErrorKind::BrokenPipe);
    }
}

//! One stream of a session, as a reader and writer.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::{Read, Smux};

/// A session's streams, between those who use them and the one who moves their bytes.
#[derive(Debug)]
pub(crate) struct Shared {
    smux: Mutex<Smux>,
    /// A user has done something that the mover should look at.
    changed: Notify,
}

impl Shared {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { smux: Mutex::new(Smux::new()), changed: Notify::new() })
    }

    /// Every change leaves the state whole, so that it may be used after a panic, too.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Smux> {
        self.smux.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a user has done something.
    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }
}

/// A stream. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Stream {
    id: u32,
    shared: Arc<Shared>,
}

impl Stream {
    /// Opens a stream; `None` when the session is over.
    pub(crate) fn open(shared: &Arc<Shared>) -> Option<Self> {
        let id = shared.lock().open()?;
        shared.changed.notify_one();
        Some(Self { id, shared: Arc::clone(shared) })
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let read = self.shared.lock().read(self.id, buffer.remaining(), context.waker());
        match read {
            Read::Bytes(bytes) => {
                buffer.put_slice(&bytes);
                self.shared.changed.notify_one();
                Poll::Ready(Ok(()))
            }
            Read::End => Poll::Ready(Ok(())),
            Read::Failed(kind) => Poll::Ready(Err(kind.into())),
            Read::Nothing => Poll::Pending,
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = self.shared.lock().write(self.id, bytes, context.waker());
        match written {
            Ok(0) if !bytes.is_empty() => Poll::Pending,
            Ok(written) => {
                self.shared.changed.notify_one();
                Poll::Ready(Ok(written))
            }
            Err(kind) => Poll::Ready(Err(kind.into())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.shared.lock().is_flushed(self.id, context.waker()) { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    /// Ends once everything is on its way. The other direction stays.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(context))?;
        self.shared.lock().shut(self.id, Instant::now());
        self.shared.changed.notify_one();
        Poll::Ready(Ok(()))
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.shared.lock().abandon(self.id);
        self.shared.changed.notify_one();
    }
}

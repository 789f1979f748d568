//! The bytes of a connection to the task, however they travel: whoever has one need not know.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::bundle::Bundled;
use crate::ssm::port::PortStream;

/// A connection to the task's SSH server, which has said who it is; that is still unread.
#[derive(Debug)]
pub enum Stream {
    /// To an address of the task's.
    Tcp(TcpStream),
    /// Through a session of Systems Manager, which ends when this is dropped.
    Ssm(Link),
    /// Through several, which end in the same way.
    Bundle(Bundled),
}

/// Whether a connection ended while somebody used it. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct HungUp(Arc<AtomicBool>);

impl HungUp {
    pub(super) fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What was read and is read again.
#[derive(Debug)]
pub(super) struct Beginning(Bytes);

/// One session's connection, of which the beginning was read, and is read again.
#[derive(Debug)]
pub struct Link {
    beginning: Beginning,
    rest: PortStream,
    hung_up: HungUp,
}

impl Beginning {
    pub(super) const fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// Moves as much as fits; false when there is nothing left.
    pub(super) fn read(&mut self, buffer: &mut ReadBuf<'_>) -> bool {
        let length = self.0.len().min(buffer.remaining());
        buffer.put_slice(self.0.get(..length).unwrap_or_default());
        let has_some = !self.0.is_empty();
        self.0.advance(length);
        has_some
    }
}

impl Link {
    pub(super) const fn new(beginning: Bytes, rest: PortStream, hung_up: HungUp) -> Self {
        Self { beginning: Beginning::new(beginning), rest, hung_up }
    }

    /// Notes that somebody used the connection when it was over.
    fn note<T>(&self, outcome: Poll<io::Result<T>>, is_end: bool) -> Poll<io::Result<T>> {
        if is_end || matches!(outcome, Poll::Ready(Err(_))) {
            self.hung_up.0.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

impl Stream {
    fn writer(&mut self) -> Pin<&mut (dyn AsyncWrite + Send + Unpin)> {
        Pin::new(match self {
            Self::Tcp(stream) => stream,
            Self::Ssm(link) => link,
            Self::Bundle(bundled) => bundled.writer(),
        })
    }
}

impl AsyncRead for Link {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.beginning.read(buffer) {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.rest).poll_read(context, buffer);
        let is_end = read.is_ready() && buffer.filled().len() == before && buffer.remaining() > 0;
        self.note(read, is_end)
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.rest).poll_write(context, bytes);
        self.note(written, false)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.rest).poll_flush(context);
        self.note(flushed, false)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.rest).poll_shutdown(context)
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Ssm(link) => Pin::new(link).poll_read(context, buffer),
            Self::Bundle(bundled) => bundled.poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().writer().poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().writer().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().writer().poll_shutdown(context)
    }
}

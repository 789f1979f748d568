//! The bytes of a connection to the task, however they travel: whoever has one need not know.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::ssm::port::PortStream;

/// A connection to the task's SSH server, which has said who it is; that is still unread.
#[derive(Debug)]
pub enum Stream {
    /// To an address of the task's.
    Tcp(TcpStream),
    /// Through a session of Systems Manager, which ends when this is dropped.
    Ssm(Replayed),
}

/// Whether a connection ended while somebody read from it. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct HungUp(Arc<AtomicBool>);

impl HungUp {
    pub(super) fn is_so(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// A connection of which the beginning was read, and is read again.
#[derive(Debug)]
pub struct Replayed {
    beginning: Bytes,
    rest: PortStream,
    hung_up: HungUp,
}

impl Replayed {
    pub(super) fn new(beginning: Bytes, rest: PortStream, hung_up: HungUp) -> Self {
        Self { beginning, rest, hung_up }
    }
}

impl AsyncRead for Replayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.beginning.is_empty() {
            let before = buffer.filled().len();
            let read = Pin::new(&mut self.rest).poll_read(context, buffer);
            let is_end = buffer.filled().len() == before && buffer.remaining() > 0;
            if matches!(read, Poll::Ready(Err(_))) || (read.is_ready() && is_end) {
                self.hung_up.0.store(true, Ordering::Relaxed);
            }
            return read;
        }
        let length = self.beginning.len().min(buffer.remaining());
        buffer.put_slice(self.beginning.get(..length).unwrap_or_default());
        self.beginning.advance(length);
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Ssm(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Ssm(stream) => Pin::new(&mut stream.rest).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Ssm(stream) => Pin::new(&mut stream.rest).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Ssm(stream) => Pin::new(&mut stream.rest).poll_shutdown(context),
        }
    }
}

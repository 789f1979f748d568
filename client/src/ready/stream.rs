//! The bytes of a connection to the task, however they travel: whoever has one need not know.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::ssm::port::PortStream;

/// A connection to the task's SSH server, which has said who it is; that is still unread.
#[derive(Debug)]
pub enum Stream {
    /// To an address of the task's.
    Tcp(TcpStream),
    /// Through a session of Systems Manager, which ends when this is dropped.
    Ssm(Replayed),
}

/// A connection of which the beginning was read, and is read again.
#[derive(Debug)]
pub struct Replayed {
    beginning: Bytes,
    rest: PortStream,
    _in_use: DropGuard,
}

impl Replayed {
    /// `dropped` is cancelled when nobody uses it any more.
    pub(super) fn new(beginning: Bytes, rest: PortStream, dropped: CancellationToken) -> Self {
        Self { beginning, rest, _in_use: dropped.drop_guard() }
    }
}

impl AsyncRead for Replayed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.beginning.is_empty() {
            return Pin::new(&mut self.rest).poll_read(context, buffer);
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

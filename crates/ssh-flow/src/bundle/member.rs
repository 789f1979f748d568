//! One link of a bundle: what it has received of one frame, and what is left to send of another.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::frame::{BadFrame, FRAME_MAX, Head, Incoming};

/// Why a bundle broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Broken {
    /// The link was closed, and had not said that it would be.
    #[error("a link of the connection has ended")]
    Ended,
    /// The transport's own reason.
    #[error("a link of the connection failed: {0}")]
    Failed(io::ErrorKind),
    /// The other end is none of ours, or somebody meddles.
    #[error("the connection's links are in disorder: {0}")]
    Bad(#[from] BadFrame),
}

impl From<Broken> for io::Error {
    fn from(broken: Broken) -> Self {
        let kind = match broken {
            Broken::Ended => io::ErrorKind::UnexpectedEof,
            Broken::Failed(kind) => kind,
            Broken::Bad(_) => io::ErrorKind::InvalidData,
        };
        Self::new(kind, broken)
    }
}

/// One link. It is broken for ever once it is.
#[derive(Debug)]
pub(super) struct Member<S> {
    stream: S,
    incoming: Incoming,
    broken: Option<Broken>,
    outgoing: BytesMut,
    has_said_end: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Member<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            incoming: Incoming::new(),
            broken: None,
            outgoing: BytesMut::with_capacity(FRAME_MAX),
            has_said_end: false,
        }
    }

    /// The frame that is next on this link.
    pub(super) fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<Head, Broken>> {
        loop {
            match self.broken.map_or_else(|| self.incoming.head().map_err(Broken::from), Err) {
                Ok(Some(head)) => return Poll::Ready(Ok(head)),
                Ok(None) => self.broken = ready!(self.poll_fill(cx)).err(),
                Err(broken) => {
                    self.broken = Some(broken);
                    return Poll::Ready(Err(broken));
                }
            }
        }
    }

    /// Bytes of that frame's payload, at least one. Whether they were its last.
    pub(super) fn poll_take(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<Result<bool, Broken>> {
        if self.incoming.payload().is_empty() {
            ready!(self.poll_fill(cx)).inspect_err(|broken| self.broken = Some(*broken))?;
        }
        let payload = self.incoming.payload();
        let length = payload.len().min(buf.remaining());
        buf.put_slice(&payload[..length]);
        Poll::Ready(Ok(self.incoming.take(length)))
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Broken>> {
        let mut room = ReadBuf::new(self.incoming.room());
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, &mut room));
        let length = room.filled().len();
        self.incoming.arrived(length);
        Poll::Ready(match read {
            Ok(()) if length > 0 => Ok(()),
            Ok(()) => Err(Broken::Ended),
            Err(error) => Err(Broken::Failed(error.kind())),
        })
    }

    /// Ready when all that was put here is in the transport's hands.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outgoing.is_empty() {
            let taken = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.outgoing))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.outgoing.advance(taken);
        }
        Poll::Ready(Ok(()))
    }

    /// The same, and the transport has been flushed.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    /// A frame, to be sent. To be called only when [`Member::poll_send`] was ready, so that one waits here at most.
    pub(super) fn put(&mut self, number: u64, payload: &[u8]) {
        self.outgoing.extend_from_slice(&Head::Data { number, length: payload.len() }.encode());
        self.outgoing.extend_from_slice(payload);
    }

    /// The last frame, behind whatever waits; once.
    pub(super) fn put_end(&mut self, frames: u64) {
        if !std::mem::replace(&mut self.has_said_end, true) {
            self.outgoing.extend_from_slice(&Head::End { frames }.encode());
        }
    }
}

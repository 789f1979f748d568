//! The byte stream given to russh: writes are taken at once, reading is what sends them.
//!
//! russh awaits a whole write before it reads again, so two of its ends with full socket buffers wait for each other for
//! ever. It does poll a read before it sleeps, whatever else it waits for: there the queue moves on, and there the
//! transport's wish to be written again is registered.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Sleep;

use crate::identification::Search;
use crate::link::Link;

/// Room that an empty queue may keep, in bytes: four times what a busy connection holds unsent.
const KEPT_ROOM: usize = 1024 * 1024;

/// Bytes that are looked at together for the identification string.
const PIECE: usize = 1024;

/// The stream to hand to `russh::client::connect_stream` or `russh::server::run_stream`.
#[derive(Debug)]
pub struct LinkStream<S> {
    inner: S,
    link: Link,
    unsent: BytesMut,
    unflushed: bool,
    failure: Option<io::ErrorKind>,
    /// The task that reads. It sends as well, so it is the one to wake when the transport can be written.
    reader: Option<Waker>,
    deadline: Option<Pin<Box<Sleep>>>,
    given_up: bool,
    own: Search,
    peer: Search,
    /// Read by [`LinkStream::identification`], not yet by whoever reads.
    ahead: BytesMut,
}

impl<S> LinkStream<S> {
    pub(crate) fn new(inner: S, link: Link) -> Self {
        Self {
            inner,
            link,
            unsent: BytesMut::new(),
            unflushed: false,
            failure: None,
            reader: None,
            deadline: None,
            given_up: false,
            own: Search::default(),
            peer: Search::default(),
            ahead: BytesMut::new(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> LinkStream<S> {
    /// Waits for the peer's identification string, without its line end, and leaves it to be read. A server shows it before it
    /// knows anything of us, so a client may choose by it what to offer: both strings are part of what the server signs (RFC 4253,
    /// section 8), so nobody on the way can change them unnoticed. `None` when the peer says something else first, for too long.
    ///
    /// # Errors
    /// The transport's; [`io::ErrorKind::UnexpectedEof`] when it ends first.
    pub async fn identification(&mut self) -> io::Result<Option<String>> {
        while self.link.peer_identification().is_none() && !self.peer.is_over() {
            let mut piece = [0; PIECE];
            let length = tokio::io::AsyncReadExt::read(&mut self.inner, &mut piece).await?;
            if length == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(line) = self.peer.observe(&piece[..length]) {
                self.link.note_peer_identification(line);
            }
            self.ahead.extend_from_slice(&piece[..length]);
        }
        Ok(self.link.peer_identification())
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for LinkStream<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.reader.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            this.reader = Some(cx.waker().clone());
        }
        // Its outcome is remembered in `failure`; a read goes on as long as there is something to read.
        let _ = this.send(cx);
        if !this.ahead.is_empty() {
            let length = this.ahead.len().min(buf.remaining());
            buf.put_slice(&this.ahead.split_to(length));
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        match Pin::new(&mut this.inner).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {
                if let Some(line) = this.peer.observe(&buf.filled()[before..]) {
                    this.link.note_peer_identification(line);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => this.failure.map_or(Poll::Pending, |kind| Poll::Ready(Err(kind.into()))),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for LinkStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if let Some(kind) = this.failure {
            return Poll::Ready(Err(kind.into()));
        }
        if let Some(line) = this.own.observe(buf) {
            this.link.note_own_identification(line);
        }
        this.unsent.extend_from_slice(buf);
        let sent = match this.reader.clone() {
            Some(reader) => this.send(&mut Context::from_waker(&reader)),
            None => this.send(cx),
        };
        if this.unsent.len() > this.link.tuning().unsent_limit {
            this.failure = Some(io::ErrorKind::QuotaExceeded);
            this.unsent = BytesMut::new();
            this.link.note_unsent(0);
            // A reader that waits for the transport learns of it there.
            this.reader.take().into_iter().for_each(Waker::wake);
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        match sent {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(buf.len())),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.failure.map_or(Ok(()), |kind| Err(kind.into())))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.given_up && this.failure.is_none() && this.send(cx).is_pending() {
            let limit = this.link.tuning().shutdown;
            let deadline = this.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
            ready!(deadline.as_mut().poll(cx));
            this.given_up = true;
        }
        let shut = ready!(Pin::new(&mut this.inner).poll_shutdown(cx));
        Poll::Ready(match (this.given_up, this.failure) {
            (true, _) => Err(io::ErrorKind::TimedOut.into()),
            (false, Some(kind)) => Err(kind.into()),
            (false, None) => shut,
        })
    }
}

impl<S: AsyncWrite + Unpin> LinkStream<S> {
    /// Moves the queue into the transport until it is empty and flushed, the transport is full, or it has failed.
    fn send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(kind) = self.failure {
            return Poll::Ready(Err(kind.into()));
        }
        let outcome = self.send_queue(cx);
        if let Poll::Ready(Err(error)) = &outcome {
            self.failure = Some(error.kind());
            self.unsent = BytesMut::new();
        } else if self.unsent.is_empty() && self.unsent.capacity() > KEPT_ROOM {
            self.unsent = BytesMut::new();
        }
        self.link.note_unsent(self.unsent.len());
        outcome
    }

    fn send_queue(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.unsent.is_empty() {
            let taken = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.unsent))?;
            if taken == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.unsent.advance(taken);
            self.unflushed = true;
        }
        if self.unflushed {
            ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
            self.unflushed = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S> Drop for LinkStream<S> {
    fn drop(&mut self) {
        // Nothing will be sent any more: whoever waits for room must go on and find its channel closed.
        self.link.note_unsent(0);
    }
}

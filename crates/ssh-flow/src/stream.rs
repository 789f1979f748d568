//! The byte stream given to russh: writes are taken at once, reading is what sends them.
//!
//! russh awaits a whole write before it reads again, so two of its ends with full socket buffers wait for each other for
//! ever. It does poll a read before it sleeps, whatever else it waits for: there the queue moves on, and there the
//! transport's wish to be written again is registered.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

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
    /// Whether the transport's writing half is shut down.
    shut: bool,
    own: Search,
    peer: Search,
    /// What is left of our identification string that was sent before russh sends it.
    greeting: BytesMut,
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
            shut: false,
            own: Search::default(),
            peer: Search::default(),
            greeting: BytesMut::new(),
            ahead: BytesMut::new(),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> LinkStream<S> {
    /// Sends our identification string (without its line end; the one that russh will be told) and waits for the peer's, as
    /// [`LinkStream::identification`] does: for a server that chooses by the client's what to be. What russh sends of it afterwards is
    /// taken as sent.
    ///
    /// # Errors
    /// As [`LinkStream::identification`].
    pub async fn greet(&mut self, own: &str) -> io::Result<Option<String>> {
        self.was_greeted(own, &[]);
        tokio::io::AsyncWriteExt::write_all(&mut self.inner, &self.greeting).await?;
        self.identification().await
    }

    /// Takes our identification string as sent already, and `read` as read: for a server that had to say more than russh says, and to
    /// hear an answer to that, before the transport was wrapped.
    pub fn was_greeted(&mut self, own: &str, read: &[u8]) {
        self.greeting.extend_from_slice(own.as_bytes());
        self.greeting.extend_from_slice(b"\r\n");
        if let Some(line) = self.own.observe(&self.greeting) {
            self.link.note_own_identification(line);
        }
        if let Some(line) = self.peer.observe(read) {
            self.link.note_peer_identification(line);
        }
        self.ahead.extend_from_slice(read);
    }

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
        // Its outcome is remembered in `failure`; a read goes on as long as there is something to read: a peer that says goodbye and
        // closes fails our next write, and the goodbye is still to be heard.
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
            // Both have said goodbye: how the transport goes is nobody's loss.
            Poll::Ready(Err(_)) if this.shut => Poll::Ready(Ok(())),
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            // And who keeps the transport after that is not waited for: this is its end.
            Poll::Pending if this.shut => this.wait(cx, this.link.tuning().farewell).map(Ok),
            Poll::Pending => match this.failure {
                None => Poll::Pending,
                Some(io::ErrorKind::QuotaExceeded) => Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into())),
                // Its last words may be there and not yet announced; what cannot be written any more does not stay long.
                Some(kind) => this.wait(cx, this.link.tuning().farewell).map(|()| Err(kind.into())),
            },
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for LinkStream<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.failure == Some(io::ErrorKind::QuotaExceeded) {
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        if this.failure.is_some() {
            return Poll::Ready(Ok(buf.len()));
        }
        let length = buf.len();
        let Some(buf) = this.not_sent_before(buf) else { return Poll::Ready(Err(io::ErrorKind::InvalidData.into())) };
        if let Some(line) = this.own.observe(buf) {
            this.link.note_own_identification(line);
        }
        let sent = match this.reader.clone() {
            Some(reader) => this.send_or_keep(&mut Context::from_waker(&reader), buf),
            None => this.send_or_keep(cx, buf),
        };
        if let Poll::Ready(Err(_)) = sent {
            // Told to whoever reads, behind what the peer has said.
            this.reader.take().into_iter().for_each(Waker::wake);
            return Poll::Ready(Ok(length));
        }
        if this.unsent.len() > this.link.tuning().unsent_limit {
            this.failure = Some(io::ErrorKind::QuotaExceeded);
            this.unsent = BytesMut::new();
            this.link.note_unsent(0);
            // A reader that waits for the transport learns of it there.
            this.reader.take().into_iter().for_each(Waker::wake);
            return Poll::Ready(Err(io::ErrorKind::QuotaExceeded.into()));
        }
        Poll::Ready(Ok(length))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // As with a write: whoever reads is told of what failed.
        Poll::Ready(match self.failure {
            Some(io::ErrorKind::QuotaExceeded) => Err(io::ErrorKind::QuotaExceeded.into()),
            _ => Ok(()),
        })
    }

    /// Sends what is unsent, as far as the peer takes it in time, and shuts the writing half down; then reads away what the peer still
    /// sends until it has closed too. Closed with something unread, a socket resets the connection, and a reset overtakes the goodbye
    /// that was sent last. Nothing that fails here is of interest any more: both ends have said what they had to say, and russh would
    /// take it for the connection's end.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.shut {
            if this.failure.is_none() && this.send(cx).is_pending() {
                ready!(this.wait(cx, this.link.tuning().shutdown));
            }
            let _ = ready!(Pin::new(&mut this.inner).poll_shutdown(cx));
            this.shut = true;
            this.deadline = None;
        }
        // Looked at first: what never stops coming must not keep it from being seen.
        if this.wait(cx, this.link.tuning().farewell).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut unread = [0; PIECE];
        loop {
            let mut unread = ReadBuf::new(&mut unread);
            match Pin::new(&mut this.inner).poll_read(cx, &mut unread) {
                Poll::Ready(Ok(())) if !unread.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(Ok(())),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> LinkStream<S> {
    /// Sends these bytes behind the queue, and queues what the transport does not take: all of it goes through the queue only where
    /// there is one.
    fn send_or_keep(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<()>> {
        let mut rest = buf;
        if self.unsent.is_empty() && !buf.is_empty() {
            // What fails here fails below as well, where it is remembered.
            if let Poll::Ready(Ok(taken)) = Pin::new(&mut self.inner).poll_write(cx, buf) {
                rest = &buf[taken..];
                self.unflushed = true;
            }
        }
        self.unsent.extend_from_slice(rest);
        self.send(cx)
    }

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

impl<S> LinkStream<S> {
    /// These bytes, less what of them has been sent as our greeting; `None` when they are something else.
    fn not_sent_before<'a>(&mut self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let (again, rest) = bytes.split_at(bytes.len().min(self.greeting.len()));
        (self.greeting.split_to(again.len()) == again).then_some(rest)
    }

    /// Waits until this long after the first call.
    fn wait(&mut self, cx: &mut Context<'_>, limit: Duration) -> Poll<()> {
        self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit))).as_mut().poll(cx)
    }
}

impl<S> Drop for LinkStream<S> {
    fn drop(&mut self) {
        // Nothing will be sent any more: whoever waits for room must go on and find its channel closed.
        self.link.note_unsent(0);
    }
}

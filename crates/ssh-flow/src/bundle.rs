//! A bundle: one ordered stream of bytes over several links (RFC 1990 has the words), for a connection that one link alone would slow
//! down. Its bytes are cut into frames, each goes to the next link that takes it, and their numbers put them in order again.
//!
//! Links may join while the bundle lives. Of each, one frame at most waits in memory until those before it have come, so a slow link
//! holds the others back rather than filling memory. A link that breaks breaks the bundle, as there is nobody who would send its frames
//! again. No link is closed in one direction alone, which sessions of Systems Manager cannot do: the end of the bytes is a frame.

pub(crate) mod frame;
mod member;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::mpsc;

pub use frame::BadFrame;
use frame::{Head, PAYLOAD_MAX};
pub use member::Broken;
use member::Member;

/// Links that may wait to be taken in.
const JOINING: usize = 1;

/// One end of a bundle. Dropping it drops its links.
#[derive(Debug)]
pub struct Bundle<S> {
    members: Vec<Member<S>>,
    joining: mpsc::Receiver<S>,
    /// Number of the frame that is read next.
    due: u64,
    /// Number of the frame that is written next.
    next: u64,
    /// Which link it is offered to first.
    turn: usize,
    /// How many frames the peer has sent, once it has said so.
    end: Option<u64>,
    is_shut: bool,
    /// Who waits for a link that takes a frame.
    writer: Option<Waker>,
}

/// Adds links to a bundle. Clones add to the same.
#[derive(Debug)]
pub struct Joiner<S>(mpsc::Sender<S>);

impl<S> Clone for Joiner<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S> Joiner<S> {
    /// Adds a link, which the peer has to add as well; how it is told is not the bundle's business. Waits until it is taken in soon:
    /// the bundle does that when it is read.
    ///
    /// # Errors
    /// The link, when the bundle is gone.
    pub async fn join(&self, link: S) -> Result<(), S> {
        self.0.send(link).await.map_err(|refused| refused.0)
    }

    /// Waits until the bundle is gone.
    pub async fn closed(&self) {
        self.0.closed().await;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Bundle<S> {
    /// A bundle of one link, and what adds others.
    #[must_use]
    pub fn new(first: S) -> (Self, Joiner<S>) {
        let (joiner, joining) = mpsc::channel(JOINING);
        let members = vec![Member::new(first)];
        let bundle = Self { members, joining, due: 0, next: 0, turn: 0, end: None, is_shut: false, writer: None };
        (bundle, Joiner(joiner))
    }

    /// Links that were taken in.
    #[must_use]
    pub fn links(&self) -> usize {
        self.members.len()
    }

    /// Takes in the links that have joined.
    fn admit(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(link)) = self.joining.poll_recv(cx) {
            let mut member = Member::new(link);
            if self.is_shut {
                member.put_end(self.next);
                // If it does not go out now, nobody needs it: the others have said so.
                let _ = member.poll_send(cx);
            }
            self.members.push(member);
            self.writer.take().into_iter().for_each(Waker::wake);
        }
    }

    /// The link that has the frame which is due; `None` at the end. A link that broke is told of when the others have nothing to read.
    fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<usize>, Broken>> {
        let (mut failure, mut has_more) = (None, false);
        for (index, member) in self.members.iter_mut().enumerate() {
            match member.poll_head(cx) {
                Poll::Ready(Ok(Head::Data { number, .. })) if number == self.due => {
                    return Poll::Ready(Ok(Some(index)));
                }
                Poll::Ready(Ok(Head::Data { number, .. })) => {
                    has_more = true;
                    if number < self.due || self.end.is_some_and(|end| number >= end) {
                        return Poll::Ready(Err(BadFrame::OutOfOrder { number, after: self.due }.into()));
                    }
                }
                Poll::Ready(Ok(Head::End { frames })) => {
                    if frames < self.due || *self.end.get_or_insert(frames) != frames {
                        return Poll::Ready(Err(BadFrame::WrongEnd { frames }.into()));
                    }
                }
                Poll::Ready(Err(broken)) => failure = Some(broken),
                Poll::Pending => has_more = true,
            }
        }
        match failure {
            _ if self.end == Some(self.due) => Poll::Ready(Ok(None)),
            Some(broken) => Poll::Ready(Err(broken)),
            None if !has_more => Poll::Ready(Err(BadFrame::Missing(self.due).into())),
            None => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Bundle<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.admit(cx);
        if buf.remaining() == 0 || this.end == Some(this.due) {
            return Poll::Ready(Ok(()));
        }
        let Some(index) = ready!(this.poll_due(cx))? else { return Poll::Ready(Ok(())) };
        if ready!(this.members[index].poll_take(cx, buf))? {
            this.due += 1;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Bundle<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        if this.is_shut {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let count = this.members.len();
        for index in (0..count).map(|step| (this.turn + step) % count) {
            let member = &mut this.members[index];
            if member.poll_send(cx)?.is_pending() {
                continue;
            }
            let length = buf.len().min(PAYLOAD_MAX);
            member.put(this.next, &buf[..length]);
            // What does not go out now goes with a flush, or before the next frame.
            let _ = member.poll_send(cx)?;
            this.next += 1;
            this.turn = (index + 1) % count;
            return Poll::Ready(Ok(length));
        }
        this.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut flushed = Poll::Ready(Ok(()));
        for member in &mut self.get_mut().members {
            if member.poll_flush(cx)?.is_pending() {
                flushed = Poll::Pending;
            }
        }
        flushed
    }

    /// Says on every link that nothing follows. The links stay: the peer may go on. It may also be gone as soon as it has heard that on
    /// one, so those that fail then are none the worse for it.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.is_shut = true;
        let (mut said, mut failed) = (Poll::Ready(()), Ok(()));
        let mut has_said = false;
        for member in &mut this.members {
            member.put_end(this.next);
            match member.poll_flush(cx) {
                Poll::Ready(Ok(())) => has_said = true,
                Poll::Ready(Err(error)) => failed = Err(error),
                Poll::Pending => said = Poll::Pending,
            }
        }
        said.map(|()| if has_said { Ok(()) } else { failed })
    }
}

#[cfg(test)]
mod tests;

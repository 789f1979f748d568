//! smux version 1, the client's side: many connections in the bytes of one port session.
//!
//! Pure state: bytes from the agent go in, frames for it come out, and in between are the streams with what they hold. The only
//! bound that the protocol knows is the receiver's: it may stop taking bytes, which stops every stream.

pub(crate) mod codec;
mod stream;

use std::collections::BTreeMap;
use std::io;
use std::task::Waker;
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::time::Instant;

use codec::{Command, Header};
pub(crate) use stream::{Shared, Stream};

/// Bytes that all streams together may hold before nothing more is taken (xtaci/smux, `MaxReceiveBuffer`).
pub(crate) const BUDGET: usize = 4 << 20;
/// Bytes that a stream holds on their way out before its writer waits.
const OUTGOING_MAX: usize = 64 << 10;
/// Content of one frame; at most 32 KiB are allowed, and half of that lets another stream in sooner.
const CONTENT_MAX: usize = 16 << 10;
/// The first stream, as xtaci/smux counts; a client's are odd.
const FIRST_ID: u32 = 3;
/// A connection whose writer has finished is kept for the reader until this long nothing came. FIN would end both directions at
/// the agent, and lose the answer to what was written.
const HALF_CLOSED_IDLE: Duration = Duration::from_secs(30);

/// The streams of a session.
#[derive(Debug)]
pub(crate) struct Smux {
    streams: BTreeMap<u32, State>,
    next_id: u32,
    /// The stream that has sent last: the others come before it.
    last_sent: u32,
    undecoded: BytesMut,
    held: usize,
    refusals: u32,
    over: Option<io::ErrorKind>,
}

/// One stream.
#[derive(Debug, Default)]
struct State {
    announced: bool,
    outgoing: BytesMut,
    incoming: BytesMut,
    heard: bool,
    refused: bool,
    finished: bool,
    fin_sent: bool,
    shut: Option<Instant>,
    dropped: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// Bytes that are no smux.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SmuxError {
    #[error("version {0} of smux")]
    Version(u8),
    #[error("the unknown command {0}")]
    Command(u8),
}

/// What a read finds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Bytes(Bytes),
    End,
    Failed(io::ErrorKind),
    Nothing,
}

impl Smux {
    pub(crate) fn new() -> Self {
        let (streams, undecoded) = (BTreeMap::new(), BytesMut::new());
        Self { streams, next_id: FIRST_ID, last_sent: 0, undecoded, held: 0, refusals: 0, over: None }
    }

    /// A new stream; `None` when the session is over, or has had two thousand million of them.
    pub(crate) fn open(&mut self) -> Option<u32> {
        if self.over.is_some() {
            return None;
        }
        let id = self.next_id;
        self.next_id = id.checked_add(2)?;
        self.streams.insert(id, State::default());
        Some(id)
    }

    /// Takes bytes to be sent: how many, or zero when the stream holds enough for now.
    pub(crate) fn write(&mut self, id: u32, bytes: &[u8], waker: &Waker) -> Result<usize, io::ErrorKind> {
        if let Some(kind) = self.over {
            return Err(if kind == io::ErrorKind::UnexpectedEof { io::ErrorKind::BrokenPipe } else { kind });
        }
        let state = self.streams.get_mut(&id).ok_or(io::ErrorKind::BrokenPipe)?;
        if state.finished || state.shut.is_some() {
            return Err(io::ErrorKind::BrokenPipe);
        }
        let taken = bytes.len().min(OUTGOING_MAX - state.outgoing.len());
        state.outgoing.extend_from_slice(&bytes[..taken]);
        if taken == 0 && !bytes.is_empty() {
            state.writer = Some(waker.clone());
        }
        Ok(taken)
    }

    /// Gives at most `limit` of the bytes that have come.
    pub(crate) fn read(&mut self, id: u32, limit: usize, waker: &Waker) -> Read {
        let Some(state) = self.streams.get_mut(&id) else { return Read::End };
        if !state.incoming.is_empty() {
            let bytes = state.incoming.split_to(limit.min(state.incoming.len())).freeze();
            self.held -= bytes.len();
            return Read::Bytes(bytes);
        }
        // What was held is given back, too.
        state.incoming = BytesMut::new();
        if state.refused {
            return Read::Failed(io::ErrorKind::ConnectionRefused);
        }
        match self.over {
            _ if state.finished => Read::End,
            Some(io::ErrorKind::UnexpectedEof) => Read::End,
            Some(kind) => Read::Failed(kind),
            None => {
                state.reader = Some(waker.clone());
                Read::Nothing
            }
        }
    }

    /// Whether all bytes of a stream are on their way; else its writer is woken when more of them are.
    pub(crate) fn is_flushed(&mut self, id: u32, waker: &Waker) -> bool {
        let over = self.over.is_some();
        let Some(state) = self.streams.get_mut(&id) else { return true };
        if state.outgoing.is_empty() || over || state.finished {
            return true;
        }
        state.writer = Some(waker.clone());
        false
    }

    /// Nothing more will be written. The agent is not told before there is nothing more to be read either.
    pub(crate) fn shut(&mut self, id: u32, now: Instant) {
        if let Some(state) = self.streams.get_mut(&id) {
            state.shut.get_or_insert(now + HALF_CLOSED_IDLE);
        }
    }

    /// Nobody reads or writes any more. What was written is still sent.
    pub(crate) fn abandon(&mut self, id: u32) {
        if let Some(state) = self.streams.get_mut(&id) {
            state.dropped = true;
            self.held -= state.incoming.len();
            state.incoming = BytesMut::new();
        }
        self.forget(id);
    }

    /// Whether `next_frame` has one.
    pub(crate) fn has_frame(&self) -> bool {
        self.over.is_none() && self.streams.values().any(State::has_frame)
    }

    /// The next frame to be sent; the streams take turns.
    pub(crate) fn next_frame(&mut self) -> Option<Bytes> {
        if self.over.is_some() {
            return None;
        }
        let after = self.streams.range(self.last_sent.saturating_add(1)..);
        let (id, _) = after.chain(self.streams.range(..=self.last_sent)).find(|(_, state)| state.has_frame())?;
        let id = *id;
        let state = self.streams.get_mut(&id)?;
        if !state.announced {
            state.announced = true;
            return Some(codec::encode(Command::Syn, id, &[]));
        }
        self.last_sent = id;
        if state.outgoing.is_empty() {
            state.fin_sent = true;
            let frame = codec::encode(Command::Fin, id, &[]);
            self.forget(id);
            return Some(frame);
        }
        let content = state.outgoing.split_to(state.outgoing.len().min(CONTENT_MAX));
        state.writer.take().into_iter().for_each(Waker::wake);
        Some(codec::encode(Command::Psh, id, &content))
    }

    /// Whether as many more bytes may be taken.
    pub(crate) fn has_room(&self, length: usize) -> bool {
        self.held + self.undecoded.len() + length <= BUDGET
    }

    /// Takes bytes from the agent. Frames may begin and end anywhere in them.
    ///
    /// # Errors
    /// [`SmuxError`], after which nothing can be made of further bytes.
    pub(crate) fn take(&mut self, bytes: &[u8], now: Instant) -> Result<(), SmuxError> {
        self.undecoded.extend_from_slice(bytes);
        while let Some(Header { command, length, id }) = codec::header(&self.undecoded)? {
            if self.undecoded.len() < codec::HEADER + length {
                break;
            }
            self.undecoded.advance(codec::HEADER);
            let content = self.undecoded.split_to(length);
            match command {
                Command::Psh => self.pushed(id, &content, now),
                Command::Fin => self.finished(id),
                // An agent opens no streams, and keeps none alive that asked it not to.
                Command::Syn | Command::Nop => {}
            }
        }
        Ok(())
    }

    /// The port has refused a connection. Which one is not said: it is the next to end without a byte, or the last that did.
    pub(crate) fn refuse(&mut self) {
        let ended = self.streams.values_mut().rev().find(|state| state.finished && !state.heard && !state.refused);
        match ended {
            Some(state) => state.refused = true,
            None => self.refusals += 1,
        }
    }

    /// Ends streams whose writer has finished and whose reader has heard nothing for long.
    pub(crate) fn expire(&mut self, now: Instant) {
        for state in self.streams.values_mut() {
            if state.shut.is_some_and(|until| now >= until) && !state.finished {
                state.finished = true;
                state.wake();
            }
        }
    }

    /// When [`Smux::expire`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.streams.values().filter(|state| !state.finished).filter_map(|state| state.shut).min()
    }

    /// The session is over: reads end with this after what has come, writes at once. `UnexpectedEof` stands for an ordinary end.
    pub(crate) fn end(&mut self, kind: io::ErrorKind) {
        self.over.get_or_insert(kind);
        self.streams.values_mut().for_each(State::wake);
    }

    /// Bytes that the streams hold for their readers.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    fn pushed(&mut self, id: u32, content: &[u8], now: Instant) {
        let Some(state) = self.streams.get_mut(&id).filter(|state| !state.dropped && !state.finished) else { return };
        state.heard = true;
        state.incoming.extend_from_slice(content);
        self.held += content.len();
        if let Some(until) = &mut state.shut {
            *until = now + HALF_CLOSED_IDLE;
        }
        state.reader.take().into_iter().for_each(Waker::wake);
    }

    fn finished(&mut self, id: u32) {
        let Some(state) = self.streams.get_mut(&id) else { return };
        state.finished = true;
        // The agent has closed its connection in both directions: what waits here has nowhere to go.
        state.outgoing.clear();
        if !state.heard && self.refusals > 0 {
            self.refusals -= 1;
            state.refused = true;
        }
        state.wake();
        self.forget(id);
    }

    /// A stream that neither end knows is none.
    fn forget(&mut self, id: u32) {
        let over = self.over.is_some();
        let gone = |state: &State| state.dropped && (over || !state.has_frame());
        if self.streams.get(&id).is_some_and(gone) {
            self.streams.remove(&id);
        }
    }
}

impl State {
    fn has_frame(&self) -> bool {
        let ending = self.dropped || (self.shut.is_some() && self.finished);
        !self.fin_sent && (!self.announced || !self.outgoing.is_empty() || ending)
    }

    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests;

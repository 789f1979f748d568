//! What was sent on a channel and may have to be sent again on the next one, when a connection was lost between our own ends.
//!
//! Positions count the bytes of one direction since the session began. No acknowledgement travels: credit bounds what the peer
//! can have missed. A peer grants credit for what its reader has taken plus at most [`CREDIT`] (its ledger's limit never exceeds
//! that), so of the bytes that were ever handed to a channel, all but the last [`CREDIT`] have been taken. The peer counts a byte
//! at the moment at which it takes it, so `received >= sent - CREDIT` holds at any time, and what lies further back than that
//! can be forgotten. After a resumption the peer's count is exact and the new channel starts with less credit than a grown one,
//! so the bound holds again.

use std::collections::VecDeque;

use bytes::Bytes;

use crate::settings::{CREDIT, MAXIMUM_PACKET_SIZE};

/// Bytes that one piece of the buffer holds: what is forgotten at once, and what an almost silent session may cost.
const SEGMENT: usize = 64 * 1024;

/// One direction's bytes from the oldest that the peer may miss to the newest. It grows with what is sent, and an idle session's
/// holds nothing.
#[derive(Default)]
pub struct Replay {
    /// All but the last are full.
    segments: VecDeque<Vec<u8>>,
    /// Position of the first byte in `segments`.
    start: u64,
    /// Position behind the last byte.
    end: u64,
    /// Position of the next byte to send.
    next: u64,
}

/// The peer's position is none that can be resumed from: it never was, or was too long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("position {asked} is not between {oldest} and {newest}")]
pub struct OutOfReach {
    /// The peer's position.
    pub asked: u64,
    /// The oldest byte that is kept.
    pub oldest: u64,
    /// Behind the newest.
    pub newest: u64,
}

impl Replay {
    /// Appends what is to be sent.
    pub fn push(&mut self, mut bytes: &[u8]) {
        self.end += bytes.len() as u64;
        while !bytes.is_empty() {
            let room = self.segments.back().map_or(0, |last| SEGMENT - last.len());
            if room == 0 {
                self.segments.push_back(Vec::new());
                continue;
            }
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.segments.back_mut().into_iter().for_each(|last| last.extend_from_slice(now));
            bytes = later;
        }
    }

    /// The next bytes to send, at most a packet; `None` when everything was sent. They are the next until [`Replay::sent`].
    #[must_use]
    pub fn next(&self) -> Option<Bytes> {
        // What is kept is far smaller than an address space.
        let offset = usize::try_from(self.next - self.start).ok()?;
        let rest = self.segments.get(offset / SEGMENT)?.get(offset % SEGMENT..)?;
        let packet = rest.get(..rest.len().min(MAXIMUM_PACKET_SIZE as usize))?;
        (!packet.is_empty()).then(|| Bytes::copy_from_slice(packet))
    }

    /// Bytes were handed to the channel: what no peer can have missed any more is forgotten.
    pub fn sent(&mut self, bytes: usize) {
        self.next = self.end.min(self.next + bytes as u64);
        let needed = self.next.saturating_sub(CREDIT);
        while self.start + SEGMENT as u64 <= needed && self.segments.len() > 1 {
            self.segments.pop_front();
            self.start += SEGMENT as u64;
        }
    }

    /// Goes back to where the peer is: what it has not received is next. Answers how many bytes are sent again.
    ///
    /// # Errors
    /// [`OutOfReach`]; then nothing has changed.
    pub fn rewind(&mut self, received: u64) -> Result<u64, OutOfReach> {
        self.check(received)?;
        let again = self.next.saturating_sub(received);
        self.next = received;
        Ok(again)
    }

    /// Whether [`Replay::rewind`] would do.
    ///
    /// # Errors
    /// [`OutOfReach`].
    pub const fn check(&self, received: u64) -> Result<(), OutOfReach> {
        // Nobody can have received what was never sent, but the end is what is known: a call may have sent a part and been cancelled.
        if received < self.start || received > self.end {
            return Err(OutOfReach { asked: received, oldest: self.start, newest: self.end });
        }
        Ok(())
    }

    /// Bytes that have not been sent yet.
    #[must_use]
    pub const fn waiting(&self) -> u64 {
        self.end - self.next
    }
}

impl std::fmt::Debug for Replay {
    /// Positions, never bytes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { segments: _, start, end, next } = self;
        f.debug_struct("Replay").field("start", start).field("next", next).field("end", end).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn byte(position: u64) -> u8 {
        (position % 251) as u8
    }

    fn bytes(from: u64, count: u64) -> Vec<u8> {
        (from..from + count).map(byte).collect()
    }

    /// Sends up to `most` bytes, and checks that they are the right ones.
    fn send(replay: &mut Replay, most: u64) {
        let mut left = most;
        while let Some(packet) = replay.next() {
            let packet = packet.slice(..packet.len().min(usize::try_from(left).expect("small")));
            if packet.is_empty() {
                return;
            }
            assert!(packet == bytes(replay.next, packet.len() as u64), "{replay:?}");
            left -= packet.len() as u64;
            replay.sent(packet.len());
        }
    }

    #[test]
    fn whatever_credit_allows_to_be_missed_is_still_there() {
        let mut replay = Replay::default();
        // Odd sizes meet every edge of a segment.
        for round in 0..300_u64 {
            replay.push(&bytes(replay.end, 17_001 + round));
            send(&mut replay, 16_500 + round);
            let furthest = replay.next.saturating_sub(CREDIT);
            for received in [furthest, furthest + 1, replay.next, replay.end] {
                assert_eq!(replay.check(received), Ok(()), "{replay:?}");
            }
            let kept = replay.end - replay.start;
            assert!(kept <= CREDIT + SEGMENT as u64 + replay.waiting(), "{kept} bytes are kept: {replay:?}");
        }
        let end = replay.end;
        let furthest = replay.next - CREDIT;
        assert_eq!(replay.rewind(furthest), Ok(CREDIT));
        send(&mut replay, u64::MAX >> 1);
        assert_eq!((replay.next, replay.waiting()), (end, 0));
    }

    #[test]
    fn a_position_that_never_was_or_is_forgotten_is_refused() {
        let mut replay = Replay::default();
        assert_eq!(replay.rewind(0), Ok(0));
        replay.push(&bytes(0, 2 * CREDIT));
        send(&mut replay, 2 * CREDIT);
        let error = OutOfReach { asked: 2 * CREDIT + 1, oldest: replay.start, newest: 2 * CREDIT };
        assert_eq!(replay.rewind(2 * CREDIT + 1), Err(error));
        assert_eq!(replay.rewind(0), Err(OutOfReach { asked: 0, ..error }));
        assert_eq!(replay.next, 2 * CREDIT, "a refusal changes nothing");
    }

    #[test]
    fn nothing_is_held_before_there_is_something() {
        let replay = Replay::default();
        assert_eq!((replay.segments.capacity(), replay.next()), (0, None));
    }

    #[test]
    fn debug_shows_positions_and_no_bytes() {
        let mut replay = Replay::default();
        replay.push(b"hunter2");
        assert_eq!(format!("{replay:?}"), "Replay { start: 0, next: 0, end: 7, .. }");
    }
}

//! Stream data from the agent, put back into order: what comes too early waits, what comes again is known.

use std::collections::BTreeMap;

use super::frame::Frame;

/// Messages that may wait for an earlier one; as AWS's own client.
const AHEAD_MAX: usize = 10_000;
/// Bytes that may wait; ten thousand messages of the length that agents send.
const AHEAD_MAX_BYTES: usize = 10 << 20;

/// Which message comes next, and those behind it.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    expected: i64,
    waiting: BTreeMap<i64, Frame>,
    waiting_bytes: usize,
}

/// What became of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is kept, and to be acknowledged.
    Kept,
    /// It was here before, and is to be acknowledged again: the sender has missed that it was, and resends only its oldest.
    Known,
    /// There is no room for it. It must not be acknowledged, so that it comes again.
    NoRoom,
}

impl Incoming {
    /// Takes a message.
    pub(crate) fn take(&mut self, frame: Frame) -> Taken {
        let length = frame.payload.len();
        if frame.sequence < self.expected || self.waiting.contains_key(&frame.sequence) {
            return Taken::Known;
        }
        let room = self.waiting.len() < AHEAD_MAX && self.waiting_bytes + length <= AHEAD_MAX_BYTES;
        if frame.sequence != self.expected && !room {
            return Taken::NoRoom;
        }
        self.waiting_bytes += length;
        self.waiting.insert(frame.sequence, frame);
        Taken::Kept
    }

    /// The next message in order, if it is here.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        let frame = self.waiting.remove(&self.expected)?;
        self.waiting_bytes -= frame.payload.len();
        self.expected += 1;
        Some(frame)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::super::payload::PayloadType;
    use super::*;

    fn message(sequence: i64) -> Frame {
        Frame::input(sequence, PayloadType::Output, Bytes::from(sequence.to_string()))
    }

    fn drain(incoming: &mut Incoming) -> Vec<i64> {
        std::iter::from_fn(|| incoming.next()).map(|frame| frame.sequence).collect()
    }

    #[test]
    fn what_comes_early_waits_and_what_comes_again_is_known() {
        let mut incoming = Incoming::default();
        assert_eq!(incoming.take(message(1)), Taken::Kept);
        assert_eq!(incoming.take(message(1)), Taken::Known);
        assert!(drain(&mut incoming).is_empty());
        assert_eq!(incoming.take(message(0)), Taken::Kept);
        assert_eq!(drain(&mut incoming), [0, 1]);
        assert_eq!(incoming.take(message(0)), Taken::Known);
        assert_eq!(incoming.take(message(-5)), Taken::Known);
        assert_eq!(incoming.waiting_bytes, 0);
    }

    #[test]
    fn a_full_house_takes_only_the_message_that_empties_it() {
        let mut incoming = Incoming::default();
        let last = i64::try_from(AHEAD_MAX).expect("a few");
        for sequence in 1..=last {
            assert_eq!(incoming.take(message(sequence)), Taken::Kept);
        }
        assert_eq!(incoming.take(message(last + 1)), Taken::NoRoom);
        assert_eq!(incoming.take(message(0)), Taken::Kept);
        assert_eq!(drain(&mut incoming).len(), AHEAD_MAX + 1);
        assert_eq!(incoming.take(message(last + 1)), Taken::Kept);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut incoming = Incoming::default();
        let big = |sequence| Frame::input(sequence, PayloadType::Output, Bytes::from(vec![0; AHEAD_MAX_BYTES / 2 + 1]));
        assert_eq!(incoming.take(big(1)), Taken::Kept);
        assert_eq!(incoming.take(big(2)), Taken::NoRoom);
        assert_eq!(incoming.take(big(0)), Taken::Kept);
        assert_eq!(drain(&mut incoming), [0, 1]);
    }

    proptest! {
        #[test]
        fn every_message_comes_once_and_in_order(arrivals in prop::collection::vec(0_i64..60, 0..400)) {
            let mut incoming = Incoming::default();
            let mut seen = Vec::new();
            for sequence in arrivals.iter().copied().chain(0..60) {
                prop_assert_ne!(incoming.take(message(sequence)), Taken::NoRoom);
                seen.extend(drain(&mut incoming));
            }
            prop_assert_eq!(seen, (0..60).collect::<Vec<_>>());
        }
    }
}

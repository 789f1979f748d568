//! Stream data to the agent that it has not acknowledged: numbered, bounded, and resent when its time is over.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::frame::Frame;
use super::payload::PayloadType;

/// Bytes that may be on their way. What the service takes at most is not published: AWS's own client sends 1 KiB a
/// millisecond, which is half of this in a quarter of a second.
const IN_FLIGHT_MAX: usize = 512 << 10;
/// What a message of the agent's and its entry here take beside the payload.
const OVERHEAD: usize = 120;
/// A message that stays unacknowledged for so long, while the connection stands, will never be: AWS's own client gives up
/// after 3000 resends, one each 100 ms.
const GIVE_UP: Duration = Duration::from_secs(300);
/// Until something has been measured (`config.go` of session-manager-plugin).
const FIRST_ROUND_TRIP: Duration = Duration::from_millis(100);
const FIRST_TIMEOUT: Duration = Duration::from_millis(200);
const LONGEST_TIMEOUT: Duration = Duration::from_secs(1);
const LEAST_MARGIN: Duration = Duration::from_millis(10);
/// A message that was resent more often than this was not late but unwanted (the agent takes nothing before its shell
/// stands), and says nothing about the way.
const RESENDS_MEASURED: u32 = 2;

/// The queue of one direction. It and its counter outlive a connection.
#[derive(Debug)]
pub(crate) struct Outgoing {
    next: i64,
    unacknowledged: BTreeMap<i64, Sent>,
    bytes: usize,
    timeout: Timeout,
}

#[derive(Debug)]
struct Sent {
    wire: Bytes,
    first: Instant,
    last: Instant,
    resends: u32,
}

/// What the oldest message asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// It can wait.
    Nothing,
    /// It is to be sent again.
    Resend(Bytes),
    /// It will never arrive; this long it was tried.
    GiveUp(Duration),
}

impl Outgoing {
    pub(crate) fn new() -> Self {
        let timeout = Timeout { round_trip: FIRST_ROUND_TRIP, variation: Duration::ZERO, value: FIRST_TIMEOUT };
        Self { next: 0, unacknowledged: BTreeMap::new(), bytes: 0, timeout }
    }

    /// Whether another message may be on its way.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < IN_FLIGHT_MAX
    }

    /// Whether everything has been acknowledged.
    pub(crate) fn is_empty(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// Numbers a message and keeps it, so that no acknowledgement can come before it is kept. Yields it for sending.
    pub(crate) fn push(&mut self, payload_type: PayloadType, payload: Bytes, now: Instant) -> Bytes {
        let wire = Frame::input(self.next, payload_type, payload).encode();
        self.bytes += wire.len() + OVERHEAD;
        self.unacknowledged.insert(self.next, Sent { wire: wire.clone(), first: now, last: now, resends: 0 });
        self.next += 1;
        wire
    }

    /// Forgets a message that has arrived. Others than the oldest may arrive first.
    pub(crate) fn acknowledge(&mut self, sequence: i64, now: Instant) {
        let Some(sent) = self.unacknowledged.remove(&sequence) else { return };
        self.bytes -= sent.wire.len() + OVERHEAD;
        if sent.resends <= RESENDS_MEASURED {
            self.timeout.measure(now.duration_since(sent.first));
        }
    }

    /// When the oldest message is overdue.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.unacknowledged.values().next().map(|oldest| oldest.last + self.timeout.value)
    }

    /// Looks at the oldest message.
    pub(crate) fn overdue(&mut self, now: Instant) -> Overdue {
        let timeout = self.timeout.value;
        let Some(oldest) = self.unacknowledged.values_mut().next() else { return Overdue::Nothing };
        if now < oldest.last + timeout {
            return Overdue::Nothing;
        }
        if now >= oldest.first + GIVE_UP {
            return Overdue::GiveUp(GIVE_UP);
        }
        oldest.last = now;
        oldest.resends += 1;
        Overdue::Resend(oldest.wire.clone())
    }

    /// Everything again and in order, for a connection that has taken the place of another.
    pub(crate) fn resume(&mut self, now: Instant) -> Vec<Bytes> {
        let again = |sent: &mut Sent| {
            (sent.first, sent.last) = (now, now);
            // The old connection may have carried it.
            sent.resends = RESENDS_MEASURED + 1;
            sent.wire.clone()
        };
        self.unacknowledged.values_mut().map(again).collect()
    }
}

/// How long to wait for an acknowledgement: the round trip, and four times its variation.
#[derive(Debug)]
struct Timeout {
    round_trip: Duration,
    variation: Duration,
    value: Duration,
}

impl Timeout {
    fn measure(&mut self, sample: Duration) {
        self.variation = self.variation * 3 / 4 + self.round_trip.abs_diff(sample) / 4;
        self.round_trip = self.round_trip * 7 / 8 + sample / 8;
        self.value = (self.round_trip + LEAST_MARGIN.max(self.variation * 4)).min(LONGEST_TIMEOUT);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn push(outgoing: &mut Outgoing, now: Instant) -> Bytes {
        outgoing.push(PayloadType::Output, Bytes::from_static(b"x"), now)
    }

    #[test]
    fn the_oldest_alone_is_resent_and_only_when_its_time_is_over() {
        let start = Instant::now();
        let mut outgoing = Outgoing::new();
        let first = push(&mut outgoing, start);
        let second = push(&mut outgoing, start + MS);
        assert_eq!(outgoing.deadline(), Some(start + 200 * MS));
        assert_eq!(outgoing.overdue(start + 199 * MS), Overdue::Nothing);
        assert_eq!(outgoing.overdue(start + 200 * MS), Overdue::Resend(first.clone()));
        assert_eq!(outgoing.overdue(start + 399 * MS), Overdue::Nothing, "its time starts anew");
        assert_eq!(outgoing.overdue(start + 400 * MS), Overdue::Resend(first));
        outgoing.acknowledge(0, start + 401 * MS);
        assert!(matches!(outgoing.overdue(start + 1000 * MS), Overdue::Resend(wire) if wire == second));
        outgoing.acknowledge(1, start + 1001 * MS);
        assert!(outgoing.is_empty());
        assert_eq!((outgoing.deadline(), outgoing.bytes), (None, 0));
    }

    #[test]
    fn the_timeout_follows_the_way() {
        let start = Instant::now();
        let mut outgoing = Outgoing::new();
        push(&mut outgoing, start);
        outgoing.acknowledge(0, start + 300 * MS);
        // Variation 0 * 3/4 + 200/4, round trip 100 * 7/8 + 300/8.
        assert_eq!(outgoing.timeout.value, 325 * MS);
        for sequence in 1..200 {
            push(&mut outgoing, start);
            outgoing.acknowledge(sequence, start + 20 * MS);
        }
        assert!((30 * MS..=31 * MS).contains(&outgoing.timeout.value), "{:?}", outgoing.timeout);
        for sequence in 200..220 {
            push(&mut outgoing, start);
            outgoing.acknowledge(sequence, start + 60_000 * MS);
        }
        assert_eq!(outgoing.timeout.value, LONGEST_TIMEOUT);
    }

    #[test]
    fn what_was_refused_for_long_is_no_measure() {
        let start = Instant::now();
        let mut outgoing = Outgoing::new();
        push(&mut outgoing, start);
        for tick in 1..=5 {
            assert!(matches!(outgoing.overdue(start + 200 * MS * tick), Overdue::Resend(_)));
        }
        outgoing.acknowledge(0, start + 1001 * MS);
        assert_eq!(outgoing.timeout.value, FIRST_TIMEOUT);
    }

    #[test]
    fn patience_ends_after_five_minutes_of_one_connection() {
        let start = Instant::now();
        let mut outgoing = Outgoing::new();
        push(&mut outgoing, start);
        assert!(matches!(outgoing.overdue(start + GIVE_UP - MS), Overdue::Resend(_)));
        assert_eq!(outgoing.resume(start + GIVE_UP).len(), 1);
        assert!(matches!(outgoing.overdue(start + GIVE_UP + 300 * MS), Overdue::Resend(_)));
        assert_eq!(outgoing.overdue(start + GIVE_UP * 2), Overdue::GiveUp(GIVE_UP));
    }

    #[test]
    fn bytes_on_their_way_are_bounded() {
        let now = Instant::now();
        let mut outgoing = Outgoing::new();
        while outgoing.has_room() {
            outgoing.push(PayloadType::Output, Bytes::from(vec![7; 1024]), now);
        }
        assert_eq!(outgoing.next, 415, "512 KiB in messages of 1264 bytes");
        outgoing.acknowledge(200, now);
        assert!(outgoing.has_room());
    }

    proptest! {
        #[test]
        fn a_new_connection_gets_what_is_not_acknowledged_and_in_order(acknowledged in prop::collection::btree_set(0_i64..40, 0..40)) {
            let now = Instant::now();
            let mut outgoing = Outgoing::new();
            let sent: Vec<_> = (0..40).map(|_| push(&mut outgoing, now)).collect();
            for sequence in &acknowledged {
                outgoing.acknowledge(*sequence, now);
            }
            let left = (0..40).filter(|sequence| !acknowledged.contains(sequence));
            let expected: Vec<_> = left.map(|sequence| sent[usize::try_from(sequence).expect("small")].clone()).collect();
            prop_assert_eq!(outgoing.resume(now), expected);
            prop_assert_eq!(outgoing.next, 40);
        }
    }
}

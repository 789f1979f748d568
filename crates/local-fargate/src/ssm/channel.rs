//! The agent's end of a data channel without its I/O: numbers, acknowledgements, what is sent again, and what came too early.
//!
//! Rules after amazon-ssm-agent, `agent/session/datachannel/datachannel.go` and `agent/session/config/config.go`. Unlike the real one it
//! records a message before it is sent, so that no acknowledgement comes too early to be understood.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use super::frame::{Frame, Kind, SYN};

/// Messages kept in either direction.
const KEPT_MAX: usize = 100_000;

/// How often the oldest unacknowledged message is looked at.
pub(crate) const RESEND_TICK: Duration = Duration::from_millis(100);

/// What to do with a message that came.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It is the next one.
    Due,
    /// It is acknowledged and kept until its turn comes.
    Early,
    /// There is no room for it: no answer.
    Refused,
    /// It was here before, and is acknowledged again.
    Repeated,
}

/// One end.
#[derive(Debug, Default)]
pub(crate) struct Channel {
    /// Number of the next message.
    next: i64,
    outgoing: VecDeque<Unacknowledged>,
    expected: i64,
    early: BTreeMap<i64, Frame>,
    timing: Timing,
    /// The service has nobody to pass messages on to.
    is_paused: bool,
}

#[derive(Debug)]
struct Unacknowledged {
    sequence: i64,
    message: Bytes,
    sent: Instant,
}

/// Round-trip time as RFC 6298 estimates it, with the agent's numbers, and without leaving out messages that were sent twice.
#[derive(Debug)]
struct Timing {
    round_trip: f64,
    variation: f64,
    timeout: f64,
}

impl Default for Timing {
    fn default() -> Self {
        Self { round_trip: 0.1, variation: 0.0, timeout: 0.2 }
    }
}

impl Timing {
    const CLOCK: f64 = 0.01;
    const TIMEOUT_MAX: f64 = 1.0;

    fn sample(&mut self, taken: Duration) {
        let sample = taken.as_secs_f64();
        self.variation = self.variation.mul_add(0.75, 0.25 * (self.round_trip - sample).abs());
        self.round_trip = self.round_trip.mul_add(0.875, 0.125 * sample);
        self.timeout = (self.round_trip + (4.0 * self.variation).max(Self::CLOCK)).min(Self::TIMEOUT_MAX);
    }
}

impl Channel {
    /// Numbers and records stream data; the bytes are to be sent now, unless the channel is paused.
    pub(crate) fn send(&mut self, payload_type: u32, payload: Bytes, now: Instant) -> Option<Bytes> {
        let flags = if self.next == 0 { SYN } else { 0 };
        let message = Frame::new(Kind::OutputStreamData, self.next, flags, payload_type, payload).encode();
        // Past the limit the agent sends without keeping: such a message is never sent again.
        if self.outgoing.len() < KEPT_MAX {
            let record = Unacknowledged { sequence: self.next, message: message.clone(), sent: now };
            self.outgoing.push_back(record);
        }
        self.next += 1;
        (!self.is_paused).then_some(message)
    }

    /// Forgets what the other end has.
    pub(crate) fn acknowledged(&mut self, sequence: i64, now: Instant) {
        self.is_paused = false;
        let known = self.outgoing.iter().position(|known| known.sequence == sequence);
        if let Some(record) = known.and_then(|index| self.outgoing.remove(index)) {
            self.timing.sample(now.saturating_duration_since(record.sent));
        }
    }

    /// The oldest message, if it is overdue: no other is ever sent again.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<Bytes> {
        if self.is_paused {
            return None;
        }
        let timeout = Duration::from_secs_f64(self.timing.timeout);
        let oldest = self.outgoing.front_mut().filter(|oldest| now.saturating_duration_since(oldest.sent) > timeout)?;
        oldest.sent = now;
        Some(oldest.message.clone())
    }

    /// Looks at stream data that came.
    pub(crate) fn arrive(&mut self, frame: &Frame) -> Arrival {
        self.is_paused = false;
        match frame.sequence {
            number if number == self.expected => Arrival::Due,
            number if number < self.expected => Arrival::Repeated,
            number if self.early.contains_key(&number) => Arrival::Early,
            _ if self.early.len() >= KEPT_MAX => Arrival::Refused,
            number => {
                self.early.insert(number, frame.clone());
                Arrival::Early
            }
        }
    }

    /// The message that was due has been dealt with; answers the one that now is, if it came already.
    pub(crate) fn handled(&mut self) -> Option<Frame> {
        self.expected += 1;
        self.early.remove(&self.expected)
    }

    /// Puts one back that came early and cannot be dealt with yet.
    pub(crate) fn not_ready(&mut self, frame: Frame) {
        self.early.insert(frame.sequence, frame);
    }

    /// The message that is due, if it came early.
    pub(crate) fn due(&mut self) -> Option<Frame> {
        self.early.remove(&self.expected)
    }

    pub(crate) fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Messages that the other end has not acknowledged.
    pub(crate) fn unacknowledged(&self) -> usize {
        self.outgoing.len()
    }

    /// Whether the other end has everything.
    pub(crate) fn is_drained(&self) -> bool {
        self.outgoing.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(sequence: i64) -> Frame {
        Frame::new(Kind::InputStreamData, sequence, 0, 1, "x")
    }

    #[test]
    fn the_first_message_alone_says_that_it_is() {
        let (mut channel, now) = (Channel::default(), Instant::now());
        let sent: Vec<_> = (0..2).filter_map(|_| channel.send(1, "x".into(), now)).collect();
        let flags = |bytes| Frame::decode(bytes).map(|frame| (frame.sequence, frame.flags));
        assert_eq!(sent.iter().map(flags).collect::<Vec<_>>(), [Ok((0, SYN)), Ok((1, 0))]);
    }

    #[test]
    fn messages_are_dealt_with_in_order_whatever_order_they_come_in() {
        let mut channel = Channel::default();
        assert_eq!(channel.arrive(&input(2)), Arrival::Early);
        assert_eq!(channel.arrive(&input(2)), Arrival::Early);
        assert_eq!(channel.arrive(&input(1)), Arrival::Early);
        assert_eq!(channel.arrive(&input(0)), Arrival::Due);
        assert_eq!(channel.handled().map(|frame| frame.sequence), Some(1));
        assert_eq!(channel.handled().map(|frame| frame.sequence), Some(2));
        assert_eq!(channel.handled(), None);
        assert_eq!(channel.arrive(&input(1)), Arrival::Repeated);
        assert_eq!(channel.arrive(&input(3)), Arrival::Due);
    }

    #[tokio::test(start_paused = true)]
    async fn only_the_oldest_message_is_sent_again_and_only_when_it_is_overdue() {
        let mut channel = Channel::default();
        let begin = Instant::now();
        let first = channel.send(1, "a".into(), begin).expect("bytes");
        let second = channel.send(1, "b".into(), begin).expect("bytes");
        let after = |milliseconds| begin + Duration::from_millis(milliseconds);
        assert_eq!(channel.overdue(after(200)), None);
        assert_eq!(channel.overdue(after(201)), Some(first));
        assert_eq!(channel.overdue(after(300)), None, "the clock begins again");
        channel.acknowledged(0, after(300));
        assert_eq!(channel.overdue(after(500)), Some(second));
        channel.acknowledged(1, after(501));
        assert!(channel.is_drained());
    }

    #[test]
    fn a_fast_network_shortens_the_timeout_and_a_slow_one_lengthens_it_to_a_second() {
        let mut timing = Timing::default();
        (0..100).for_each(|_| timing.sample(Duration::from_millis(1)));
        assert!((0.01..0.02).contains(&timing.timeout), "{timing:?}");
        (0..100).for_each(|_| timing.sample(Duration::from_secs(5)));
        assert!((timing.timeout - 1.0).abs() < f64::EPSILON, "{timing:?}");
    }

    #[test]
    fn a_paused_channel_keeps_quiet_until_anything_is_heard() {
        let (mut channel, now) = (Channel::default(), Instant::now());
        channel.pause(true);
        assert_eq!(channel.send(1, "a".into(), now), None);
        let late = now + Duration::from_secs(9);
        assert_eq!(channel.overdue(late), None);
        assert_eq!(channel.arrive(&input(0)), Arrival::Due);
        assert!(channel.overdue(late).is_some());
    }
}

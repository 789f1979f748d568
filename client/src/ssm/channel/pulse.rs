//! Whether the connection lives: when to ask, and when silence means that it does not.

use std::time::Duration;

use tokio::time::Instant;

/// Silence before a question. AWS's own client asks every five minutes, the agent every 54 seconds; a NAT gateway forgets a
/// connection after 350 seconds.
const QUIET: Duration = Duration::from_secs(30);
/// The same while something waits for its acknowledgement.
const WAITING: Duration = Duration::from_secs(5);
/// Silence after a question that means that nobody is there.
const ANSWER: Duration = Duration::from_secs(15);

/// When the other end was last heard, and what it was asked.
#[derive(Debug)]
pub(super) struct Pulse {
    heard: Instant,
    asked: Instant,
    /// The first question that nothing was heard after.
    unanswered: Option<Instant>,
}

/// What to do about the silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    /// Nothing.
    Fine,
    /// A ping is due.
    Ask,
    /// The connection is dead.
    Dead,
}

impl Pulse {
    /// A new connection, at the beginning of which a ping is sent.
    pub(super) fn new(now: Instant) -> Self {
        Self { heard: now, asked: now, unanswered: Some(now) }
    }

    /// Something came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.unanswered = None;
    }

    /// When [`Pulse::check`] will have something to say. `waiting`: something is not acknowledged.
    pub(super) fn deadline(&self, waiting: bool) -> Instant {
        let question = self.heard.max(self.asked) + if waiting { WAITING } else { QUIET };
        self.unanswered.map_or(question, |asked| question.min(asked + ANSWER))
    }

    /// Looks at the silence.
    pub(super) fn check(&mut self, waiting: bool, now: Instant) -> Beat {
        if now < self.deadline(waiting) {
            return Beat::Fine;
        }
        if self.unanswered.is_some_and(|asked| now >= asked + ANSWER) {
            return Beat::Dead;
        }
        self.asked = now;
        self.unanswered.get_or_insert(now);
        Beat::Ask
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn silence_is_asked_about_and_then_fatal() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        pulse.heard(start + SECOND);
        assert_eq!(pulse.check(false, start + 30 * SECOND), Beat::Fine);
        assert_eq!(pulse.deadline(false), start + 31 * SECOND);
        assert_eq!(pulse.check(false, start + 31 * SECOND), Beat::Ask);
        assert_eq!(pulse.check(false, start + 45 * SECOND), Beat::Fine);
        assert_eq!(pulse.check(false, start + 46 * SECOND), Beat::Dead);
        pulse.heard(start + 46 * SECOND);
        assert_eq!(pulse.check(false, start + 47 * SECOND), Beat::Fine);
    }

    #[test]
    fn who_waits_asks_sooner_and_is_no_more_patient_for_asking_again() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        pulse.heard(start);
        assert_eq!(pulse.check(true, start + 5 * SECOND), Beat::Ask);
        assert_eq!(pulse.check(true, start + 10 * SECOND), Beat::Ask);
        assert_eq!(pulse.check(true, start + 15 * SECOND), Beat::Ask);
        assert_eq!(pulse.check(true, start + 20 * SECOND), Beat::Dead);
    }

    #[test]
    fn a_connection_that_never_says_anything_is_dead() {
        let start = Instant::now();
        let mut pulse = Pulse::new(start);
        assert_eq!(pulse.deadline(false), start + 15 * SECOND);
        assert_eq!(pulse.check(false, start + 15 * SECOND), Beat::Dead);
    }
}

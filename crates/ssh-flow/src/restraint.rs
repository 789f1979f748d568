//! How much of a foreign peer's window is used while less will do.
//!
//! OpenSSH keeps what its reader has not taken in one buffer, as long as its window of 2 MiB: a sender that is faster than a program, which
//! has a pipe or a terminal of 64 KiB at most, keeps that buffer full, and OpenSSH then moves megabytes about for each packet (measured:
//! 380 MB/s where the same `sshd` takes 550). So beyond a part of the window we wait for the peer to open it again. Where that takes long,
//! because the way is long or the reader slow, the whole window is used. A forwarded connection's socket takes megabytes, so one that is
//! alone uses the whole window at once; several share as much, because the peer gets to all else that it is sent only after that.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Bytes that may be under way or unread at the peer before we wait: `sshd` takes 256 KiB out of its socket at once, so it has as much to
/// give on meanwhile.
const ENOUGH: u64 = 512 * 1024;

/// The same for all forwarded connections together, as long as each has [`ENOUGH`]: OpenSSH's window.
const ENOUGH_FOR_FORWARDS: u64 = 2 * 1024 * 1024;

/// Longest wait for the peer to open its window: the scheduling delays of two busy machines.
const PATIENCE: Duration = Duration::from_millis(10);

/// Bytes that are sent without waiting once it took longer: the wait is a thousandth of their time even where they take ten seconds.
const FREE: u64 = 32 * 1024 * 1024;

/// The forwarded connections of a link, counted: each that there is holds one, and so does the link.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forwards(Arc<()>);

impl Forwards {
    /// Bytes that each may have under way or unread.
    fn share(&self) -> u64 {
        let forwards = Arc::strong_count(&self.0).saturating_sub(1).max(1);
        (ENOUGH_FOR_FORWARDS / forwards as u64).max(ENOUGH)
    }
}

/// What one channel's sender knows of its peer's window.
#[derive(Debug, Default)]
pub(crate) struct Restraint {
    state: Mutex<State>,
    /// For a session's channel nothing.
    forwards: Option<Forwards>,
}

#[derive(Debug, Default)]
struct State {
    /// The widest that the window was.
    widest: u64,
    /// What it was when the peer last opened it.
    window: u64,
    /// Bytes sent since.
    sent: u64,
    /// Bytes that are not waited for.
    free: u64,
}

impl Restraint {
    /// For a forwarded connection, besides these.
    pub(crate) fn of_forward(forwards: Forwards) -> Self {
        Self { forwards: Some(forwards), ..Self::default() }
    }

    /// The peer has opened its window to this many bytes.
    pub(crate) fn note_opened(&self, window: u32) {
        self.with(|state| {
            state.window = window.into();
            state.widest = state.widest.max(state.window);
            state.sent = 0;
        });
    }

    /// Bytes were sent.
    pub(crate) fn note_sent(&self, bytes: u64) {
        self.with(|state| {
            state.sent += bytes;
            state.free = state.free.saturating_sub(bytes);
        });
    }

    /// Waits until little enough is under way, or long enough. `opened` tells that the peer may have opened its window.
    pub(crate) async fn wait(&self, opened: &Notify) {
        let little = async {
            while self.holds_back() {
                opened.notified().await;
            }
        };
        if timeout(PATIENCE, little).await.is_err() {
            self.with(|state| state.free = FREE);
        }
    }

    fn holds_back(&self) -> bool {
        let enough = self.forwards.as_ref().map_or(ENOUGH, Forwards::share);
        self.with(|state| state.is_over(enough))
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Before the window was ever opened nobody knows how wide it is.
    const fn is_over(&self, enough: u64) -> bool {
        self.widest > 0 && self.free == 0 && self.widest - self.window + self.sent > enough
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const MIB: u32 = 1024 * 1024;

    /// How long a sender waits now.
    async fn wait(restraint: &Restraint, opened: &Notify) -> Duration {
        let began = Instant::now();
        restraint.wait(opened).await;
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn forwards_share_what_one_has_alone() {
        let (forwards, opened) = (Forwards::default(), Notify::new());
        let one = Restraint::of_forward(forwards.clone());
        one.note_opened(2 * MIB);
        one.note_sent(2 << 20);
        assert_eq!(wait(&one, &opened).await, Duration::ZERO, "the whole window");
        let forwards = Forwards::default();
        let several: Vec<_> = (0..3).map(|_| Restraint::of_forward(forwards.clone())).collect();
        several[0].note_opened(2 * MIB);
        several[0].note_sent((2 << 20) / 3);
        assert_eq!(wait(&several[0], &opened).await, Duration::ZERO);
        several[0].note_sent(1);
        assert_eq!(wait(&several[0], &opened).await, PATIENCE, "more than its share");
        let _others: Vec<_> = (0..20).map(|_| Restraint::of_forward(forwards.clone())).collect();
        several[1].note_opened(2 * MIB);
        several[1].note_sent(ENOUGH);
        assert_eq!(wait(&several[1], &opened).await, Duration::ZERO, "enough for each, however many they are");
    }

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_answers_is_waited_for_and_one_that_does_not_is_sent_its_whole_window() {
        let (restraint, opened) = (Restraint::default(), Notify::new());
        restraint.note_sent(2 << 20);
        assert_eq!(wait(&restraint, &opened).await, Duration::ZERO, "its window is not known yet");
        restraint.note_opened(2 * MIB);
        restraint.note_sent(ENOUGH);
        assert_eq!(wait(&restraint, &opened).await, Duration::ZERO, "enough is not too much");
        restraint.note_sent(1);
        let answer = async {
            tokio::time::sleep(Duration::from_millis(3)).await;
            restraint.note_opened(2 * MIB);
            opened.notify_one();
        };
        let (waited, ()) = tokio::join!(wait(&restraint, &opened), answer);
        assert_eq!(waited, Duration::from_millis(3));
        restraint.note_opened(2 * MIB - 512 * 1024 - 1);
        assert_eq!(wait(&restraint, &opened).await, PATIENCE, "more than enough is unread");
        assert_eq!(wait(&restraint, &opened).await, Duration::ZERO);
        restraint.note_sent(FREE - 1);
        assert_eq!(wait(&restraint, &opened).await, Duration::ZERO);
        restraint.note_sent(1);
        assert_eq!(wait(&restraint, &opened).await, PATIENCE);
    }
}

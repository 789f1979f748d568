//! How much of a foreign peer's window is used while less will do.
//!
//! OpenSSH keeps what its reader has not taken in one buffer, as long as its window of 2 MiB: a sender that is faster keeps that buffer full,
//! and OpenSSH then moves megabytes about for each packet (measured: 380 MB/s where the same `sshd` takes 550). So beyond a part of the
//! window we wait for the peer to open it again. Where that takes long, because the way is long or the reader slow, the whole window
//! is used.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

/// Bytes that may be under way or unread at the peer before we wait: `sshd` takes 256 KiB out of its socket at once, and says so only when
/// its reader has them, so it has some to take, some to give on, and the answer is on its way.
const ENOUGH: u64 = 1024 * 1024;

/// Longest wait for the peer to open its window: the scheduling delays of two busy machines.
const PATIENCE: Duration = Duration::from_millis(10);

/// Bytes that are sent without waiting once it took longer: the wait is a thousandth of their time even where they take ten seconds.
const FREE: u64 = 32 * 1024 * 1024;

/// What one channel's sender knows of its peer's window.
#[derive(Debug, Default)]
pub(crate) struct Restraint {
    state: Mutex<State>,
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
            while self.with(|state| state.holds_back()) {
                opened.notified().await;
            }
        };
        if timeout(PATIENCE, little).await.is_err() {
            self.with(|state| state.free = FREE);
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    /// Before the window was ever opened nobody knows how wide it is.
    const fn holds_back(&self) -> bool {
        self.widest > 0 && self.free == 0 && self.widest - self.window + self.sent > ENOUGH
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
        restraint.note_opened(MIB - 1);
        assert_eq!(wait(&restraint, &opened).await, PATIENCE, "more than half of its window is unread");
        assert_eq!(wait(&restraint, &opened).await, Duration::ZERO);
        restraint.note_sent(FREE - 1);
        assert_eq!(wait(&restraint, &opened).await, Duration::ZERO);
        restraint.note_sent(1);
        assert_eq!(wait(&restraint, &opened).await, PATIENCE);
    }
}

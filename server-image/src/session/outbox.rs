//! The output of a session that outlives its connection: from its terminal, through what may have to be sent again, to whichever
//! channel its client has.

use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use ssh_flow::{OutOfReach, Replay};
use tokio::sync::Notify;

use super::Outcome;

/// Output that may wait for a channel, in bytes, before the terminal is not read any more and the program waits: what a busy
/// connection keeps queued besides its credit.
const AHEAD: u64 = 256 * 1024;

/// One session's output. The terminal's side pushes, one channel at a time takes.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// There may be room.
    drained: Notify,
    /// There may be something to take.
    grown: Notify,
}

#[derive(Debug, Default)]
struct State {
    replay: Replay,
    /// How the program ended; behind all output.
    outcome: Option<Outcome>,
    /// Nobody will take anything any more.
    abandoned: bool,
}

/// What a channel is to send next.
#[derive(Debug)]
pub(super) enum Next {
    Data(Bytes),
    /// Everything was taken, and the program has ended.
    End(Outcome),
}

impl Outbox {
    /// Waits until output may be read from the terminal.
    pub(super) async fn room(&self) {
        loop {
            {
                let state = self.lock();
                if state.abandoned || state.replay.waiting() < AHEAD {
                    return;
                }
            }
            // One reader waits, so the stored permit cannot be another's.
            self.drained.notified().await;
        }
    }

    pub(super) fn push(&self, output: &[u8]) {
        let mut state = self.lock();
        if !state.abandoned {
            state.replay.push(output);
        }
        self.grown.notify_one();
    }

    /// No more output comes.
    pub(super) fn finish(&self, outcome: Outcome) {
        self.lock().outcome = Some(outcome);
        self.grown.notify_one();
    }

    /// What is next for the channel. Cancel-safe: it stays the next until [`Outbox::sent`].
    pub(super) async fn next(&self) -> Next {
        loop {
            {
                let state = self.lock();
                if let Some(data) = state.replay.next() {
                    return Next::Data(data);
                }
                if let Some(outcome) = state.outcome {
                    return Next::End(outcome);
                }
            }
            // One channel waits at a time; a permit that an earlier one left behind costs one more look.
            self.grown.notified().await;
        }
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.lock().replay.sent(bytes);
        self.drained.notify_one();
    }

    /// Goes back to where the client is; answers how many bytes it gets again.
    pub(super) fn rewind(&self, received: u64) -> Result<u64, OutOfReach> {
        self.lock().replay.rewind(received)
    }

    /// Whether a client that has received so much can have the rest.
    pub(crate) fn reaches(&self, received: u64) -> bool {
        self.lock().replay.check(received).is_ok()
    }

    /// Drops what waits and will come, so that a program that writes until it ends is not held up.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.replay = Replay::default();
        self.drained.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn output_waits_for_a_channel_up_to_a_bound_and_comes_once_more_from_where_the_client_is() {
        let outbox = Outbox::default();
        let chunk = vec![7; 64 * 1024];
        let mut pushed = 0;
        while tokio::time::timeout(std::time::Duration::ZERO, outbox.room()).await.is_ok() {
            outbox.push(&chunk);
            pushed += chunk.len() as u64;
        }
        assert_eq!(pushed, AHEAD);
        let Next::Data(first) = outbox.next().await else { panic!("output") };
        outbox.sent(first.len());
        outbox.room().await;
        assert_eq!(outbox.rewind(3), Ok(first.len() as u64 - 3));
        outbox.finish(Outcome::Exited(4));
        let mut left = 0;
        loop {
            match outbox.next().await {
                Next::Data(data) => {
                    left += data.len() as u64;
                    outbox.sent(data.len());
                }
                Next::End(outcome) => break assert_eq!(outcome, Outcome::Exited(4)),
            }
        }
        assert_eq!(left, pushed - 3);
        assert!(!outbox.reaches(pushed + 1));
    }

    #[tokio::test]
    async fn nobody_waits_for_a_client_that_was_given_up() {
        let outbox = Arc::new(Outbox::default());
        outbox.push(&vec![7; 2 * 256 * 1024]);
        let waiting = tokio::spawn({
            let outbox = Arc::clone(&outbox);
            async move { outbox.room().await }
        });
        outbox.abandon();
        waiting.await.expect("room");
        outbox.push(&[7]);
        assert!(!outbox.reaches(1), "nothing is kept");
    }
}

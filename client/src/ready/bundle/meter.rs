//! Whether what comes from the task is as much as its sessions carry.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

/// How long is measured: a screen full of text is over sooner.
const WINDOW: Duration = Duration::from_secs(1);
/// What an agent gives a session, in bytes a second: it pauses for a millisecond after each 1024 (amazon-ssm-agent, agent/session/config).
const PACE: u32 = 800_000;
/// A session that carries half of that is taken for full: pauses are longer where the processor is busy.
const FULL: u32 = PACE / 2;
/// One that carries twice as much has an agent that does not pause: another session would change nothing.
const UNPACED: u32 = 2 * PACE;

/// Counts what comes.
#[derive(Debug)]
pub(super) struct Meter {
    since: Option<Instant>,
    bytes: u64,
    /// The most links that were seen to be full.
    filled: watch::Sender<usize>,
}

impl Meter {
    /// A meter, and who is told how many links were full.
    pub(super) fn new() -> (Self, watch::Receiver<usize>) {
        let (filled, told) = watch::channel(0);
        (Self { since: None, bytes: 0, filled }, told)
    }

    /// Notes that bytes have come over so many links.
    pub(super) fn count(&mut self, bytes: usize, links: usize) {
        if bytes == 0 {
            return;
        }
        let now = Instant::now();
        let took = now.duration_since(*self.since.get_or_insert(now));
        self.bytes += bytes as u64;
        if took < WINDOW {
            return;
        }
        // One connection has few links, and a window few gigabytes.
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let each = self.bytes as f64 / took.as_secs_f64() / links as f64;
        if (f64::from(FULL)..f64::from(UNPACED)).contains(&each) {
            self.filled.send_if_modified(|filled| std::mem::replace(filled, links.max(*filled)) < links);
        }
        (self.since, self.bytes) = (Some(now), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many links are seen to be full after so many seconds in which each carries so much, in pieces.
    async fn filled(links: usize, rate: u32, seconds: u32) -> usize {
        const PIECES: u32 = 20;
        let (mut meter, filled) = Meter::new();
        for _ in 0..seconds * PIECES {
            tokio::time::advance(Duration::from_secs(1) / PIECES).await;
            meter.count(rate as usize * links / PIECES as usize, links);
        }
        *filled.borrow()
    }

    #[tokio::test(start_paused = true)]
    async fn links_are_full_at_an_agents_pace_and_neither_below_it_nor_far_above() {
        for links in [1, 2, 16] {
            assert_eq!(filled(links, PACE, 3).await, links);
            assert_eq!(filled(links, FULL / 2, 3).await, 0);
            assert_eq!(filled(links, 2 * UNPACED, 3).await, 0, "an agent that does not pause");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_after_a_silence_fills_nothing() {
        let (mut meter, filled) = Meter::new();
        for _ in 0..5 {
            meter.count(PACE as usize, 1);
            tokio::time::advance(10 * WINDOW).await;
        }
        assert_eq!(*filled.borrow(), 0);
    }
}

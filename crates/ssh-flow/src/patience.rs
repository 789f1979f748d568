//! How long a connection may wait for the readers of a foreign peer's data before it writes that data to the overflow file.
//!
//! While it waits, every channel waits, so the time is a purse: bytes that arrive fill it and waiting empties it. A reader that is only
//! out of step (its turn has not come, its pipe is full for a moment) then never costs a file; one that stands still costs the purse
//! once, until it takes something again.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// Below this a timer says nothing: its resolution.
const LEAST: Duration = Duration::from_millis(1);

/// The purse of one connection.
#[derive(Debug)]
pub(crate) struct Patience {
    most: Duration,
    per_kib: Duration,
    left: Mutex<Duration>,
}

impl Patience {
    /// A full purse of `most`, into which each KiB that arrives puts `per_kib`.
    pub(crate) const fn new(most: Duration, per_kib: Duration) -> Self {
        Self { most, per_kib, left: Mutex::new(most) }
    }

    /// Counts bytes that have arrived.
    pub(crate) fn earn(&self, bytes: usize) {
        let kib = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_add(self.per_kib.saturating_mul(kib)).min(self.most);
    }

    /// Waits until `taken` is told, or the purse is empty. Answers whether it is worth looking again.
    pub(crate) async fn wait(&self, taken: &Notify) -> bool {
        let left = *self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left < LEAST {
            return false;
        }
        let began = Instant::now();
        let told = timeout(left, taken.notified()).await.is_ok();
        let waited = began.elapsed();
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        *left = left.saturating_sub(waited);
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn waiting_empties_the_purse_and_bytes_fill_it() {
        let patience = Patience::new(Duration::from_millis(50), Duration::from_millis(1));
        let taken = Notify::new();
        let began = Instant::now();
        assert!(!patience.wait(&taken).await, "nobody takes anything");
        assert_eq!(began.elapsed(), Duration::from_millis(50));
        assert!(!patience.wait(&taken).await);
        assert_eq!(began.elapsed(), Duration::from_millis(50), "it is empty");
        patience.earn(20 * 1024);
        taken.notify_one();
        assert!(patience.wait(&taken).await);
        assert_eq!(began.elapsed(), Duration::from_millis(50), "what was told already is not waited for");
        assert!(!patience.wait(&taken).await);
        assert_eq!(began.elapsed(), Duration::from_millis(70));
        patience.earn(1024 * 1024);
        assert!(!patience.wait(&taken).await);
        assert_eq!(began.elapsed(), Duration::from_millis(120), "it holds no more than it may");
    }
}

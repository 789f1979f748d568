//! Small pieces of a channel's data that russh has not taken into a packet yet.
//!
//! A program that writes a little at a time is read a little at a time, and each piece would be a packet of its own. Whoever reads it
//! waits until the last small piece has been taken, and finds what has come meanwhile: nothing is held back, and packets are full
//! when they come thick.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::Notify;

/// Pieces below this wait for each other, in bytes: half a packet.
const SMALL: usize = 16 * 1024;

/// The small pieces of one channel that are under way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Taken(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pieces: AtomicUsize,
    none: Notify,
}

/// A piece that tells when it is dropped: russh copies it into a packet and lets it go.
struct Piece {
    data: Bytes,
    taken: Taken,
}

impl Taken {
    /// The same data, counted as long as it lives if it is small.
    pub(crate) fn track(&self, data: Bytes) -> Bytes {
        if data.len() >= SMALL {
            return data;
        }
        self.0.pieces.fetch_add(1, Ordering::Relaxed);
        Bytes::from_owner(Piece { data, taken: self.clone() })
    }

    /// Waits until none is left.
    pub(crate) async fn wait(&self) {
        loop {
            let none = self.0.none.notified();
            tokio::pin!(none);
            none.as_mut().enable();
            if self.0.pieces.load(Ordering::Acquire) == 0 {
                return;
            }
            none.await;
        }
    }
}

impl AsRef<[u8]> for Piece {
    fn as_ref(&self) -> &[u8] {
        &self.data
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        if self.taken.0.pieces.fetch_sub(1, Ordering::Release) == 1 {
            self.taken.0.none.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use super::*;

    /// Whether nothing is left now.
    async fn none_left(taken: &Taken) -> bool {
        let wait = taken.wait();
        tokio::pin!(wait);
        std::future::poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx).is_ready())).await
    }

    #[tokio::test]
    async fn a_small_piece_is_under_way_until_its_last_copy_is_gone_and_a_large_one_is_not_counted() {
        let taken = Taken::default();
        assert!(none_left(&taken).await);
        let large = taken.track(Bytes::from(vec![1; SMALL]));
        assert!(none_left(&taken).await);
        let piece = taken.track(Bytes::from_static(b"piece"));
        let copy = piece.slice(1..);
        drop(piece);
        assert!(!none_left(&taken).await);
        assert_eq!((&copy[..], large.len()), (&b"iece"[..], SMALL));
        let waiting = tokio::spawn({
            let taken = taken.clone();
            async move { taken.wait().await }
        });
        tokio::task::yield_now().await;
        drop(copy);
        waiting.await.expect("no panic");
    }
}

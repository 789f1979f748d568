//! One connection's flow state, shared by its stream and its channels.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
use tokio_util::task::TaskTracker;

use crate::credit::Budget;
use crate::identification::announced_credit;
use crate::patience::Patience;
use crate::restraint::Forwards;
use crate::settings::{PATIENCE_PER_KIB, SMALL_PACKET, Tuning};
use crate::stream::LinkStream;

/// One connection's flow state, shared by its stream and its channels. Clones are the same connection.
#[derive(Clone, Debug)]
pub struct Link {
    shared: Arc<Shared>,
}

/// What waits in a connection, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Encrypted bytes that the transport has not taken yet.
    pub unsent: u64,
    /// Most that `unsent` ever was.
    pub peak_unsent: u64,
    /// Received data in memory that its readers have not taken, each message with a fixed surcharge.
    pub queued: u64,
    /// Most that `queued` ever was.
    pub peak_queued: u64,
    /// Received data in overflow files that its readers have not taken.
    pub spilled: u64,
}

/// The credits that a channel starts with, where both ends announced one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Agreement {
    /// What the peer may send us.
    pub(crate) ours: u64,
    /// What we may send the peer.
    pub(crate) theirs: u64,
}

/// The right to send one packet, as long as it lives.
#[derive(Debug)]
pub(crate) struct Turn {
    // Given back in this order: the next of those who send much then asks behind everybody who has waited meanwhile.
    _turn: OwnedMutexGuard<()>,
    _first: Option<OwnedMutexGuard<()>>,
}

#[derive(Debug)]
struct Shared {
    tuning: Tuning,
    own: OnceLock<String>,
    peer: OnceLock<String>,
    unsent: AtomicUsize,
    peak_unsent: AtomicUsize,
    drained: Notify,
    turn: Arc<Mutex<()>>,
    /// Where those wait for each other who send much, before they ask for the turn.
    queue: Arc<Mutex<()>>,
    moved: AtomicU64,
    queued: AtomicU64,
    peak_queued: AtomicU64,
    spilled: AtomicU64,
    budget: Budget,
    patience: Patience,
    forwards: Forwards,
    tasks: TaskTracker,
}

impl Link {
    /// Wraps a transport. Set TCP_NODELAY on it first: russh cannot reach the socket any more.
    pub fn wrap<S: AsyncRead + AsyncWrite + Unpin>(inner: S) -> (LinkStream<S>, Self) {
        Self::wrap_with(inner, Tuning::default())
    }

    /// Wraps a transport with limits other than the default.
    pub fn wrap_with<S: AsyncRead + AsyncWrite + Unpin>(inner: S, tuning: Tuning) -> (LinkStream<S>, Self) {
        let budget = Budget::new(tuning.credit_budget);
        let patience = Patience::new(tuning.patience, PATIENCE_PER_KIB);
        let shared = Shared {
            tuning,
            own: OnceLock::new(),
            peer: OnceLock::new(),
            unsent: AtomicUsize::new(0),
            peak_unsent: AtomicUsize::new(0),
            drained: Notify::new(),
            turn: Arc::default(),
            queue: Arc::default(),
            moved: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            peak_queued: AtomicU64::new(0),
            spilled: AtomicU64::new(0),
            budget,
            patience,
            forwards: Forwards::default(),
            tasks: TaskTracker::new(),
        };
        let link = Self { shared: Arc::new(shared) };
        (LinkStream::new(inner, link.clone()), link)
    }

    /// The peer's identification string, without its line end, once it has passed.
    #[must_use]
    pub fn peer_identification(&self) -> Option<String> {
        self.shared.peer.get().cloned()
    }

    /// Whether both ends announced credit, that is, whether the peer is our own.
    #[must_use]
    pub fn has_credit(&self) -> bool {
        self.agreement().is_some()
    }

    /// Bytes that data messages moved in either direction so far. Never decreases; keepalives and credit do not count.
    #[must_use]
    pub fn moved(&self) -> u64 {
        self.shared.moved.load(Ordering::Relaxed)
    }

    /// What waits in this connection now.
    #[must_use]
    pub fn usage(&self) -> Usage {
        let shared = &self.shared;
        Usage {
            unsent: shared.unsent.load(Ordering::Relaxed) as u64,
            peak_unsent: shared.peak_unsent.load(Ordering::Relaxed) as u64,
            queued: shared.queued.load(Ordering::Relaxed),
            peak_queued: shared.peak_queued.load(Ordering::Relaxed),
            spilled: shared.spilled.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn forwards(&self) -> Forwards {
        self.shared.forwards.clone()
    }

    /// Waits until every channel of the connection has ended. Call it after the session has.
    pub async fn finished(&self) {
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }

    /// Credit is in force only where both announced it: otherwise one end would wait for what the other never sends.
    pub(crate) fn agreement(&self) -> Option<Agreement> {
        let ours = announced_credit(self.shared.own.get()?)?;
        let theirs = announced_credit(self.shared.peer.get()?)?;
        Some(Agreement { ours, theirs })
    }

    pub(crate) fn tuning(&self) -> &Tuning {
        &self.shared.tuning
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.shared.budget
    }

    pub(crate) fn patience(&self) -> &Patience {
        &self.shared.patience
    }

    pub(crate) fn tasks(&self) -> &TaskTracker {
        &self.shared.tasks
    }

    /// Waits for the turn to send a packet of this size, and for room among the unsent bytes. Turns are granted in the order of asking,
    /// but of all large packets only the first stands in line with the small ones: who says little waits for one stream, however many
    /// there are. The next sender's turn begins when this one is dropped.
    pub(crate) async fn turn(&self, len: usize) -> Turn {
        let first = if len > SMALL_PACKET { Some(Arc::clone(&self.shared.queue).lock_owned().await) } else { None };
        let turn = Arc::clone(&self.shared.turn).lock_owned().await;
        // Only the holder of the turn waits here, so the one stored permit of `Notify` cannot be lost to another.
        while self.shared.unsent.load(Ordering::Acquire) > self.shared.tuning.unsent {
            self.shared.drained.notified().await;
        }
        Turn { _turn: turn, _first: first }
    }

    pub(crate) fn note_own_identification(&self, line: String) {
        // Only the first line of a direction counts, so a second one has nothing to say.
        let _ = self.shared.own.set(line);
    }

    pub(crate) fn note_peer_identification(&self, line: String) {
        let _ = self.shared.peer.set(line);
    }

    pub(crate) fn note_unsent(&self, bytes: usize) {
        self.shared.unsent.store(bytes, Ordering::Release);
        self.shared.peak_unsent.fetch_max(bytes, Ordering::Relaxed);
        if bytes <= self.shared.tuning.unsent {
            self.shared.drained.notify_one();
        }
    }

    pub(crate) fn note_moved(&self, bytes: u64) {
        self.shared.moved.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn note_queued(&self, bytes: u64) {
        let now = self.shared.queued.fetch_add(bytes, Ordering::Relaxed) + bytes;
        self.shared.peak_queued.fetch_max(now, Ordering::Relaxed);
    }

    pub(crate) fn note_unqueued(&self, bytes: u64) {
        self.shared.queued.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(crate) fn note_spilled(&self, bytes: u64) {
        self.shared.spilled.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn note_unspilled(&self, bytes: u64) {
        self.shared.spilled.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_small_packet_waits_for_one_large_one_and_nobody_is_left_out() {
        const LARGE: usize = 10;
        let (_stream, link) = Link::wrap(tokio::io::empty());
        let held = link.turn(SMALL_PACKET + 1).await;
        let (order_tx, mut order_rx) = tokio::sync::mpsc::channel(LARGE + 1);
        // The last one to ask is the small one.
        for name in 0..=LARGE {
            let len = if name < LARGE { SMALL_PACKET + 1 } else { SMALL_PACKET };
            let (link, order_tx) = (link.clone(), order_tx.clone());
            tokio::spawn(async move {
                let _turn = link.turn(len).await;
                order_tx.send(name).await.expect("a reader");
            });
            tokio::task::yield_now().await;
        }
        drop((held, order_tx));
        let mut order = Vec::new();
        while let Some(name) = order_rx.recv().await {
            order.push(name);
        }
        assert_eq!(order.len(), LARGE + 1);
        assert!(order.iter().take(2).any(|name| *name == LARGE), "{order:?}");
    }
}

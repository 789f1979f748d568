//! Listeners of all connections: a client that has come back takes over those of a connection that does not know yet that it is lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::Connection;
use super::offer::Offer;

/// One listener as other connections know it.
pub(super) struct Held {
    pub(super) connection: Arc<Connection>,
    pub(super) stopped: CancellationToken,
    /// Those that accept; each has its socket as long as it runs.
    pub(super) tasks: TaskTracker,
    pub(super) place: Offer,
}

/// The listeners that stand.
#[derive(Default)]
pub(super) struct Standing {
    held: Mutex<Vec<Weak<Held>>>,
}

impl Standing {
    /// Notes a listener for as long as it stands.
    pub(super) fn note(&self, held: &Arc<Held>) {
        let mut all = self.lock();
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(held));
    }

    /// Ends the earlier connections of this one's client that listen on this place, and waits until its sockets are free. Answers whether
    /// there were any. A client of our own has one connection at a time, and all of them have the key of the run. Of others, several may
    /// be alive at once: there the place is taken.
    pub(super) async fn supersede(&self, by: &Arc<Connection>, wanted: &Offer) -> bool {
        if !by.link.has_credit() {
            return false;
        }
        let is_earlier = |held: &Arc<Held>| {
            held.place.collides(wanted) && !Arc::ptr_eq(&held.connection, by) && held.connection.link.has_credit()
        };
        let earlier: Vec<Arc<Held>> = self.lock().iter().filter_map(Weak::upgrade).filter(is_earlier).collect();
        for held in &earlier {
            held.connection.tie.supersede();
            held.stopped.cancel();
            held.tasks.close();
            held.tasks.wait().await;
        }
        !earlier.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Weak<Held>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

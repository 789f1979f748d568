//! Sessions that their client may ask for again, and how its next connection reaches them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fargate_contract::{ResumeId, ResumeRequest};
use russh::ChannelId;
use russh::server::{Handle, Msg};
use ssh_flow::{ChannelReceiver, ChannelSender};
use tokio::sync::mpsc;

use crate::connection::{Endpoints, Tie};
use crate::serve::Server;
use crate::session::{Controls, Outbox};

/// Connections that may wait to take a session over. More come only from a client that has lost count.
const ARRIVALS: usize = 2;

/// A channel as a session's connection to its client.
pub(crate) struct Attachment {
    pub(crate) handle: Handle,
    pub(crate) channel: ChannelId,
    pub(crate) sender: ChannelSender<Msg>,
    pub(crate) receiver: ChannelReceiver,
    pub(crate) ends: Endpoints,
    pub(crate) tie: Tie,
    /// For a session that is resumed: bytes of output that the client has.
    pub(crate) received: Option<u64>,
}

/// The sessions that may be asked for.
#[derive(Default)]
pub(crate) struct Resumables {
    known: Mutex<Vec<Known>>,
}

struct Known {
    id: ResumeId,
    controls: Controls,
    outbox: Arc<Outbox>,
    arrivals: mpsc::Sender<Attachment>,
}

/// A session's own end: while it lives, the session may be asked for, and its key is good for that.
pub(crate) struct Standing {
    server: Arc<Server>,
    id: ResumeId,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) arrivals: mpsc::Receiver<Attachment>,
}

/// A place in a session, taken: it has only to be filled.
pub(crate) struct Place {
    pub(crate) controls: Controls,
    pub(crate) seat: mpsc::OwnedPermit<Attachment>,
}

impl Resumables {
    /// Whether a session has this id.
    pub(crate) fn knows(&self, id: &ResumeId) -> bool {
        self.lock().iter().any(|known| known.id.is(id))
    }

    /// Makes a session known that is about to start.
    pub(crate) fn open(server: &Arc<Server>, id: ResumeId, controls: Controls) -> Standing {
        let (arrivals_tx, arrivals) = mpsc::channel(ARRIVALS);
        let outbox = Arc::<Outbox>::default();
        server.admission.hold();
        let known = Known { id: id.clone(), controls, outbox: Arc::clone(&outbox), arrivals: arrivals_tx };
        server.resumables.lock().push(known);
        Standing { server: Arc::clone(server), id, outbox, arrivals }
    }

    /// A place in the session that is asked for, or why there is none.
    pub(crate) fn take(&self, request: &ResumeRequest) -> Result<Place, &'static str> {
        let known = self.lock();
        let known = known.iter().find(|known| known.id.is(&request.id)).ok_or("there is no such session")?;
        if !known.outbox.reaches(request.received) {
            return Err("it asks for output that is not kept");
        }
        let seat = known.arrivals.clone().try_reserve_owned().map_err(|_| "others are at it")?;
        Ok(Place { controls: known.controls.clone(), seat })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.server.resumables.lock().retain(|known| !known.id.is(&self.id));
        self.server.admission.release();
    }
}

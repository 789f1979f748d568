//! A session as the service keeps it: who may open its channel, which connection it has, and what was seen on it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::agent::{self, Line, Order};
use super::document::Work;
use super::relay::{self, Client};
use super::target::Target;
use crate::draw::Draw;
use crate::fault::Fault;
use crate::state::{Shared, World};

/// Frames that wait between the parts of a channel: some hundred KiB.
pub(super) const QUEUE: usize = 256;
/// How long an agent whose container has ended may take to say so, and the relay after it: longer than both wait for a client.
const LAST_WORDS: Duration = Duration::from_secs(8);
/// Irregularities that are kept of one session.
const IRREGULARITIES_MAX: usize = 100;

/// All sessions, those that have ended too.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    known: Mutex<BTreeMap<String, Arc<Session>>>,
    made: AtomicU64,
}

/// What can be told of a session from outside the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionSummary {
    /// Its id.
    pub id: String,
    /// What it was started for.
    pub target: String,
    /// `Standard_Stream`, `InteractiveCommands`, `NonInteractiveCommands` or `Port`.
    pub session_type: String,
    /// Whether it is over.
    pub is_over: bool,
    /// Connections that were let in, one after the other.
    pub connections: u64,
    /// Frames and bytes that came from clients.
    pub received: (u64, u64),
    /// Frames and bytes that went to clients.
    pub sent: (u64, u64),
    /// What clients sent that is not as the protocol has it, though the agent takes it.
    pub irregularities: Vec<String>,
}

/// One session.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) id: String,
    target: String,
    session_type: &'static str,
    /// The one token that opens the channel.
    token: Mutex<Token>,
    /// Where a connection that was let in goes.
    pub(super) clients: mpsc::Sender<Client>,
    /// Cancelled by those who end the session.
    pub(super) terminated: CancellationToken,
    /// Changes when the connection that there is is to be cut.
    pub(super) cuts: watch::Sender<()>,
    /// Cancelled when the session is over.
    pub(super) over: CancellationToken,
    pub(super) seen: Mutex<Seen>,
}

/// What was seen on a channel.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) connections: u64,
    pub(super) received: (u64, u64),
    pub(super) sent: (u64, u64),
    irregularities: Vec<String>,
}

/// A secret that is compared and handed out only.
struct Token(String);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token")
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Sessions {
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Session>> {
        lock(&self.known).get(id).cloned()
    }

    pub(crate) fn summaries(&self) -> Vec<SessionSummary> {
        lock(&self.known).values().map(|session| session.summary()).collect()
    }

    /// Those that are not over.
    pub(crate) fn open(&self) -> Vec<Arc<Session>> {
        lock(&self.known).values().filter(|session| !session.over.is_cancelled()).cloned().collect()
    }
}

/// Starts a session: the agent begins at once, whether a client comes or not.
pub(crate) fn start(shared: &Arc<Shared>, prefix: &str, given: &str, target: Target, work: Work) -> Arc<Session> {
    let number = shared.sessions.made.fetch_add(1, Ordering::Relaxed);
    let mut draw = Draw::new(shared.config.seed, u64::MAX - number);
    let id = format!("{prefix}{}", draw.hex(17));
    let impaired =
        |fault: &Fault| if let Fault::Impaired(impairment) = fault { Some(impairment.clone()) } else { None };
    let impairment = shared.lock().faults.take(impaired).unwrap_or_default();
    let (clients, joining) = mpsc::channel(1);
    let session = Arc::new(Session {
        id: id.clone(),
        target: given.to_owned(),
        session_type: work.session_type(),
        token: Mutex::new(Token::new()),
        clients,
        terminated: CancellationToken::new(),
        cuts: watch::channel(()).0,
        over: CancellationToken::new(),
        seen: Mutex::default(),
    });
    lock(&shared.sessions.known).insert(id.clone(), Arc::clone(&session));
    let (to_agent, from_service) = mpsc::channel(QUEUE);
    let (to_service, from_agent) = mpsc::channel(QUEUE);
    let Target { place, reach, is_container } = target;
    let order = Order {
        session_id: id,
        target: given.to_owned(),
        work,
        kms_key: shared.config.session_key.clone(),
        place,
        reach,
        is_container,
        deaf_per_mille: impairment.unheeded_per_mille,
    };
    let (told, ended) = oneshot::channel();
    let agent = agent::run(Arc::clone(shared), order, Line { from_service, to_service });
    let agent = async {
        // Nobody asks any more, if the service ended it.
        let _ = told.send(agent.await);
        // The relay has yet to pass on what it said.
        std::future::pending::<()>().await;
    };
    let ends = relay::Ends { joining, to_agent, from_agent, ended };
    let relay = relay::run(Arc::clone(&session), impairment, draw, ends);
    let (shared_too, over) = (Arc::clone(shared), Arc::clone(&session));
    let given = given.to_owned();
    shared.drivers.spawn(async move {
        tokio::select! {
            () = relay => {}
            () = agent => {}
            () = container_gone(&shared_too, &given) => {}
            // What the agent started is ended as it is dropped.
            () = shared_too.kill.cancelled() => {}
        }
        over.over.cancel();
        shared_too.wake();
    });
    session
}

/// The agent of a container runs in it. Waits until it is gone and whatever it had to say is said; for ever, where it runs elsewhere.
async fn container_gone(shared: &Shared, target: &str) {
    let Some(runtime_id) = target.strip_prefix("ecs:").and_then(|target| target.rsplit('_').next()) else {
        return std::future::pending().await;
    };
    let runs = |world: &World| {
        let mut containers = world.tasks.iter().flat_map(|task| &task.containers);
        containers.any(|container| container.runtime_id == runtime_id && container.ended.is_none())
    };
    shared.wait_until(|world| !runs(world)).await;
    tokio::time::sleep(LAST_WORDS).await;
}

impl Session {
    /// What StartSession and ResumeSession answer: a new token, and where to go with it. Older tokens are worth nothing from now on.
    pub(crate) fn invitation(&self, shared: &Shared) -> Value {
        let token = Token::new();
        let told = json!({"SessionId": self.id, "TokenValue": token.0, "StreamUrl": self.stream_url(shared)});
        *lock(&self.token) = token;
        told
    }

    fn stream_url(&self, shared: &Shared) -> String {
        format!("ws://{}{}{}?role=publish_subscribe", shared.address, super::gateway::PATH, self.id)
    }

    pub(super) fn admits(&self, token: &str) -> bool {
        lock(&self.token).0 == token
    }

    /// Cuts the connection that there is.
    pub(crate) fn cut(&self) {
        self.cuts.send_replace(());
    }

    pub(super) fn irregular(&self, what: &str) {
        tracing::debug!(session = self.id, what, "irregular");
        let mut seen = lock(&self.seen);
        if seen.irregularities.len() < IRREGULARITIES_MAX {
            seen.irregularities.push(what.to_owned());
        }
    }

    pub(super) fn see(&self, look: impl FnOnce(&mut Seen)) {
        look(&mut lock(&self.seen));
    }

    fn summary(&self) -> SessionSummary {
        let seen = lock(&self.seen);
        SessionSummary {
            id: self.id.clone(),
            target: self.target.clone(),
            session_type: self.session_type.to_owned(),
            is_over: self.over.is_cancelled(),
            connections: seen.connections,
            received: seen.received,
            sent: seen.sent,
            irregularities: seen.irregularities.clone(),
        }
    }
}

impl Token {
    fn new() -> Self {
        // Not from the seed: it is a secret.
        Self(format!("local/{}{}", uuid::Uuid::new_v4().simple(), uuid::Uuid::new_v4().simple()))
    }
}

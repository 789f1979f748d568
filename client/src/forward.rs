//! Forwards: local listeners whose connections the task makes (`-L`, `-D`), listeners of the task whose connections we make (`-R`),
//! and our agent (`-A`).
//!
//! Local listeners are bound before anything is launched, take connections once there is a connection to the task, and outlive it: who
//! connects while it is lost waits. [`via`] has the same listeners without a task, over sessions of Systems Manager.

pub mod announce;
#[cfg(test)]
pub(crate) mod fuzz;
mod gate;
pub mod hold;
mod listener;
mod owner;
mod proxy;
mod relay;
mod remote;
mod socks;
pub mod spec;
pub mod stdio;
mod stream;
#[cfg(test)]
mod tests;
pub mod via;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::error::Advice;
use crate::ssh::SshError;
use crate::ssh::channels::OpenError;
use crate::ui::Ui;
use announce::{Kind, Listening};
use gate::{Gate, Gatekeeper};
use listener::Listener;
pub use listener::{At, BindError, Obstacle};
use remote::Remote;
use spec::{Forward, Listen, Purpose, RemoteForward, Target};
use stream::Stream;

/// Descriptors that are not for forwarded connections: our streams, the transport, AWS, listeners.
const DESCRIPTORS_OF_OURS: u64 = 64;
/// Most connections at once, whatever the system allows: the task has its limit too.
const CONNECTIONS_MAX: u64 = 16 * 1024;
/// Pause after a connection could not be accepted, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a run forwards.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Forwards {
    /// Local listeners with a fixed target, in order.
    pub local: Vec<Forward>,
    /// Local listeners that speak SOCKS, in order.
    pub dynamic: Vec<Listen>,
    /// Listeners of the task, in order.
    pub remote: Vec<RemoteForward>,
    /// Whether the session may use our agent.
    pub agent: bool,
    /// Whether local listeners that name no address are for every address.
    pub gateway_ports: bool,
    /// Whether a run goes on without the listeners that it cannot have.
    pub keep_going: bool,
}

impl Forwards {
    /// Whether there is nothing to forward.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.local.is_empty() && self.dynamic.is_empty() && self.remote.is_empty() && !self.agent
    }
}

/// Why something is not forwarded.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// There is no local listener.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// There is no listener at the task.
    #[error("the task refuses to listen on {at} for {target}")]
    Refused {
        /// Where.
        at: String,
        /// For what.
        target: String,
    },
    /// The one connection of `-W` cannot be made.
    #[error("{target}: {cause}")]
    Open {
        /// To what.
        target: String,
        /// Why not.
        cause: OpenError,
    },
    /// Standard input or output failed.
    #[error("cannot use standard {stream}: {cause}")]
    Stdio {
        /// `input` or `output`.
        stream: &'static str,
        /// Why not.
        cause: std::io::Error,
    },
    /// The connection failed.
    #[error(transparent)]
    Ssh(#[from] SshError),
}

impl ForwardError {
    /// Standard output failed.
    pub(crate) const fn stdout(cause: std::io::Error) -> Self {
        Self::Stdio { stream: "output", cause }
    }
}

impl Advice for ForwardError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Bind(error) => error.hints(),
            Self::Refused { .. } => {
                vec!["the port may be taken there, or need a privilege; `--keep-going` does without".to_owned()]
            }
            Self::Ssh(error) => error.hints(),
            Self::Open { .. } | Self::Stdio { .. } => Vec::new(),
        }
    }
}

/// The forwards of one run, over all its connections. Dropped, they end.
#[derive(Debug)]
pub struct Forwarding {
    wishes: Forwards,
    local: Vec<Listening>,
    keeper: Gatekeeper,
    remote: Remote,
    shared: Shared,
}

/// What every forwarded connection needs.
#[derive(Clone, Debug)]
struct Shared {
    ui: Ui,
    gate: Gate,
    /// One for each connection that may be.
    places: Arc<Semaphore>,
    tasks: TaskTracker,
    ended: CancellationToken,
}

impl Forwarding {
    /// Binds the local listeners. To be called within the runtime, before anything is launched.
    ///
    /// # Errors
    /// [`BindError`], unless the run is to go on without.
    pub async fn prepare(wishes: Forwards, ui: &Ui) -> Result<Self, BindError> {
        let agent = agent_socket(&wishes, ui);
        Self::with_agent(wishes, ui, agent).await
    }

    async fn with_agent(wishes: Forwards, ui: &Ui, agent: Option<PathBuf>) -> Result<Self, BindError> {
        let (keeper, gate) = Gatekeeper::new();
        let places = if wishes.is_empty() { 0 } else { room() };
        let shared = Shared {
            ui: ui.clone(),
            gate,
            places: Arc::new(Semaphore::new(places)),
            tasks: TaskTracker::new(),
            ended: CancellationToken::new(),
        };
        let remote = Remote::new(wishes.remote.clone(), agent, shared.clone());
        let fixed = wishes.local.iter().map(|forward| (&forward.listen, Purpose::Fixed(forward.target.clone())));
        let all = fixed.chain(wishes.dynamic.iter().map(|listen| (listen, Purpose::Socks)));
        let mut local = Vec::new();
        for (listen, purpose) in all {
            let Some(listener) = bind(listen, &wishes, ui).await? else { continue };
            let kind = match &purpose {
                Purpose::Fixed(target) => Kind::Local(target.clone()),
                Purpose::Socks => Kind::Dynamic,
            };
            local.push(Listening { kind, at: listener.at.clone() });
            shared.spawn(shared.clone().serve(listener, purpose));
        }
        Ok(Self { wishes, local, keeper, remote, shared })
    }

    /// Local listeners, in the order in which they are numbered.
    #[must_use]
    pub fn local(&self) -> &[Listening] {
        &self.local
    }

    /// Forwards over this connection from now on. Answers every listener that stands.
    ///
    /// # Errors
    /// [`ForwardError`]: the task does not listen, and the run does not go on without.
    pub async fn stand(&self, connection: &crate::ssh::Connection) -> Result<Vec<Listening>, ForwardError> {
        let open = || self.keeper.open(connection.opener());
        let remote = self.remote.stand(connection, self.wishes.keep_going, open).await?;
        open();
        Ok(self.local.iter().cloned().chain(remote).collect())
    }

    /// There is no connection for now: whoever connects waits.
    pub fn lost(&self) {
        self.keeper.shut();
    }

    /// Ends everything: listeners, and what they let in.
    pub fn end(&self) {
        self.shared.ended.cancel();
    }

    /// Whether the session shall be told of our agent.
    #[must_use]
    pub fn offers_agent(&self) -> bool {
        self.remote.offers_agent()
    }
}

impl Drop for Forwarding {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    /// Starts a task that ends with the run.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let ended = self.ended.clone();
        self.tasks.spawn(async move { ended.run_until_cancelled(task).await });
    }

    /// Takes connections whenever there is a connection to the task.
    async fn serve(mut self, listener: Listener, purpose: Purpose) {
        loop {
            self.gate.passable().await;
            let (stream, origin, place) = next_connection(&listener, &self.places, &self.ui).await;
            let label = format!("forward from {}", listener.at);
            self.spawn(self.clone().carry(stream, origin, purpose.clone(), label, place));
        }
    }

    /// One connection, from its first byte to its last.
    async fn carry(
        mut self,
        stream: Stream,
        origin: (String, u16),
        purpose: Purpose,
        label: String,
        _place: OwnedSemaphorePermit,
    ) {
        let from = (&origin.0[..], origin.1);
        match purpose {
            Purpose::Fixed(target) => match self.gate.open(&target, from).await {
                Ok(halves) => relay::relay(stream, halves, Bytes::new()).await,
                Err(error) => self.ui.note(&format!("{label} to {target}: {error}")),
            },
            Purpose::Socks => {
                let (request, first) = match proxy::ask(&mut &stream).await {
                    Ok(asked) => asked,
                    Err(reason) => return self.ui.note(&format!("{label}: {reason}")),
                };
                let target = Target::Tcp { host: request.host.clone(), port: request.port };
                match self.gate.open(&target, from).await {
                    Ok(halves) => {
                        // A client that has gone is noticed where it is read.
                        let _ = stream.write_all(&request.granted()).await;
                        relay::relay(stream, halves, first).await;
                    }
                    Err(error) => {
                        self.ui.note(&format!("{label} to {target}: {error}"));
                        let _ = stream.write_all(&request.refused((&error).into())).await;
                    }
                }
            }
        }
    }
}

/// Listens; `None`, with a warning, where that cannot be and the run is to go on without.
///
/// # Errors
/// [`BindError`], unless the run is to go on without.
async fn bind(listen: &Listen, wishes: &Forwards, ui: &Ui) -> Result<Option<Listener>, BindError> {
    match Listener::bind(listen, wishes.gateway_ports).await {
        Ok(listener) => Ok(Some(listener)),
        Err(error) if wishes.keep_going => {
            ui.warn(&error.to_string());
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// The next connection when there is a place for one, where it comes from, and its place.
async fn next_connection(
    listener: &Listener,
    places: &Arc<Semaphore>,
    ui: &Ui,
) -> (Stream, (String, u16), OwnedSemaphorePermit) {
    // Never closed.
    let Ok(place) = Arc::clone(places).acquire_owned().await else { return std::future::pending().await };
    loop {
        match listener.accept().await {
            Ok((stream, origin)) => return (stream, origin, place),
            Err(error) => {
                ui.note(&format!("{}: a connection cannot be accepted: {error}", listener.at));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// How many connections there may be at once: as many as there may be descriptors, which the user's own limit may have to be raised for.
fn room() -> usize {
    let limit = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = hard.min(CONNECTIONS_MAX + DESCRIPTORS_OF_OURS).max(soft);
        setrlimit(Resource::RLIMIT_NOFILE, wanted, hard).map(|()| wanted).or(Ok(soft))
    });
    let descriptors = limit.unwrap_or(DESCRIPTORS_OF_OURS * 4);
    usize::try_from(descriptors.saturating_sub(DESCRIPTORS_OF_OURS).clamp(1, CONNECTIONS_MAX)).unwrap_or(1)
}

/// The socket of the user's agent, if it is to be used (ssh-agent(1), `SSH_AUTH_SOCK`).
fn agent_socket(wishes: &Forwards, ui: &Ui) -> Option<PathBuf> {
    let named = std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty());
    if wishes.agent && named.is_none() {
        ui.warn("there is no agent to forward: SSH_AUTH_SOCK is not set");
    }
    named.filter(|_| wishes.agent).map(PathBuf::from)
}

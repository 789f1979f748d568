//! Connections that go through a login: to targets that the container reaches, from listeners in the container, and to the client's
//! agent.
//!
//! No callback of russh's waits for any of this: each forward is a task of its own. What the system refuses a user, it refuses here:
//! sockets of the file system and ports are opened with the rights of the user who is logged in.

mod agent;
mod listener;
mod offer;
mod refusal;
mod relay;
mod resolve;
mod standing;
mod target;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use fargate_contract::Forwarding;
use russh::Channel;
use russh::server::{ChannelOpenHandle, Handle, Msg};
use ssh_flow::{ChannelReceiver, ChannelSender, Link, split_forward};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::accounts::User;
use crate::connection::Tie;
use crate::log::Event;
use crate::serve::Server;
use crate::sys;
pub(crate) use agent::{AgentRoute, AgentSocket};
use listener::Listener;
use offer::Offer;
use refusal::Refusal;
use relay::Stream;
use standing::Standing;
use target::Target;

/// Forwards that one connection may have at once, those included that are still being connected. With its sessions, and as many
/// credits as there are channels, what can be in flight stays below what russh takes during a key exchange
/// ([`ssh_flow::WINDOW_SIZE`]).
const FORWARDS: usize = 1400;

/// Forwards that all connections may have at once.
const ALL_FORWARDS: usize = 4 * FORWARDS;

/// Listeners that one connection may have at once.
const LISTENERS: usize = 64;

/// Longest name of a target or an origin that is repeated in the log and to the client, in characters: names of hosts have 253
/// (RFC 1035, section 2.3.4).
const NAME_MAX: usize = 256;

/// What the forwards of all connections share.
pub(crate) struct State {
    allowed: Forwarding,
    so_far: AtomicU64,
    lookups: Arc<Semaphore>,
    tasks: TaskTracker,
    standing: Standing,
}

impl State {
    pub(crate) fn new(allowed: Forwarding) -> Self {
        Self {
            allowed,
            so_far: AtomicU64::new(0),
            lookups: Arc::new(Semaphore::new(resolve::LOOKUPS)),
            tasks: TaskTracker::new(),
            standing: Standing::default(),
        }
    }

    /// Waits until no forward is left. To be called when no connection is.
    pub(crate) async fn ended(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}

/// What is forwarded, in the words of the protocol (RFC 4254, section 7, and OpenSSH's PROTOCOL, section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    DirectTcpip,
    DirectStreamlocal,
    ForwardedTcpip,
    ForwardedStreamlocal,
    Agent,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Self::DirectTcpip => "direct-tcpip",
            Self::DirectStreamlocal => "direct-streamlocal",
            Self::ForwardedTcpip => "forwarded-tcpip",
            Self::ForwardedStreamlocal => "forwarded-streamlocal",
            Self::Agent => "agent",
        }
    }

    const fn is_allowed(self, by: Forwarding) -> bool {
        match self {
            Self::DirectTcpip | Self::DirectStreamlocal => by.allows_local(),
            Self::ForwardedTcpip | Self::ForwardedStreamlocal => by.allows_remote(),
            Self::Agent => by.allows_agent(),
        }
    }
}

/// What one connection forwards. Dropped with the connection, it ends its listeners; forwards end with their channels.
pub(crate) struct Forwards {
    connection: Arc<Connection>,
    listeners: Vec<Listener>,
    _ended: DropGuard,
}

/// What the forwards of one connection share.
struct Connection {
    server: Arc<Server>,
    peer: SocketAddr,
    link: Link,
    tie: Tie,
    places: Arc<Semaphore>,
    /// Cancelled with the connection.
    ended: CancellationToken,
}

/// One forward as its log lines name it.
struct Named {
    kind: Kind,
    target: String,
    origin: String,
}

impl Forwards {
    pub(crate) fn new(server: Arc<Server>, peer: SocketAddr, link: Link, tie: Tie) -> Self {
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let connection = Connection { server, peer, link, tie, places: Arc::new(Semaphore::new(FORWARDS)), ended };
        Self { connection: Arc::new(connection), listeners: Vec::new(), _ended: guard }
    }

    /// Connects a channel to a port of a host (RFC 4254, section 7.2). `user` is absent where the login is not good for it.
    pub(crate) fn open_tcp(
        &self,
        user: Option<&User>,
        channel: Channel<Msg>,
        (host, port): (&str, u32),
        (origin, origin_port): (&str, u32),
        reply: ChannelOpenHandle,
    ) {
        let named = Named {
            kind: Kind::DirectTcpip,
            target: clipped(&address_text(host, port)),
            origin: clipped(&address_text(origin, origin_port)),
        };
        self.open(user, channel, named, Target::tcp(host, port), reply);
    }

    /// Connects a channel to a socket of the file system (OpenSSH's PROTOCOL, section 2.4).
    pub(crate) fn open_unix(&self, user: Option<&User>, channel: Channel<Msg>, path: &str, reply: ChannelOpenHandle) {
        // The client says nothing of where its own connection came from.
        let named = Named { kind: Kind::DirectStreamlocal, target: clipped(path), origin: String::new() };
        self.open(user, channel, named, Target::unix(path), reply);
    }

    fn open(
        &self,
        user: Option<&User>,
        channel: Channel<Msg>,
        named: Named,
        target: Result<Target, Refusal>,
        reply: ChannelOpenHandle,
    ) {
        let connection = Arc::clone(&self.connection);
        let asked = self.admit(named.kind, user).and_then(|user| Ok((connection.place()?, user.clone(), target?)));
        self.connection.server.forwarding.tasks.spawn(async move {
            let connecting = async {
                let (place, user, target) = asked?;
                let lookups = &connection.server.forwarding.lookups;
                target::connect(target, &user, lookups).await.map(|stream| (place, stream))
            };
            let connected = tokio::select! {
                connected = connecting => connected,
                () = connection.ended.cancelled() => return,
            };
            match connected {
                Ok((_place, stream)) => {
                    // Nothing comes on a channel before it is accepted.
                    let (sender, receiver) = split_forward(channel, &connection.link);
                    reply.accept().await;
                    connection.run(&named, &stream, &sender, receiver).await;
                }
                Err(refusal) => {
                    connection.refuse(named.kind, &named.target, &refusal);
                    reply.reject(refusal.to_failure(&named.target)).await;
                }
            }
        });
    }

    /// Listens on a port (RFC 4254, section 7.1). Answers which, if it can.
    pub(crate) async fn listen_tcp(
        &mut self,
        user: Option<&User>,
        address: &str,
        port: u32,
        handle: Handle,
    ) -> Option<u32> {
        let place = Offer::Tcp { address: address.to_owned(), port };
        let bind = |user: &User| Listener::tcp(Arc::clone(&self.connection), handle.clone(), user, address, port);
        let asked = self.listen(user, place, bind).await;
        match asked {
            Ok(listener) => {
                let port = listener.port();
                self.listeners.push(listener);
                Some(port)
            }
            Err(refusal) => {
                let target = clipped(&address_text(address, port));
                self.connection.refuse(Kind::ForwardedTcpip, &target, &refusal);
                None
            }
        }
    }

    /// Ends a listener; connections that came to it go on. Answers whether there was one.
    pub(crate) fn cancel_tcp(&mut self, address: &str, port: u32) -> bool {
        self.cancel(|listener| listener.is_tcp(address, port))
    }

    /// Listens on a socket of the file system. Answers whether it can.
    pub(crate) async fn listen_unix(&mut self, user: Option<&User>, path: &str, handle: Handle) -> bool {
        let place = Offer::Unix { path: path.to_owned() };
        let bind = |user: &User| Listener::unix(Arc::clone(&self.connection), handle.clone(), user, path);
        let asked = self.listen(user, place, bind).await;
        match asked {
            Ok(listener) => {
                self.listeners.push(listener);
                true
            }
            Err(refusal) => {
                self.connection.refuse(Kind::ForwardedStreamlocal, &clipped(path), &refusal);
                false
            }
        }
    }

    /// Binds a place; one that an earlier connection of the same client holds is this one's then. That is all that it waits for: a task
    /// that lets its socket go.
    async fn listen(
        &self,
        user: Option<&User>,
        place: Offer,
        bind: impl Fn(&User) -> Result<Listener, Refusal> + Send,
    ) -> Result<Listener, Refusal> {
        let user = self.admit(place.kind(), user)?;
        self.has_room_to_listen()?;
        let bound = bind(user);
        let taken = matches!(&bound, Err(Refusal::System(error)) if error.kind() == io::ErrorKind::AddrInUse);
        let standing = &self.connection.server.forwarding.standing;
        if taken && standing.supersede(&self.connection, &place).await { bind(user) } else { bound }
    }

    /// As [`Forwards::cancel_tcp`].
    pub(crate) fn cancel_unix(&mut self, path: &str) -> bool {
        self.cancel(|listener| listener.is_unix(path))
    }

    /// A socket that leads to the client's agent.
    pub(crate) fn agent(&self, user: &User, handle: Handle) -> Option<AgentSocket> {
        let asked = self.admit(Kind::Agent, Some(user));
        let made = asked.and_then(|user| AgentSocket::open(Arc::clone(&self.connection), handle, user));
        made.map_err(|refusal| self.connection.refuse(Kind::Agent, "", &refusal)).ok()
    }

    /// Leads the socket of a session that was resumed to its client again. Answers whether it has one.
    pub(crate) fn agent_again(&self, route: Option<&AgentRoute>, handle: Handle) -> bool {
        route.map(|route| route.lead(Arc::clone(&self.connection), handle)).is_some()
    }

    fn admit<'a>(&self, kind: Kind, user: Option<&'a User>) -> Result<&'a User, Refusal> {
        let user = user.ok_or(Refusal::NotLoggedIn)?;
        if kind.is_allowed(self.connection.server.forwarding.allowed) { Ok(user) } else { Err(Refusal::Prohibited) }
    }

    fn has_room_to_listen(&self) -> Result<(), Refusal> {
        if self.listeners.len() < LISTENERS { Ok(()) } else { Err(Refusal::TooManyListeners) }
    }

    fn cancel(&mut self, is_it: impl Fn(&Listener) -> bool) -> bool {
        let before = self.listeners.len();
        self.listeners.retain(|listener| !is_it(listener));
        self.listeners.len() < before
    }
}

impl Connection {
    /// A place for one more forward, free again when dropped.
    fn place(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        let of_all = self.server.forwarding.tasks.len() < ALL_FORWARDS;
        let of_ours = Arc::clone(&self.places).try_acquire_owned().ok();
        of_ours.filter(|_| of_all).ok_or(Refusal::TooMany)
    }

    fn refuse(&self, kind: Kind, target: &str, refusal: &Refusal) {
        let reason = refusal.to_string();
        let event = Event::ForwardRefused { kind: kind.name(), target, peer: self.peer, reason: &reason };
        self.server.log.write(&event);
    }

    /// Moves bytes until the forward ends, between two lines in the log.
    async fn run(&self, named: &Named, stream: &Stream, sender: &ChannelSender<Msg>, receiver: ChannelReceiver) {
        let forward = self.server.forwarding.so_far.fetch_add(1, Ordering::Relaxed) + 1;
        let Named { kind, target, origin } = named;
        self.server.log.write(&Event::ForwardStart { forward, kind: kind.name(), target, origin, peer: self.peer });
        let began = Instant::now();
        let relayed = relay::relay(stream, sender, receiver, &self.server.activity, &self.ended).await;
        self.server.log.write(&Event::ForwardEnd {
            forward,
            received: relayed.received,
            sent: relayed.sent,
            duration_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
            reason: &relayed.reason,
        });
        // A channel that is closed already is as good.
        let _ = sender.close().await;
    }
}

/// What a user may do, done with that user's rights.
fn as_user<T: Send>(user: &User, act: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    match &user.identity {
        None => act(),
        Some(identity) => sys::with_rights_of(identity, act),
    }
}

/// A path as a client names it. What a relative one should start from, neither of us knows.
fn absolute(path: &str) -> Result<&Path, Refusal> {
    let path = Path::new(path);
    if path.is_absolute() { Ok(path) } else { Err(Refusal::NotAbsolute) }
}

fn address_text(host: &str, port: u32) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// A client may send anything of any length. Control characters are the log's encoding's business.
fn clipped(text: &str) -> String {
    text.chars().take(NAME_MAX).collect()
}

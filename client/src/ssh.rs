//! An authenticated SSH connection over any byte stream: whose key logs in, which host is trusted, and how its end is told.

pub mod channels;
mod error;
mod handler;
pub mod host_key;
pub mod identity;
#[cfg(test)]
pub(crate) mod sshd;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use russh::client::{self, AuthResult, Handle, Msg};
use russh::keys::{Algorithm, EcdsaCurve, PrivateKeyWithHashAlg};
use russh::{Disconnect, Preferred, SshId, cipher};
use ssh_flow::{ChannelReceiver, ChannelSender, Link};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{broadcast, mpsc, watch};

use channels::{Door, Incoming, Opener};
pub use error::{Loss, SshError};
use handler::ClientHandler;
use host_key::HostKey;
use identity::OneTimeKey;

/// Silence after which the peer is asked whether it lives: below the idle timeouts of load balancers and NAT gateways.
const SERVER_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// Questions without an answer, as OpenSSH has it (ssh_config, ServerAliveCountMax).
const SERVER_ALIVE_COUNT_MAX: usize = 3;
/// Key exchange and login take milliseconds; a server that is still starting, or a slow tunnel, may take longer.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// Name and version in the identification string (RFC 4253, section 4.2).
const SOFTWARE: &str = concat!("fargate-login_", env!("CARGO_PKG_VERSION"));

/// How to connect.
#[derive(Clone, Debug)]
pub struct Settings {
    /// SSH user name.
    pub user: String,
    /// The key that logs in.
    pub identity: Arc<OneTimeKey>,
    /// Which host is trusted.
    pub host_key: HostKey,
    /// A peer that is silent for this long, times [`Settings::server_alive_count_max`], is lost; zero never asks.
    pub server_alive_interval: Duration,
    /// See [`Settings::server_alive_interval`]; 0 counts as 1.
    pub server_alive_count_max: usize,
    /// Time for identification, key exchange and login together.
    pub handshake_timeout: Duration,
}

impl Default for Settings {
    /// Settings that can log in nowhere: a fresh identity, and a pinned host key that no host has.
    fn default() -> Self {
        Self {
            user: "root".to_owned(),
            identity: Arc::new(OneTimeKey::generate()),
            host_key: HostKey::Pinned(OneTimeKey::generate().public_key().clone()),
            server_alive_interval: SERVER_ALIVE_INTERVAL,
            server_alive_count_max: SERVER_ALIVE_COUNT_MAX,
            handshake_timeout: HANDSHAKE_TIMEOUT,
        }
    }
}

/// Verifies the host and logs in. The stream belongs to the connection from here on; set TCP_NODELAY on it first.
///
/// # Errors
/// [`SshError`]: the host is not the one we trust, the key is refused, or the handshake fails or takes too long.
pub async fn connect<S>(stream: S, settings: &Settings) -> Result<Connection, SshError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    // The handshake's state is large: boxed, it does not travel through every caller's future.
    tokio::time::timeout(settings.handshake_timeout, Box::pin(handshake(stream, settings)))
        .await
        .unwrap_or(Err(SshError::HandshakeTimeout { after: settings.handshake_timeout }))
}

/// An authenticated connection.
pub struct Connection {
    handle: Arc<Handle<ClientHandler>>,
    link: Link,
    ended_rx: watch::Receiver<Option<SshError>>,
    refusals: broadcast::Sender<channels::Words>,
    door: Door,
}

impl Connection {
    /// Opens a session channel (RFC 4254, section 6.1).
    ///
    /// # Errors
    /// [`SshError::ChannelRefused`], or why the connection ended.
    pub async fn open_session(&self) -> Result<(ChannelSender<Msg>, ChannelReceiver), SshError> {
        match self.handle.channel_open_session().await {
            Ok(channel) => Ok(ssh_flow::split(channel, &self.link)),
            Err(russh::Error::ChannelOpenFailure(reason)) => {
                Err(SshError::ChannelRefused { reason: reason.description().to_owned() })
            }
            Err(_) => Err(self.closed().await),
        }
    }

    /// Whether the server is our own init.
    #[must_use]
    pub fn is_to_our_init(&self) -> bool {
        self.link.has_credit()
    }

    /// Whether the connection has ended.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    /// Waits until the connection has ended, for whatever reason, and says for which. Cancel-safe.
    pub async fn closed(&self) -> SshError {
        closed(self.ended_rx.clone()).await
    }

    /// What opens channels for forwards.
    #[must_use]
    pub fn opener(&self) -> Opener {
        Opener {
            handle: Arc::clone(&self.handle),
            link: self.link.clone(),
            ended_rx: self.ended_rx.clone(),
            refusals: self.refusals.clone(),
        }
    }

    /// The channels that the server opens from now on, which are refused otherwise; `None` after the first call.
    #[must_use]
    pub fn incoming(&self) -> Option<mpsc::Receiver<Incoming>> {
        self.door.open()
    }

    /// Says goodbye and waits until the message has been handed to the transport.
    pub async fn disconnect(mut self) {
        // Whoever has gone first needs no goodbye.
        if self.handle.disconnect(Disconnect::ByApplication, "", "").await.is_ok() {
            // The handler goes when russh is done with the transport; what it says on its way is not of interest any more.
            while self.ended_rx.changed().await.is_ok() {}
        }
    }
}

async fn closed(mut ended_rx: watch::Receiver<Option<SshError>>) -> SshError {
    match ended_rx.wait_for(Option::is_some).await {
        Ok(end) => end.clone(),
        // The handler went without a word: the transport broke while it was being shut down.
        Err(_) => None,
    }
    .unwrap_or(SshError::PeerLost(Loss::Cut))
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("closed", &self.is_closed()).finish_non_exhaustive()
    }
}

async fn handshake<S>(stream: S, settings: &Settings) -> Result<Connection, SshError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut stream, link) = Link::wrap(stream);
    // A transport that breaks here breaks again below, where it is told.
    let server = stream.identification().await.ok().flatten();
    let (refusals, door) = (broadcast::Sender::new(channels::REFUSALS), Door::default());
    let (handler, ended_rx) =
        ClientHandler::new(settings.host_key.clone(), link.clone(), refusals.clone(), door.clone());
    let connected = client::connect_stream(Arc::new(config(settings, server.as_deref())), stream, handler).await;
    let mut handle = match connected {
        Ok(handle) => handle,
        // What the server said when it left tells more than that it left.
        Err(error) => return Err(ended_rx.borrow().clone().unwrap_or(error).during_handshake()),
    };
    let key = PrivateKeyWithHashAlg::new(settings.identity.private_key(), None);
    match handle.authenticate_publickey(&settings.user, key).await {
        Ok(AuthResult::Success) => Ok(Connection { handle: Arc::new(handle), link, ended_rx, refusals, door }),
        Ok(AuthResult::Failure { .. }) if !handle.is_closed() => {
            Err(SshError::AuthRefused { user: settings.user.clone() })
        }
        Ok(AuthResult::Failure { .. }) | Err(_) => Err(closed(ended_rx).await.during_handshake()),
    }
}

fn config(settings: &Settings, server: Option<&str>) -> client::Config {
    let count = settings.server_alive_count_max.max(1);
    client::Config {
        client_id: SshId::Standard(Cow::Owned(ssh_flow::software_id(SOFTWARE))),
        preferred: preferred(&settings.host_key, server),
        window_size: ssh_flow::window_size(server),
        limits: ssh_flow::limits(server),
        maximum_packet_size: ssh_flow::MAXIMUM_PACKET_SIZE,
        channel_buffer_size: ssh_flow::CHANNEL_BUFFER_SIZE,
        inactivity_timeout: None,
        keepalive_interval: keepalive_interval(settings.server_alive_interval, count),
        keepalive_max: count,
        nodelay: true,
        ..client::Config::default()
    }
}

/// russh gives a silent peer up at tick `count + 1`: ticks are as far apart as makes that `interval * count` of silence.
fn keepalive_interval(interval: Duration, count: usize) -> Option<Duration> {
    let count = u32::try_from(count).unwrap_or(u32::MAX - 1);
    (!interval.is_zero()).then(|| interval.saturating_mul(count) / (count + 1))
}

/// Our own init offers exactly what we ask for. A foreign `sshd` may have other host keys and, when it is old, only AES-CTR; and an
/// OpenSSH before 9.9, ours or foreign, no post-quantum key exchange that we have.
fn preferred(host_key: &HostKey, server: Option<&str>) -> Preferred {
    let is_openssh = server.is_some_and(|server| server.starts_with(ssh_flow::OPENSSH));
    let needs_classical = match host_key {
        HostKey::Pinned(_) | HostKey::Announced(_) => server.is_some_and(ssh_flow::lacks_post_quantum),
        // Whatever else it is, it may be old.
        HostKey::AcceptNew => !is_openssh || server.is_some_and(ssh_flow::lacks_post_quantum),
    };
    let own = if needs_classical { ssh_flow::preferred() } else { ssh_flow::post_quantum(ssh_flow::preferred()) };
    match host_key {
        HostKey::Pinned(key) | HostKey::Announced(key) => Preferred { key: Cow::Owned(vec![key.algorithm()]), ..own },
        HostKey::AcceptNew => {
            let curves = [EcdsaCurve::NistP256, EcdsaCurve::NistP384, EcdsaCurve::NistP521];
            let ecdsa = curves.map(|curve| Algorithm::Ecdsa { curve });
            let ctr = [cipher::AES_256_CTR, cipher::AES_192_CTR, cipher::AES_128_CTR];
            Preferred {
                key: [Algorithm::Ed25519].into_iter().chain(ecdsa).collect(),
                cipher: own.cipher.iter().copied().chain(ctr).collect(),
                ..own
            }
        }
    }
}

//! What russh is told: a configuration for clients of our own, for those that exchange keys of their own accord, and for all others.

use std::sync::Arc;
use std::time::Duration;

use fargate_contract::KeyExchange;
use russh::keys::{Algorithm, HashAlg, PrivateKey};
use russh::server::Config;
use russh::{MethodKind, MethodSet, Preferred, SshId};

/// Silence after which the peer is asked for a sign of life, and how often it may owe one. Behind NATs and load balancers
/// idle connections are forgotten after minutes.
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
pub(crate) const KEEPALIVE_MAX: usize = 3;

/// What a refused key costs its bearer. An ed25519 key cannot be guessed, and an agent may hold several.
const REJECTION_TIME: Duration = Duration::from_millis(100);

/// Algorithms of the keys that may log in, told to the client as `server-sig-algs`; the host key is ed25519. RSA keys are the
/// ancestor's, and never sign with SHA-1.
const KEY_ALGORITHMS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// All configurations.
#[derive(Debug)]
pub(crate) struct Configs {
    own: Arc<Config>,
    rekeying: Arc<Config>,
    unknown: Arc<Config>,
}

impl Configs {
    pub(crate) fn new(host_key: &PrivateKey, key_exchange: KeyExchange) -> Self {
        let own = identification();
        let config = |peer| Arc::new(config(host_key.clone(), key_exchange, peer));
        Self { own: config(Some(&own)), rekeying: config(Some(ssh_flow::OPENSSH)), unknown: config(None) }
    }

    /// The one for a client with this identification string.
    pub(crate) fn of(&self, client: Option<&str>) -> Arc<Config> {
        Arc::clone(match client {
            client if ssh_flow::is_own(client) => &self.own,
            client if ssh_flow::is_rekeying(client) => &self.rekeying,
            _ => &self.unknown,
        })
    }
}

/// Our identification string, without its line end.
pub(crate) fn identification() -> String {
    ssh_flow::software_id(concat!("fargate-init_", env!("CARGO_PKG_VERSION")))
}

fn config(host_key: PrivateKey, key_exchange: KeyExchange, peer: Option<&str>) -> Config {
    let offered = match key_exchange {
        KeyExchange::Any => ssh_flow::preferred(),
        KeyExchange::PostQuantum => ssh_flow::post_quantum(ssh_flow::preferred()),
    };
    Config {
        server_id: SshId::Standard(identification().into()),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: REJECTION_TIME,
        // OpenSSH asks for the methods with an attempt that must fail.
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        window_size: ssh_flow::window_size(peer),
        limits: ssh_flow::limits(peer),
        maximum_packet_size: ssh_flow::MAXIMUM_PACKET_SIZE,
        channel_buffer_size: ssh_flow::CHANNEL_BUFFER_SIZE,
        preferred: Preferred { key: KEY_ALGORITHMS.into(), ..offered },
        inactivity_timeout: None,
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVE_MAX,
        ..Config::default()
    }
}

//! Connections to a real OpenSSH server, and to russh servers that go away.

use std::sync::Arc;
use std::time::Duration;

use fargate_contract::HostSeed;
use russh::server::{self, Auth, VerifiedPublicKey};
use tokio::io::DuplexStream;
use tokio::sync::oneshot;

use super::host_key::HostKey;
use super::identity::OneTimeKey;
use super::sshd::Sshd;
use super::{Loss, Settings, SshError, connect, keepalive_interval, preferred};

/// Bytes that the in-process transport holds; any number works.
const PIPE: usize = 64 * 1024;
/// Long enough for every event that a test awaits, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn openssh_lets_the_one_time_key_in_and_hears_a_goodbye() {
    let Some(sshd) = Sshd::new() else { return };
    let connection = sshd.connect().await;
    assert!(!connection.is_closed());
    connection.open_session().await.expect("a session");
    connection.disconnect().await;
}

#[tokio::test]
async fn another_hosts_key_is_a_mismatch_unless_any_is_accepted() {
    let Some(sshd) = Sshd::new() else { return };
    let elsewhere = HostSeed::new([1; 32]).public_key();
    let pinned = Settings { host_key: HostKey::Pinned(elsewhere), ..sshd.settings() };
    let error = connect(sshd.dial().await, &pinned).await.expect_err("another host");
    assert!(matches!(error, SshError::HostKeyMismatch { .. }), "{error:?}");

    let any = Settings { host_key: HostKey::AcceptNew, ..sshd.settings() };
    connect(sshd.dial().await, &any).await.expect("any host");
}

#[tokio::test]
async fn another_key_or_user_is_refused() {
    let Some(sshd) = Sshd::new() else { return };
    for settings in [
        Settings { identity: Arc::new(OneTimeKey::generate()), ..sshd.settings() },
        Settings { user: "nobody-at-all".to_owned(), ..sshd.settings() },
    ] {
        let error = connect(sshd.dial().await, &settings).await.expect_err("a stranger");
        assert_eq!(error, SshError::AuthRefused { user: settings.user });
    }
}

#[tokio::test]
async fn something_that_speaks_no_ssh_or_nothing_at_all_is_told_as_that() {
    let settings = Settings { handshake_timeout: Duration::from_millis(50), ..Settings::default() };
    let (client, _silent) = tokio::io::duplex(PIPE);
    let error = connect(client, &settings).await.expect_err("silence");
    assert_eq!(error, SshError::HandshakeTimeout { after: settings.handshake_timeout });

    let (client, hung_up) = tokio::io::duplex(PIPE);
    drop(hung_up);
    let error = connect(client, &Settings::default()).await.expect_err("nobody");
    assert!(matches!(error, SshError::Handshake { .. }), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_no_longer_answers_is_lost() {
    let peer = Peer::start().await;
    let settings = Settings {
        server_alive_interval: Duration::from_millis(50),
        server_alive_count_max: 2,
        ..peer.settings.clone()
    };
    let connection = connect(peer.client, &settings).await.expect("our own server");
    let (_sender, mut receiver) = connection.open_session().await.expect("a session");
    peer.freeze_tx.send(()).expect("a relay");
    let end = tokio::time::timeout(PATIENCE, connection.closed()).await.expect("noticed");
    assert_eq!(end, SshError::PeerLost(Loss::Silent));
    let message = receiver.recv().await.expect("no flow error");
    assert!(message.is_none(), "from a frozen peer: {message:?}");
    assert_eq!(connection.open_session().await.expect_err("lost"), end);
}

#[tokio::test]
async fn a_peer_that_is_only_idle_is_not_lost() {
    let peer = Peer::start().await;
    let settings = Settings {
        server_alive_interval: Duration::from_millis(5),
        server_alive_count_max: 20,
        ..peer.settings.clone()
    };
    let connection = connect(peer.client, &settings).await.expect("our own server");
    let idle = tokio::time::timeout(Duration::from_millis(500), connection.closed()).await;
    assert!(idle.is_err(), "{idle:?}");
}

#[tokio::test]
async fn a_stream_that_is_cut_ends_the_connection() {
    let peer = Peer::start().await;
    let connection = connect(peer.client, &peer.settings).await.expect("our own server");
    peer.relay.abort();
    let end = tokio::time::timeout(PATIENCE, connection.closed()).await.expect("noticed");
    assert!(matches!(end, SshError::PeerLost(Loss::Cut | Loss::Broken(_))), "{end:?}");
}

#[tokio::test]
async fn a_servers_goodbye_is_told_without_its_control_characters() {
    let peer = Peer::start().await;
    let connection = connect(peer.client, &peer.settings).await.expect("our own server");
    let server = peer.handle_rx.await.expect("a session at the server");
    server
        .disconnect(russh::Disconnect::ByApplication, "time is up\x1b[2J".to_owned(), String::new())
        .await
        .expect("a connection");
    let end = tokio::time::timeout(PATIENCE, connection.closed()).await.expect("noticed");
    let expected = SshError::Disconnected { reason: "ByApplication".to_owned(), message: "time is up[2J".to_owned() };
    assert_eq!(end, expected);
}

#[test]
fn the_classical_curve_is_for_servers_that_have_nothing_better() {
    let pinned = HostKey::Pinned(HostSeed::new([5; 32]).public_key());
    let curve = russh::kex::CURVE25519;
    for (host_key, server, offered) in [
        (&pinned, "SSH-2.0-fargate-init_0.1.0 flow=65536", false),
        (&pinned, "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7", true),
        (&pinned, "SSH-2.0-OpenSSH_10.0p2", false),
        (&HostKey::AcceptNew, "SSH-2.0-OpenSSH_9.9", false),
        (&HostKey::AcceptNew, "SSH-2.0-OpenSSH_8.0", true),
        (&HostKey::AcceptNew, "SSH-2.0-dropbear_2022.83", true),
    ] {
        assert_eq!(preferred(host_key, Some(server)).kex.contains(&curve), offered, "{server}");
    }
}

#[test]
fn silence_is_given_up_at_interval_times_count() {
    // russh gives up at tick count + 1.
    let tick = keepalive_interval(Duration::from_secs(15), 3).expect("on");
    assert_eq!(tick * 4, Duration::from_secs(45));
    assert_eq!(keepalive_interval(Duration::from_secs(8), 1), Some(Duration::from_secs(4)));
    assert_eq!(keepalive_interval(Duration::ZERO, 3), None);
}

/// A russh server behind a relay that can stop without closing anything.
struct Peer {
    client: DuplexStream,
    settings: Settings,
    freeze_tx: oneshot::Sender<()>,
    relay: tokio::task::JoinHandle<()>,
    handle_rx: oneshot::Receiver<server::Handle>,
}

impl Peer {
    async fn start() -> Self {
        let seed = HostSeed::new([5; 32]);
        let config = Arc::new(server::Config {
            keys: vec![seed.private_key()],
            preferred: ssh_flow::preferred(),
            inactivity_timeout: None,
            ..server::Config::default()
        });
        let (client, mut near) = tokio::io::duplex(PIPE);
        let (mut far, served) = tokio::io::duplex(PIPE);
        let (handle_tx, handle_rx) = oneshot::channel();
        tokio::spawn(async move {
            let session = server::run_stream(config, served, AnyKey).await.expect("a client");
            // Only the test of a goodbye asks for it.
            let _ = handle_tx.send(session.handle());
            let _ = session.await;
        });
        let (freeze_tx, freeze_rx) = oneshot::channel();
        let relay = tokio::spawn(async move {
            let frozen = async {
                match freeze_rx.await {
                    Ok(()) => {}
                    Err(_) => std::future::pending().await,
                }
            };
            let ended = tokio::select! {
                _ = tokio::io::copy_bidirectional(&mut near, &mut far) => true,
                () = frozen => false,
            };
            if !ended {
                // Both streams stay open, and nothing moves.
                std::future::pending::<()>().await;
            }
        });
        let settings = Settings { host_key: HostKey::Pinned(seed.public_key()), ..Settings::default() };
        Self { client, settings, freeze_tx, relay, handle_rx }
    }
}

#[derive(Clone, Copy)]
struct AnyKey;

impl server::Handler for AnyKey {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _user: &str, _key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _channel: russh::Channel<server::Msg>,
        reply: server::ChannelOpenHandle,
        _session: &mut server::Session,
    ) -> Result<(), russh::Error> {
        reply.accept().await;
        Ok(())
    }
}

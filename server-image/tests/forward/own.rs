//! A client like our own: russh behind ssh-flow, which grants and keeps to credit.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fargate_init::engine;
use russh::client::{self, Handle, Msg};
use russh::keys::{PrivateKeyWithHashAlg, PublicKeyOrCertificate, load_secret_key};
use russh::{Channel, ChannelMsg, Limits};
use ssh_flow::{ChannelReceiver, ChannelSender, Link, split};
use tokio::net::TcpStream;

use crate::container::{Container, PORT, seed};
use crate::pattern::Pattern;

/// Bytes after which keys are exchanged again, where a test is not about that: russh's own.
pub(crate) const SELDOM: usize = 1 << 30;

/// What answers at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    /// Our init.
    Init,
    /// OpenSSH's, behind our door.
    Sshd,
}

impl Server {
    /// A container with it; `None` where it is not installed, which only a developer's machine may lack.
    pub(crate) fn start(self) -> Option<Container> {
        let engine = match self {
            Self::Init => "russh",
            Self::Sshd if std::path::Path::new("/usr/sbin/sshd").exists() => "openssh",
            Self::Sshd => {
                assert!(std::env::var_os("CI").is_none(), "/usr/sbin/sshd is missing: install openssh-server");
                return None;
            }
        };
        // A day: the largest cells take longer than a container of the other tests lives.
        Some(Container::start(&[(engine::VARIABLE, engine), (fargate_contract::grant::MAX_LIFETIME, "86400000")]))
    }
}

/// The callbacks: the pinned host, and how often keys were exchanged.
pub(crate) struct Callbacks {
    exchanges: Arc<AtomicUsize>,
    /// Where channels go that the server opens.
    offered: tokio::sync::mpsc::Sender<Channel<Msg>>,
}

impl client::Handler for Callbacks {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let pinned = seed().public_key();
        Ok(matches!(shown, PublicKeyOrCertificate::PublicKey { key, .. } if key.key_data() == pinned.key_data()))
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        _names: &russh::Names,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.exchanges.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    async fn server_channel_open_agent_forward(
        &mut self,
        channel: Channel<Msg>,
        reply: client::ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.offered.try_send(channel).expect("a test that takes them");
        reply.accept().await;
        Ok(())
    }

    async fn server_channel_open_forwarded_tcpip(
        &mut self,
        channel: Channel<Msg>,
        _connected_address: &str,
        _connected_port: u32,
        _originator_address: &str,
        _originator_port: u32,
        reply: client::ChannelOpenHandle,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.offered.try_send(channel).expect("a test that takes them");
        reply.accept().await;
        Ok(())
    }
}

/// A connection that is logged in.
pub(crate) struct Own {
    pub(crate) handle: Handle<Callbacks>,
    pub(crate) link: Link,
    pub(crate) exchanges: Arc<AtomicUsize>,
    pub(crate) offered: tokio::sync::mpsc::Receiver<Channel<Msg>>,
    socket: std::net::TcpStream,
}

pub(crate) type Pair = (ChannelSender<Msg>, ChannelReceiver);

impl Own {
    /// Logs in; keys are exchanged again after so many bytes.
    pub(crate) async fn connect(container: &Container, rekey: usize) -> Self {
        let stream = TcpStream::connect((container.address, PORT)).await.expect("a container that listens");
        stream.set_nodelay(true).expect("a socket");
        let stream = stream.into_std().expect("a socket");
        let socket = stream.try_clone().expect("a second handle");
        let (stream, link) = Link::wrap(TcpStream::from_std(stream).expect("a socket"));
        let config = client::Config {
            client_id: russh::SshId::Standard(ssh_flow::software_id("test_1").into()),
            limits: Limits::new(rekey, rekey, Duration::from_secs(3600)),
            window_size: ssh_flow::WINDOW_SIZE,
            maximum_packet_size: ssh_flow::MAXIMUM_PACKET_SIZE,
            channel_buffer_size: ssh_flow::CHANNEL_BUFFER_SIZE,
            // OpenSSH before 9.9 has no other.
            preferred: ssh_flow::preferred(),
            ..client::Config::default()
        };
        let exchanges = Arc::new(AtomicUsize::new(0));
        let (offered_tx, offered) = tokio::sync::mpsc::channel(64);
        let callbacks = Callbacks { exchanges: Arc::clone(&exchanges), offered: offered_tx };
        let mut handle = client::connect_stream(Arc::new(config), stream, callbacks).await.expect("SSH");
        let key = load_secret_key(container.directory.path().join("key"), None).expect("a key");
        let key = PrivateKeyWithHashAlg::new(Arc::new(key), None);
        assert!(handle.authenticate_publickey("root", key).await.expect("an answer").success());
        Self { handle, link, exchanges, offered, socket }
    }

    /// Opens a forward.
    pub(crate) async fn open(&self, target: SocketAddr) -> Result<Pair, russh::Error> {
        let (host, port) = (target.ip().to_string(), u32::from(target.port()));
        let channel = self.handle.channel_open_direct_tcpip(host, port, "127.0.0.1", 1).await?;
        Ok(split(channel, &self.link))
    }

    /// Starts a command.
    pub(crate) async fn exec(&self, command: &str) -> Pair {
        let channel = self.handle.channel_open_session().await.expect("a channel");
        let (sender, receiver) = split(channel, &self.link);
        sender.requests().exec(true, command).await.expect("sent");
        (sender, receiver)
    }

    /// A command's whole way works.
    pub(crate) async fn assert_lively(&self) {
        let (_sender, mut receiver) = self.exec("echo alive").await;
        let mut told = Vec::new();
        while let Some(message) = receiver.recv().await.expect("flow control") {
            if let ChannelMsg::Data { data } = message {
                told.extend_from_slice(&data);
            }
        }
        assert_eq!(told, b"alive\n");
    }

    /// Loses the connection, without a goodbye.
    pub(crate) fn cut(&self) {
        self.socket.shutdown(std::net::Shutdown::Both).expect("a socket");
    }

    pub(crate) async fn leave(self) {
        self.handle.disconnect(russh::Disconnect::ByApplication, "", "").await.expect("a goodbye");
    }
}

/// Sends known bytes, then the end.
pub(crate) async fn send(sender: &ChannelSender<Msg>, seed: usize, size: usize) {
    let mut pattern = Pattern::new(seed);
    while pattern.seen < size {
        let left = size - pattern.seen;
        sender.data(Bytes::from_static(pattern.next(left.min(100_000)))).await.expect("a channel");
    }
    sender.eof().await.expect("a channel");
}

/// Takes known bytes, and the end. Answers the exit status, if that came first: OpenSSH's server sends it when it has it.
pub(crate) async fn receive(receiver: &mut ChannelReceiver, seed: usize, size: usize) -> Option<u32> {
    let mut pattern = Pattern::new(seed);
    let mut code = None;
    loop {
        match receiver.recv().await.expect("flow control") {
            Some(ChannelMsg::Data { data }) => pattern.check(&data),
            Some(ChannelMsg::ExitStatus { exit_status }) => code = Some(exit_status),
            Some(ChannelMsg::Success) => {}
            other => {
                assert!(matches!(other, Some(ChannelMsg::Eof)), "{other:?} after {} bytes", pattern.seen);
                break;
            }
        }
    }
    assert_eq!(pattern.seen, size);
    code
}

/// Sends and takes the same bytes at once.
pub(crate) async fn round_trip((sender, mut receiver): Pair, seed: usize, size: usize) {
    tokio::join!(send(&sender, seed, size), receive(&mut receiver, seed, size));
}

//! Two russh sessions on this crate, joined by a transport, and data whose every byte is known.

use std::borrow::Cow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKeyOrCertificate};
use russh::server::{Auth, ChannelOpenHandle};
use russh::{Channel, ChannelId, ChannelMsg, Limits, SshId, client, server};
use ssh_flow::{ChannelReceiver, ChannelSender, FlowError, Link, Tuning};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;

/// Long enough for a busy machine; a test that takes it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Channels that a test may have offered and not taken.
const OFFERS: usize = 256;

pub(crate) type ServerPair = (ChannelSender<server::Msg>, ChannelReceiver);
pub(crate) type ClientPair = (ChannelSender<client::Msg>, ChannelReceiver);

/// How to set two ends up.
pub(crate) struct Setup {
    pub(crate) client_id: String,
    pub(crate) server_id: String,
    pub(crate) client: Tuning,
    pub(crate) server: Tuning,
    pub(crate) rekey: usize,
    /// Bytes that the transport holds per direction; a loopback socket when absent.
    pub(crate) duplex: Option<usize>,
}

impl Setup {
    /// Both ends are ours.
    pub(crate) fn own() -> Self {
        Self {
            client_id: ssh_flow::software_id("client"),
            server_id: ssh_flow::software_id("server"),
            client: Tuning::default(),
            server: Tuning::default(),
            rekey: 1 << 30,
            duplex: None,
        }
    }

    /// Neither end knows of credit.
    pub(crate) fn foreign() -> Self {
        Self { client_id: "SSH-2.0-client".to_owned(), server_id: "SSH-2.0-server".to_owned(), ..Self::own() }
    }

    pub(crate) async fn connect(self) -> Ends {
        match self.duplex {
            Some(size) => {
                let (near, far) = tokio::io::duplex(size);
                self.join(near, far).await
            }
            None => {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                let address = listener.local_addr().expect("bound");
                let (near, far) = tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
                let (near, far) = (near.expect("connect"), far.expect("accept").0);
                near.set_nodelay(true).expect("nodelay");
                far.set_nodelay(true).expect("nodelay");
                self.join(near, far).await
            }
        }
    }

    async fn join<T>(self, near: T, far: T) -> Ends
    where
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let limits = || Limits::new(self.rekey, self.rekey, Duration::from_secs(3600));
        let (far, server_link) = Link::wrap_with(far, self.server);
        let (near, client_link) = Link::wrap_with(near, self.client);
        let (offers, offered) = mpsc::channel(OFFERS);
        let (raw_offers, raw_offered) = mpsc::channel(OFFERS);
        let rekeys = Arc::new(AtomicUsize::new(0));
        let config = Arc::new(server_config(&self.server_id, limits()));
        let handler = Server { link: server_link.clone(), offers, raw_offers };
        let session = tokio::spawn(async move { server::run_stream(config, far, handler).await?.await });
        let config = client_config(&self.client_id, limits());
        let handler = Client { rekeys: Arc::clone(&rekeys) };
        let mut handle = client::connect_stream(Arc::new(config), near, handler).await.expect("handshake");
        assert!(handle.authenticate_none("anybody").await.expect("authentication").success());
        Ends { handle, client_link, server_link, offered, raw_offered, rekeys, session }
    }
}

pub(crate) fn server_config(id: &str, limits: Limits) -> server::Config {
    server::Config {
        server_id: SshId::Standard(Cow::Owned(id.to_owned())),
        keys: vec![PrivateKey::from(Ed25519Keypair::from_seed(&[7; 32]))],
        auth_rejection_time: Duration::ZERO,
        limits,
        window_size: ssh_flow::WINDOW_SIZE,
        maximum_packet_size: ssh_flow::MAXIMUM_PACKET_SIZE,
        channel_buffer_size: ssh_flow::CHANNEL_BUFFER_SIZE,
        preferred: ssh_flow::preferred(),
        inactivity_timeout: None,
        ..Default::default()
    }
}

fn client_config(id: &str, limits: Limits) -> client::Config {
    client::Config {
        client_id: SshId::Standard(Cow::Owned(id.to_owned())),
        limits,
        window_size: ssh_flow::WINDOW_SIZE,
        maximum_packet_size: ssh_flow::MAXIMUM_PACKET_SIZE,
        channel_buffer_size: ssh_flow::CHANNEL_BUFFER_SIZE,
        preferred: ssh_flow::preferred(),
        ..Default::default()
    }
}

/// A connected pair.
pub(crate) struct Ends {
    pub(crate) handle: client::Handle<Client>,
    pub(crate) client_link: Link,
    pub(crate) server_link: Link,
    pub(crate) rekeys: Arc<AtomicUsize>,
    pub(crate) session: tokio::task::JoinHandle<Result<(), russh::Error>>,
    offered: mpsc::Receiver<ServerPair>,
    raw_offered: mpsc::Receiver<Channel<server::Msg>>,
}

impl Ends {
    /// Opens a channel; answers both its ends.
    pub(crate) async fn open(&mut self) -> (ClientPair, ServerPair) {
        let channel = self.handle.channel_open_session().await.expect("a channel");
        let far = self.offered.recv().await.expect("the offer came first");
        (ssh_flow::split(channel, &self.client_link), far)
    }

    /// Opens a channel whose far end keeps to no rules.
    pub(crate) async fn open_lawless(&mut self) -> (ClientPair, Channel<server::Msg>) {
        let channel = self.handle.channel_open_direct_tcpip("lawless", 1, "localhost", 1).await.expect("a channel");
        let far = self.raw_offered.recv().await.expect("the offer came first");
        (ssh_flow::split(channel, &self.client_link), far)
    }

    /// A channel's whole round trip still works.
    pub(crate) async fn assert_lively(&mut self) {
        let (near, far) = self.open().await;
        tokio::spawn(echo(far));
        round_trip(near, 0xEE, 100_000).await;
    }
}

/// Accepts everybody and everything, and hands the channels to the test.
pub(crate) struct Server {
    pub(crate) link: Link,
    pub(crate) offers: mpsc::Sender<ServerPair>,
    pub(crate) raw_offers: mpsc::Sender<Channel<server::Msg>>,
}

impl server::Handler for Server {
    type Error = russh::Error;

    async fn auth_none(&mut self, _user: &str) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<server::Msg>,
        reply: ChannelOpenHandle,
        _session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.offers.try_send(ssh_flow::split(channel, &self.link)).expect("room for the offer");
        reply.accept().await;
        Ok(())
    }

    async fn channel_open_direct_tcpip(
        &mut self,
        channel: Channel<server::Msg>,
        _host: &str,
        _port: u32,
        _originator: &str,
        _originator_port: u32,
        reply: ChannelOpenHandle,
        _session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        self.raw_offers.try_send(channel).expect("room for the offer");
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        _command: &[u8],
        session: &mut server::Session,
    ) -> Result<(), Self::Error> {
        session.channel_success(channel)
    }
}

pub(crate) struct Client {
    rekeys: Arc<AtomicUsize>,
}

impl client::Handler for Client {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }

    async fn kex_done(
        &mut self,
        _secret: Option<&[u8]>,
        _names: &russh::Names,
        _session: &mut client::Session,
    ) -> Result<(), Self::Error> {
        self.rekeys.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Known bytes: a table of prime length, entered at another place for each seed.
#[derive(Clone)]
pub(crate) struct Pattern {
    offset: usize,
    pub(crate) seen: usize,
}

const TABLE: usize = 1_000_003;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x2545_F491_4F6C_DD1D_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    (0..TABLE).map(|_| byte()).collect()
});

impl Pattern {
    pub(crate) fn new(seed: u8) -> Self {
        Self { offset: usize::from(seed) * 3571, seen: 0 }
    }

    /// The next bytes, at most `most`.
    pub(crate) fn next(&mut self, most: usize) -> Bytes {
        let at = (self.offset + self.seen) % TABLE;
        let len = most.min(TABLE - at);
        self.seen += len;
        Bytes::copy_from_slice(&BYTES[at..at + len])
    }

    /// Fails unless `data` are the next bytes.
    pub(crate) fn check(&mut self, data: &[u8]) {
        let mut rest = data;
        while !rest.is_empty() {
            let from = self.seen;
            let at = (self.offset + from) % TABLE;
            let (now, later) = rest.split_at(rest.len().min(TABLE - at));
            assert!(*now == BYTES[at..at + now.len()], "bytes differ after {from}");
            self.seen += now.len();
            rest = later;
        }
    }
}

/// Sends `size` known bytes and EOF.
pub(crate) async fn send<S>(sender: &ChannelSender<S>, seed: u8, size: usize) -> Result<(), FlowError>
where
    S: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    let mut pattern = Pattern::new(seed);
    while pattern.seen < size {
        let left = size - pattern.seen;
        sender.data(pattern.next(left.min(100_000))).await?;
    }
    sender.eof().await
}

/// Takes `size` known bytes and EOF.
pub(crate) async fn receive(receiver: &mut ChannelReceiver, seed: u8, size: usize) {
    let mut pattern = Pattern::new(seed);
    loop {
        match receiver.recv().await.expect("no offence") {
            Some(ChannelMsg::Data { data }) => pattern.check(&data),
            other => {
                assert!(matches!(other, Some(ChannelMsg::Eof)), "{other:?} after {} bytes", pattern.seen);
                break;
            }
        }
    }
    assert_eq!(pattern.seen, size);
}

/// Sends and takes the same bytes at once.
pub(crate) async fn round_trip((sender, mut receiver): ClientPair, seed: u8, size: usize) {
    let (sent, ()) = tokio::join!(send(&sender, seed, size), receive(&mut receiver, seed, size));
    sent.expect("sent");
}

/// Sends back what comes until EOF, then ends like a command.
pub(crate) async fn echo((sender, mut receiver): ServerPair) -> Result<(), FlowError> {
    while let Some(message) = receiver.recv().await? {
        match message {
            ChannelMsg::Data { data } => sender.data(data).await?,
            ChannelMsg::Eof => break,
            _ => {}
        }
    }
    sender.eof().await?;
    sender.requests().exit_status(7).await.map_err(|_| FlowError::Closed)?;
    sender.close().await
}

/// Runs a test with a limit on its patience.
pub(crate) async fn patiently<F: Future>(test: F) -> F::Output {
    tokio::time::timeout(PATIENCE, test).await.expect("hangs")
}

/// Waits for a counter that nobody announces.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

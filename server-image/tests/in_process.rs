//! The server inside the test's own process, under our own client's kind of connection: credit, sizes, signals, modes.

use std::ffi::OsString;
use std::io::Read as _;
use std::sync::Arc;

use bytes::Bytes;
use fargate_contract::{Grant, HostSeed};
use fargate_init::audit::Audit;
use fargate_init::engine::Engine;
use fargate_init::log::Log;
use fargate_init::serve::{Container, serve};
use fargate_init::spawner::Spawner;
use russh::client::{self, Handle, Msg};
use russh::keys::{HashAlg, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh::{ChannelMsg, Pty, Sig};
use ssh_flow::{ChannelReceiver, ChannelSender, Link, split};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const USER_SEED: [u8; 32] = [1; 32];
const HOST_SEED: [u8; 32] = [2; 32];

struct Pinned(PublicKey);

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(matches!(shown, PublicKeyOrCertificate::PublicKey { key, .. } if key.key_data() == self.0.key_data()))
    }
}

struct Login {
    handle: Handle<Pinned>,
    link: Link,
    server: JoinHandle<u8>,
    stop: Option<oneshot::Sender<()>>,
    _home: TempDir,
}

impl Login {
    async fn new() -> Self {
        let mut login = Self::connected(HostSeed::new(USER_SEED).public_key()).await;
        let key = PrivateKeyWithHashAlg::new(Arc::new(HostSeed::new(USER_SEED).private_key()), None);
        assert!(login.handle.authenticate_publickey("root", key).await.expect("an answer").success());
        assert!(login.link.has_credit(), "both ends are ours");
        login
    }

    /// Connected to a container that lets this key in, but not authenticated.
    async fn connected(key: PublicKey) -> Self {
        let grant = Grant { host_seed: Some(HostSeed::new(HOST_SEED)), ..Grant::new(key) };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let home = tempfile::tempdir().expect("a directory");
        let environment: Vec<(OsString, OsString)> =
            vec![("HOME".into(), home.path().into()), ("PATH".into(), "/usr/bin:/bin".into())];
        let container = Container {
            environment,
            owns_machine: false,
            core_limit: (0, 0),
            engine: Engine::Russh,
            spawner: Spawner::start().expect("a thread"),
            audit: Audit::default(),
            self_args: Vec::new(),
        };
        let (stop, told) = oneshot::channel::<()>();
        let server = tokio::spawn(async move {
            let told = async { drop(told.await) };
            let log = Log::new(None, Box::new(std::io::sink()));
            serve(&grant, listener, container, log, told).await.expect("a served container")
        });
        let stream = TcpStream::connect(address).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        let (stream, link) = Link::wrap(stream);
        let config = client::Config {
            client_id: russh::SshId::Standard(ssh_flow::software_id("test_1").into()),
            window_size: ssh_flow::WINDOW_SIZE,
            preferred: ssh_flow::preferred(),
            ..client::Config::default()
        };
        let pinned = Pinned(HostSeed::new(HOST_SEED).public_key());
        let handle = client::connect_stream(Arc::new(config), stream, pinned).await.expect("SSH");
        Self { handle, link, server, stop: Some(stop), _home: home }
    }

    async fn session(&self) -> (ChannelSender<Msg>, ChannelReceiver) {
        split(self.handle.channel_open_session().await.expect("a channel"), &self.link)
    }

    /// The container's exit code once the client has left.
    async fn left(self) -> u8 {
        self.handle.disconnect(russh::Disconnect::ByApplication, "", "").await.expect("a goodbye");
        self.server.await.expect("an end")
    }
}

/// Output up to the close, and how it ended: the exit code, or the name of a signal.
async fn ended(receiver: &mut ChannelReceiver) -> (String, String) {
    let (mut output, mut end) = (Vec::new(), String::new());
    while let Some(message) = receiver.recv().await.expect("flow control") {
        match message {
            ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } => output.extend_from_slice(&data),
            ChannelMsg::ExitStatus { exit_status } => end = exit_status.to_string(),
            ChannelMsg::ExitSignal { signal_name, .. } => end = format!("{signal_name:?}"),
            ChannelMsg::Failure => end = "refused".to_owned(),
            _ => {}
        }
    }
    (String::from_utf8_lossy(&output).into_owned(), end)
}

/// Output up to the first that contains `wanted`.
async fn until(receiver: &mut ChannelReceiver, wanted: &str) -> String {
    let mut seen = String::new();
    while !seen.contains(wanted) {
        if let ChannelMsg::Data { data } = receiver.recv().await.expect("flow control").expect("more output") {
            seen.push_str(&String::from_utf8_lossy(&data));
        }
    }
    seen
}

#[tokio::test]
async fn a_terminal_takes_its_size_and_its_modes() {
    let login = Login::new().await;
    let (sender, mut receiver) = login.session().await;
    let modes = [(Pty::ECHO, 0), (Pty::VINTR, 7), (Pty::ONLCR, 0)];
    sender.requests().request_pty(true, "xterm", 90, 33, 0, 0, &modes).await.expect("sent");
    let command = "stty -a; trap 'stty size; exit 3' WINCH; echo ready; while :; do sleep 0.02; done";
    sender.requests().exec(true, command).await.expect("sent");
    let shown = until(&mut receiver, "ready\n").await;
    for wanted in ["rows 33; columns 90;", " -echo ", "intr = ^G;", " -onlcr"] {
        assert!(shown.contains(wanted), "{wanted} in {shown}");
    }
    sender.requests().window_change(120, 40, 0, 0).await.expect("sent");
    assert_eq!(ended(&mut receiver).await, ("40 120\n".to_owned(), "3".to_owned()));
    assert_eq!(login.left().await, 3);
}

#[tokio::test]
async fn a_signal_passes_input_that_is_stuck() {
    let login = Login::new().await;
    let (sender, mut receiver) = login.session().await;
    sender.requests().exec(true, "echo ready; exec sleep 1000").await.expect("sent");
    until(&mut receiver, "ready").await;
    // More than a pipe holds, so the rest sits in the server; less than it and the first credit take together.
    sender.data(Bytes::from(vec![0; 96 * 1024])).await.expect("sent");
    sender.requests().signal(Sig::TERM).await.expect("sent");
    assert_eq!(ended(&mut receiver).await.1, "TERM");
    let (sender, mut receiver) = login.session().await;
    sender.requests().exec(true, "trap 'exit 9' USR2; echo ready; while :; do sleep 0.02; done").await.expect("sent");
    until(&mut receiver, "ready").await;
    sender.requests().signal(Sig::Custom("USR2".to_owned())).await.expect("sent");
    assert_eq!(ended(&mut receiver).await.1, "9");
    assert_eq!(login.left().await, 9, "the last session's");
}

#[tokio::test]
async fn a_session_that_nobody_reads_stalls_no_other() {
    let login = Login::new().await;
    let (flood, _unread) = login.session().await;
    flood.requests().exec(true, "exec yes").await.expect("sent");
    for code in 1..=5 {
        let (sender, mut receiver) = login.session().await;
        sender.requests().exec(true, format!("exit {code}")).await.expect("sent");
        assert_eq!(ended(&mut receiver).await.1, code.to_string());
    }
    let code = login.left().await;
    assert!([128 + 1, 128 + 13].contains(&code), "the flood was hung up, or found nobody to write to: {code}");
}

#[tokio::test]
async fn a_closed_channel_hangs_up_its_session_alone() {
    let login = Login::new().await;
    let (sender, mut receiver) = login.session().await;
    sender.requests().exec(true, "echo $$; exec sleep 1000").await.expect("sent");
    let pid = until(&mut receiver, "\n").await;
    let pid: i32 = pid.trim().parse().expect("a process id");
    sender.close().await.expect("closed");
    let (sender, mut receiver) = login.session().await;
    let gone = format!("while kill -0 {pid} 2>/dev/null; do :; done; exit 4");
    sender.requests().exec(true, gone).await.expect("sent");
    assert_eq!(ended(&mut receiver).await.1, "4");
    assert_eq!(login.left().await, 4);
}

#[tokio::test]
async fn one_program_per_channel_and_no_unknown_subsystem() {
    let login = Login::new().await;
    let (sender, mut receiver) = login.session().await;
    sender.requests().request_subsystem(true, "no-such").await.expect("sent");
    assert!(matches!(receiver.recv().await, Ok(Some(ChannelMsg::Failure))));
    sender.requests().exec(true, "cat").await.expect("sent");
    assert!(matches!(receiver.recv().await, Ok(Some(ChannelMsg::Success))));
    sender.requests().exec(true, "true").await.expect("sent");
    assert!(matches!(receiver.recv().await, Ok(Some(ChannelMsg::Failure))));
    sender.eof().await.expect("sent");
    assert_eq!(ended(&mut receiver).await, (String::new(), "0".to_owned()));
    assert_eq!(login.left().await, 0);
}

#[tokio::test]
async fn a_stopped_container_ends_within_its_grace() {
    let mut login = Login::new().await;
    let (sender, mut receiver) = login.session().await;
    sender.requests().request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.expect("sent");
    sender.requests().exec(true, "echo ready; exec sleep 1000").await.expect("sent");
    until(&mut receiver, "ready").await;
    login.stop.take().expect("once").send(()).expect("a listener");
    let (shown, end) = ended(&mut receiver).await;
    assert!(shown.contains("fargate-login: the container is being stopped\r\n"), "{shown}");
    assert_eq!((end.as_str(), login.server.await.expect("an end")), ("HUP", 143));
}

#[tokio::test]
async fn an_unpinned_host_announces_a_key_of_its_own() {
    let announced = || async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let grant = Grant::new(HostSeed::new(USER_SEED).public_key());
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let container = Container {
            environment: vec![("HOME".into(), "/proc/nowhere".into())],
            owns_machine: false,
            core_limit: (0, 0),
            engine: Engine::Russh,
            spawner: Spawner::start().expect("a thread"),
            audit: Audit::default(),
            self_args: Vec::new(),
        };
        let log = Log::new(None, Box::new(writer));
        let code = serve(&grant, listener, container, log, std::future::ready(())).await;
        assert_eq!(code.expect("a served container"), 143);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        let listen: serde_json::Value = serde_json::from_str(text.lines().next().expect("a line")).expect("JSON");
        let key: PublicKey = listen["host_key"].as_str().expect("text").parse().expect("a public key");
        assert_eq!(listen["fingerprint"], key.fingerprint(russh::keys::HashAlg::Sha256).to_string());
        key
    };
    assert_ne!(announced().await.key_data(), announced().await.key_data());
}

#[tokio::test]
async fn an_rsa_key_signs_with_sha_2_or_not_at_all() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("rsa");
    let made = std::process::Command::new("ssh-keygen").args(["-q", "-t", "rsa", "-N", "", "-f"]).arg(&path).status();
    assert!(made.expect("ssh-keygen").success());
    let key = Arc::new(russh::keys::load_secret_key(&path, None).expect("a key"));
    let mut login = Login::connected(key.public_key().clone()).await;
    // A client that signs with SHA-1 although the server did not offer it.
    for (hash, admitted) in [(None, false), (Some(HashAlg::Sha256), true)] {
        let signing = PrivateKeyWithHashAlg::new(Arc::clone(&key), hash);
        let answer = login.handle.authenticate_publickey("root", signing).await.expect("an answer");
        assert_eq!(answer.success(), admitted, "{hash:?}");
    }
    login.left().await;
}

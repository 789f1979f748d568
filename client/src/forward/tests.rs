//! Forwards over a real OpenSSH server.

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet, spawn_blocking};
use tokio::time::timeout;

use super::announce::{Kind, Listening};
use super::spec::{Forward, Listen, Purpose, RemoteForward, Target};
use super::{At, ForwardError, Forwarding, Forwards, stdio};
use crate::session::{ExitStatus, Stdio};
use crate::ssh::Connection;
use crate::ssh::sshd::Sshd;
use crate::ui::Ui;

/// Long enough for every event that a test awaits, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);

fn forward(text: &str) -> Forward {
    Forward::parse(text).expect(text)
}

fn local(text: &str) -> Forwards {
    Forwards { local: vec![forward(text)], ..Forwards::default() }
}

/// Forwards that stand, and the port of the first listener that has one.
async fn stand(connection: &Connection, wishes: Forwards) -> (Forwarding, Vec<Listening>) {
    let forwarding = Forwarding::prepare(wishes, &Ui::new(true)).await.expect("listeners");
    let listening = forwarding.stand(connection).await.expect("forwards");
    (forwarding, listening)
}

fn port(listening: &[Listening]) -> u16 {
    match &listening[0].at {
        At::Tcp { port, .. } => *port,
        At::Unix(path) => panic!("{}", path.display()),
    }
}

/// A server that reads to the end and only then answers with what it read, its length first.
async fn late_answerer() -> (u16, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let serving = tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut all = Vec::new();
                stream.read_to_end(&mut all).await.expect("a whole request");
                stream.write_all(format!("{} ", all.len()).as_bytes()).await.expect("written");
                stream.write_all(&all).await.expect("written");
            });
        }
    });
    (port, serving)
}

/// Sends everything, ends its half, and reads the answer to its end.
async fn ask(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, request: &[u8]) -> Vec<u8> {
    let mut answer = Vec::new();
    let asked = async {
        stream.write_all(request).await.expect("written");
        stream.shutdown().await.expect("half closed");
        stream.read_to_end(&mut answer).await.expect("an answer");
    };
    timeout(PATIENCE, asked).await.expect("an end");
    answer
}

fn answer_to(request: &[u8]) -> Vec<u8> {
    [format!("{} ", request.len()).as_bytes(), request].concat()
}

#[tokio::test]
async fn the_answer_after_the_end_of_a_request_arrives_whole() {
    let Some(sshd) = Sshd::new() else { return };
    let connection = sshd.connect().await;
    let (target, _serving) = late_answerer().await;
    let (_forwarding, listening) = stand(&connection, local(&format!("0:127.0.0.1:{target}"))).await;
    let request: Vec<u8> = (0..2_000_000u32).flat_map(u32::to_le_bytes).collect();
    let stream = TcpStream::connect(("127.0.0.1", port(&listening))).await.expect("listening");
    assert!(ask(stream, &request).await == answer_to(&request));
}

#[tokio::test]
async fn two_hundred_at_once_do_not_wait_for_one_another() {
    const AT_ONCE: usize = 200;
    let Some(sshd) = Sshd::new() else { return };
    let connection = sshd.connect().await;
    let (target, _serving) = late_answerer().await;
    let (_forwarding, listening) = stand(&connection, local(&format!("0:127.0.0.1:{target}"))).await;
    let port = port(&listening);
    // All are open, and none has asked, before the first asks.
    let mut streams = Vec::new();
    for _ in 0..AT_ONCE {
        streams.push(TcpStream::connect(("127.0.0.1", port)).await.expect("listening"));
    }
    let mut asking = JoinSet::new();
    for (number, stream) in streams.into_iter().enumerate().rev() {
        let request = number.to_string().repeat(1000).into_bytes();
        asking.spawn(async move { (ask(stream, &request).await, answer_to(&request)) });
    }
    while let Some(asked) = asking.join_next().await {
        let (answer, wanted) = asked.expect("no panic");
        assert!(answer == wanted);
    }
}

#[tokio::test]
async fn sockets_stand_on_either_side() {
    let Some(sshd) = Sshd::new() else { return };
    let connection = sshd.connect().await;
    let folder = tempfile::tempdir().expect("a folder");
    let (here, there) = (folder.path().join("here is ü"), folder.path().join("there"));
    let listener = UnixListener::bind(&there).expect("a socket");
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a connection");
        let mut all = Vec::new();
        stream.read_to_end(&mut all).await.expect("a request");
        stream.write_all(b"from the socket").await.expect("written");
    });
    let (_forwarding, listening) = stand(&connection, local(&format!("{}:{}", here.display(), there.display()))).await;
    assert_eq!(listening[0].at, At::Unix(here.clone()));
    let stream = UnixStream::connect(&here).await.expect("listening");
    assert_eq!(ask(stream, b"hello").await, b"from the socket");
}

#[tokio::test]
async fn a_target_that_refuses_ends_its_connection_alone() {
    let Some(sshd) = Sshd::new() else { return };
    let connection = sshd.connect().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    let (target, _serving) = late_answerer().await;
    let wishes = Forwards {
        local: vec![forward(&format!("0:127.0.0.1:{closed}")), forward(&format!("0:127.0.0.1:{target}"))],
        ..Forwards::default()
    };
    let (_forwarding, listening) = stand(&connection, wishes).await;
    let mut refused = TcpStream::connect(("127.0.0.1", port(&listening))).await.expect("listening");
    let read = timeout(PATIENCE, refused.read(&mut [0; 1])).await.expect("an end");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    let stream = TcpStream::connect(("127.0.0.1", port(&listening[1..]))).await.expect("listening");
    assert_eq!(ask(stream, b"x").await, b"1 x");
    // The reason, in the server's words.
    let target = Target::Tcp { host: "127.0.0.1".to_owned(), port: closed };
    let (theirs, _ours) = pipes();
    let error = stdio::run(&connection, &target, theirs, || Ok(())).await.expect_err("refused");
    assert_eq!(error.to_string(), format!("127.0.0.1:{closed}: open failed: connect failed: Connection refused"));
    let unknown = Target::Tcp { host: "no-such-host.invalid".to_owned(), port: 1 };
    let (theirs, _ours) = pipes();
    let error = stdio::run(&connection, &unknown, theirs, || Ok(())).await.expect_err("unknown");
    assert!(error.to_string().contains("open failed: connect failed: "), "{error}");
}

/// A client that speaks SOCKS: what it says, and what it is answered with before the connection.
async fn through_socks(port: u16, said: &[&[u8]], answers: &[usize]) -> (TcpStream, Vec<Vec<u8>>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("listening");
    let mut heard = Vec::new();
    for (words, length) in said.iter().zip(answers) {
        stream.write_all(words).await.expect("written");
        let mut answer = vec![0; *length];
        timeout(PATIENCE, stream.read_exact(&mut answer)).await.expect("an answer").expect("a whole one");
        heard.push(answer);
    }
    (stream, heard)
}

#[tokio::test]
async fn socks_takes_names_and_addresses_of_both_versions() {
    let Some(sshd) = Sshd::new() else { return };
    let connection = sshd.connect().await;
    let (target, _serving) = late_answerer().await;
    let wishes = Forwards { dynamic: vec![Listen::parse("0").expect("a listener")], ..Forwards::default() };
    let (_forwarding, listening) = stand(&connection, wishes).await;
    assert_eq!(listening[0].kind, Kind::Dynamic);
    let (port, [high, low]) = (port(&listening), target.to_be_bytes());
    let hello: &[u8] = &[5, 1, 0];
    let by_address = [5, 1, 0, 1, 127, 0, 0, 1, high, low];
    let by_name = [&[5, 1, 0, 3, 9][..], b"localhost", &[high, low]].concat();
    for request in [&by_address[..], &by_name] {
        let (stream, heard) = through_socks(port, &[hello, request], &[2, 10]).await;
        assert_eq!((heard[0].as_slice(), heard[1][1]), (&[5, 0][..], 0));
        assert_eq!(ask(stream, b"five").await, b"4 five");
    }
    let v4 = [4, 1, high, low, 127, 0, 0, 1, b'm', b'e', 0];
    let v4a = [&[4, 1, high, low, 0, 0, 0, 1, 0][..], b"localhost\0"].concat();
    for request in [&v4[..], &v4a] {
        let (stream, heard) = through_socks(port, &[request], &[8]).await;
        assert_eq!(heard[0][..2], [0, 90]);
        assert_eq!(ask(stream, b"four").await, b"4 four");
    }
    // What comes right behind the request is the target's.
    let eager = [&v4[..], b"eager "].concat();
    let (stream, _) = through_socks(port, &[&eager], &[8]).await;
    assert_eq!(ask(stream, b"four").await, b"10 eager four");
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    let [high, low] = closed.to_be_bytes();
    let (_, heard) = through_socks(port, &[hello, &[5, 1, 0, 1, 127, 0, 0, 1, high, low]], &[2, 10]).await;
    assert_eq!(heard[1][1], 5, "connection refused");
    let (_, heard) = through_socks(port, &[hello, &[5, 2, 0, 1, 127, 0, 0, 1, high, low]], &[2, 10]).await;
    assert_eq!(heard[1][1], 7, "BIND is not offered");
}

#[tokio::test]
async fn the_servers_listeners_lead_here() {
    let Some(sshd) = Sshd::new() else { return };
    let connection = sshd.connect().await;
    let (target, _serving) = late_answerer().await;
    let folder = tempfile::tempdir().expect("a folder");
    let socket = folder.path().join("there");
    let wishes = Forwards {
        remote: vec![
            forward(&format!("0:127.0.0.1:{target}")).into(),
            forward(&format!("{}:127.0.0.1:{target}", socket.display())).into(),
        ],
        ..Forwards::default()
    };
    let (_forwarding, listening) = stand(&connection, wishes).await;
    let stream = TcpStream::connect(("127.0.0.1", port(&listening))).await.expect("sshd listens");
    assert_eq!(ask(stream, b"back").await, b"4 back");
    let stream = UnixStream::connect(&socket).await.expect("sshd listens");
    assert_eq!(ask(stream, b"socket").await, b"6 socket");
}

#[tokio::test]
async fn a_listener_of_the_servers_without_a_target_speaks_socks() {
    let Some(sshd) = Sshd::new() else { return };
    let connection = sshd.connect().await;
    let (target, _serving) = late_answerer().await;
    let remote = vec![RemoteForward::parse("0").expect("a forward")];
    let (_forwarding, listening) = stand(&connection, Forwards { remote, ..Forwards::default() }).await;
    assert_eq!(listening[0].kind, Kind::Remote(Purpose::Socks));
    // Version 5 by a name, with what follows the request in the same write.
    let request = |port: u16| [&[5, 1, 0, 5, 1, 0, 3, 9][..], b"localhost", &port.to_be_bytes()].concat();
    let mut stream = TcpStream::connect(("127.0.0.1", port(&listening))).await.expect("sshd listens");
    stream.write_all(&[&request(target)[..], b"at "].concat()).await.expect("written");
    let mut replies = [0; 12];
    timeout(PATIENCE, stream.read_exact(&mut replies)).await.expect("replies").expect("whole ones");
    assert_eq!(replies[..4], [5, 0, 5, 0]);
    assert_eq!(ask(stream, b"once").await, b"7 at once");
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    let stream = TcpStream::connect(("127.0.0.1", port(&listening))).await.expect("sshd listens");
    let refused = ask(stream, &request(closed)).await;
    assert_eq!(refused[..4], [5, 0, 5, 5], "connection refused");
}

#[tokio::test]
async fn a_listener_that_the_server_refuses_is_an_error_unless_the_run_goes_on_without() {
    let Some(sshd) = Sshd::new() else { return };
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port").local_addr().expect("bound").port();
    let taken = TcpListener::bind(("127.0.0.1", taken)).await.expect("the same port");
    let wishes = |keep_going| Forwards {
        // A folder that is not there.
        remote: vec![forward("/no/such/folder/s:127.0.0.1:1").into()],
        keep_going,
        ..Forwards::default()
    };
    let connection = sshd.connect().await;
    let forwarding = Forwarding::prepare(wishes(false), &Ui::new(true)).await.expect("nothing to bind");
    let refused = forwarding.stand(&connection).await.expect_err("no folder");
    assert!(matches!(&refused, ForwardError::Refused { at, .. } if at == "/no/such/folder/s"), "{refused:?}");
    let connection = sshd.connect().await;
    assert!(stand(&connection, wishes(true)).await.1.is_empty());
    // And here.
    let port = taken.local_addr().expect("bound").port();
    let busy = |keep_going| Forwards { keep_going, ..local(&format!("{port}:db:1")) };
    assert!(Forwarding::prepare(busy(false), &Ui::new(true)).await.is_err());
    assert!(stand(&connection, busy(true)).await.1.is_empty());
}

#[tokio::test]
async fn who_connects_while_there_is_no_connection_waits_for_the_next() {
    let Some(sshd) = Sshd::new() else { return };
    let (target, _serving) = late_answerer().await;
    let wishes = local(&format!("0:127.0.0.1:{target}"));
    let forwarding = Forwarding::prepare(wishes, &Ui::new(true)).await.expect("a listener");
    let At::Tcp { port, .. } = forwarding.local()[0].at.clone() else { panic!("a port") };
    let early = TcpStream::connect(("127.0.0.1", port)).await.expect("bound already");
    let first = sshd.connect().await;
    forwarding.stand(&first).await.expect("forwards");
    assert_eq!(ask(early, b"early").await, b"5 early");

    let mut cut = TcpStream::connect(("127.0.0.1", port)).await.expect("listening");
    cut.write_all(b"half a request").await.expect("written");
    let other = TcpStream::connect(("127.0.0.1", port)).await.expect("listening");
    assert_eq!(ask(other, b"it stands").await, b"9 it stands");
    first.disconnect().await;
    let read = timeout(PATIENCE, cut.read(&mut [0; 1])).await.expect("an end");
    assert!(read.is_err(), "a reset tells that something is missing: {read:?}");
    forwarding.lost();
    let meanwhile = TcpStream::connect(("127.0.0.1", port)).await.expect("listening");
    let asking = tokio::spawn(ask(meanwhile, b"meanwhile"));
    let second = sshd.connect().await;
    forwarding.stand(&second).await.expect("forwards");
    assert_eq!(asking.await.expect("no panic"), b"9 meanwhile");
}

fn pipes() -> (Stdio, (std::io::PipeWriter, std::io::PipeReader)) {
    let (stdin, our_stdin) = std::io::pipe().expect("a pipe");
    let (our_stdout, stdout) = std::io::pipe().expect("a pipe");
    let (_, stderr) = std::io::pipe().expect("a pipe");
    (Stdio { stdin: stdin.into(), stdout: stdout.into(), stderr: stderr.into() }, (our_stdin, our_stdout))
}

#[tokio::test]
async fn a_pipe_is_half_closed_both_ways() {
    let Some(sshd) = Sshd::new() else { return };
    let connection = sshd.connect().await;
    let (target, _serving) = late_answerer().await;
    let target = Target::Tcp { host: "127.0.0.1".to_owned(), port: target };
    let (theirs, (mut stdin, mut stdout)) = pipes();
    let talk = spawn_blocking(move || {
        stdin.write_all(&[b'x'; 100_000]).expect("a pipe");
        drop(stdin);
        let mut all = Vec::new();
        stdout.read_to_end(&mut all).expect("a pipe");
        all
    });
    let ended = timeout(PATIENCE, stdio::run(&connection, &target, theirs, || Ok(()))).await.expect("an end");
    assert_eq!(ended.expect("a whole answer"), ExitStatus::Code(0));
    assert!(talk.await.expect("no panic") == answer_to(&[b'x'; 100_000]));
}

#[tokio::test]
async fn the_agent_is_for_a_session_that_asks() {
    let Some(sshd) = Sshd::new() else { return };
    if !Path::new("/usr/bin/ssh-agent").exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "ssh-agent is needed under CI");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (socket, key) = (folder.path().join("agent"), folder.path().join("key"));
    let mut agent = tokio::process::Command::new("/usr/bin/ssh-agent")
        .args(["-D", "-a"])
        .arg(&socket)
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("an agent");
    let made = std::process::Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-C", "in the agent", "-f"])
        .arg(&key)
        .status();
    assert!(made.expect("ssh-keygen").success());
    let began = std::time::Instant::now();
    let added = || {
        let adding = std::process::Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).status();
        adding.expect("ssh-add").success()
    };
    // Nobody tells when an agent listens.
    while !added() {
        assert!(began.elapsed() < PATIENCE, "the agent takes no key");
        std::thread::yield_now();
    }
    let connection = sshd.connect().await;
    let wishes = Forwards { agent: true, ..Forwards::default() };
    let forwarding = Forwarding::with_agent(wishes, &Ui::new(true), Some(socket)).await.expect("nothing to bind");
    forwarding.stand(&connection).await.expect("forwards");
    assert!(forwarding.offers_agent());
    let (sender, mut receiver) = connection.open_session().await.expect("a session");
    sender.requests().agent_forward(true).await.expect("sent");
    sender.requests().exec(true, "ssh-add -l").await.expect("sent");
    let mut shown = Vec::new();
    while let Some(message) = timeout(PATIENCE, receiver.recv()).await.expect("an end").expect("flow control") {
        if let russh::ChannelMsg::Data { data } = message {
            shown.extend_from_slice(&data);
        }
    }
    assert!(String::from_utf8_lossy(&shown).contains("in the agent"), "{}", String::from_utf8_lossy(&shown));
    agent.kill().await.expect("our own agent");
}

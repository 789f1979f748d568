//! Forwards without a session whose connection is cut: our own client and our own init, with a network between them that goes.

use std::io::Write as _;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::PATIENCE;
use super::init::{Init, Way};
use super::proxy::Proxy;
use crate::forward::hold::hold;
use crate::forward::spec::Forward;
use crate::forward::{At, Forwarding, Forwards};
use crate::session::terminal::TURN;
use crate::session::tests::{Ends, pipes, read_all};
use crate::session::way_back::WayBack;
use crate::session::{ExitStatus, SessionError, run_on};
use crate::ssh::{Connection, SshError};
use crate::ui::Ui;

/// The way back to the init, with forwards.
struct Tunnels<'a> {
    way: Way,
    forwarding: &'a Forwarding,
}

impl WayBack for Tunnels<'_> {
    async fn connect(&self) -> Result<Connection, SshError> {
        self.way.connect().await
    }

    async fn task_ended(&self) {
        self.way.task_ended().await;
    }

    fn lost(&self) {
        self.forwarding.lost();
    }

    async fn back(&self, connection: &Connection) -> Result<(), SessionError> {
        self.forwarding.stand(connection).await?;
        Ok(())
    }
}

/// A server that says what it hears, and its port.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("bound").port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.split();
                tokio::io::copy(&mut reader, &mut writer).await
            });
        }
    });
    port
}

async fn said(port: u16, words: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.expect("listening");
    stream.write_all(words).await.expect("written");
    let mut heard = vec![0; words.len()];
    timeout(PATIENCE, stream.read_exact(&mut heard)).await.expect("an echo").expect("a whole one");
    heard
}

fn port(at: &At) -> u16 {
    match at {
        At::Tcp { port, .. } => *port,
        At::Unix(path) => panic!("{}", path.display()),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_outlive_their_connection_and_who_connects_meanwhile_waits() {
    let init = Init::start_for_many(super::LONG).await;
    let proxy = Proxy::new(init.address).await;
    let target = echo().await;
    let forward = |text: String| Forward::parse(&text).expect("a forward");
    let wishes = Forwards {
        local: vec![forward(format!("0:127.0.0.1:{target}"))],
        remote: vec![forward(format!("0:127.0.0.1:{target}")).into()],
        ..Forwards::default()
    };
    let ui = Ui::new(true);
    let forwarding = Forwarding::prepare(wishes, &ui).await.expect("a listener");
    let way = Tunnels { way: init.way(proxy.address), forwarding: &forwarding };
    let mut connection = way.connect().await.expect("a login");
    let listening = forwarding.stand(&connection).await.expect("forwards");
    let (here, there) = (port(&listening[0].at), port(&listening[1].at));
    let visit = async {
        for round in ["one", "two", "three"] {
            assert_eq!(said(here, round.as_bytes()).await, round.as_bytes());
            assert_eq!(said(there, round.as_bytes()).await, round.as_bytes(), "the task's listener has its port again");
            let mut open = TcpStream::connect(("127.0.0.1", here)).await.expect("listening");
            open.write_all(b"open").await.expect("written");
            open.read_exact(&mut [0; 4]).await.expect("an echo");
            proxy.go_away();
            let read = timeout(PATIENCE, open.read(&mut [0; 1])).await.expect("an end");
            assert!(read.is_err(), "open connections end: {read:?}");
            let meanwhile = tokio::spawn(said(here, b"meanwhile"));
            proxy.come_back();
            assert_eq!(meanwhile.await.expect("no panic"), b"meanwhile");
            // Nobody comes through here before the task's listener has been asked for.
        }
    };
    tokio::select! {
        () = visit => {}
        lost = hold(&mut connection, &way, super::LONG, &ui) => panic!("{lost}"),
    }
    connection.disconnect().await;
    assert_eq!(super::ended(init.server).await, 0, "a goodbye ends the container at once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwards_beside_a_session_come_back_with_it() {
    let _turn = TURN.lock().await;
    let init = Init::start(super::LONG).await;
    let proxy = Proxy::new(init.address).await;
    let target = echo().await;
    let local = vec![Forward::parse(&format!("0:127.0.0.1:{target}")).expect("a forward")];
    let ui = Ui::new(true);
    let forwarding = Forwarding::prepare(Forwards { local, ..Forwards::default() }, &ui).await.expect("a listener");
    let way = Tunnels { way: init.way(proxy.address), forwarding: &forwarding };
    let mut connection = way.connect().await.expect("a login");
    let here = port(&forwarding.stand(&connection).await.expect("forwards")[0].at);
    let (stdio, Ends { mut stdin, stdout, stderr: _stderr }) = pipes();
    let output = read_all(stdout);
    let request = super::forced("stty raw -echo; echo ready; head -c 1; exit 6");
    let visit = async {
        init.logged("session_start").await;
        assert_eq!(said(here, b"before").await, b"before");
        proxy.go_away();
        init.logged("session_kept").await;
        let meanwhile = tokio::spawn(said(here, b"meanwhile"));
        proxy.come_back();
        assert_eq!(meanwhile.await.expect("no panic"), b"meanwhile");
        stdin.write_all(b"x").expect("a pipe");
        std::future::pending::<()>().await;
    };
    let status = tokio::select! {
        status = run_on(&mut connection, request, stdio, &way, CancellationToken::new()) => status,
        () = visit => unreachable!("it never ends"),
    };
    assert_eq!(status.expect("a status"), ExitStatus::Code(6));
    assert!(output.join().expect("no panic").ends_with(b"ready\nx"), "the session's own bytes");
    connection.disconnect().await;
    assert_eq!(super::ended(init.server).await, 6);
}

#[tokio::test]
async fn both_ends_give_up_when_the_grace_is_over() {
    const GRACE: Duration = Duration::from_millis(700);
    let init = Init::start_for_many(GRACE).await;
    let proxy = Proxy::new(init.address).await;
    let ui = Ui::new(true);
    let forwarding = Forwarding::prepare(Forwards::default(), &ui).await.expect("nothing to bind");
    let way = Tunnels { way: init.way(proxy.address), forwarding: &forwarding };
    let mut connection = way.connect().await.expect("a login");
    proxy.go_away();
    let lost = timeout(PATIENCE, hold(&mut connection, &way, GRACE, &ui)).await.expect("an end");
    assert!(matches!(lost, SessionError::NotResumed { after: GRACE, .. }), "{lost:?}");
    assert_eq!(super::ended(init.server).await, 121, "its own rule");
}

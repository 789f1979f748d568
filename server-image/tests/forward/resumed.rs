//! A connection that comes back for its session forwards once it has it, and not before.

use bytes::Bytes;
use fargate_contract::{ResumeId, ResumeRequest, resume};
use russh::{ChannelMsg, ChannelOpenFailure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::container::Container;
use crate::own::{Own, Pair, SELDOM, round_trip};
use crate::pattern::{MIB, echo_service, patiently};

async fn granted((_, receiver): &mut Pair) -> bool {
    loop {
        match receiver.recv().await.expect("flow control").expect("an answer") {
            ChannelMsg::Success => return true,
            ChannelMsg::Failure => return false,
            _ => {}
        }
    }
}

async fn session(own: &Own) -> Pair {
    ssh_flow::split(own.handle.channel_open_session().await.expect("a channel"), &own.link)
}

/// Starts a command in a session with a terminal that may be asked for again by this id; with the client's agent, if wanted.
async fn resumable(own: &Own, id: &ResumeId, agent: bool, command: &str) -> Pair {
    let mut pair = session(own).await;
    let requests = pair.0.requests();
    requests.set_env(true, resume::ID_VARIABLE, id.encode()).await.expect("sent");
    assert!(granted(&mut pair).await);
    pair.0.requests().request_pty(true, "xterm", 80, 24, 0, 0, &[]).await.expect("sent");
    assert!(granted(&mut pair).await);
    if agent {
        pair.0.requests().agent_forward(true).await.expect("sent");
        assert!(granted(&mut pair).await);
    }
    pair.0.requests().exec(true, command).await.expect("sent");
    assert!(granted(&mut pair).await);
    pair
}

async fn resumed(own: &Own, id: ResumeId, received: u64) -> Pair {
    let mut pair = session(own).await;
    let request = ResumeRequest { id, received };
    pair.0.requests().request_subsystem(true, request.encode()).await.expect("sent");
    assert!(granted(&mut pair).await);
    pair
}

/// A connection to the agent's socket reaches this client.
async fn assert_leads_to(own: &mut Own, socket: &str) {
    let mut program = UnixStream::connect(socket).await.expect("the session's socket");
    let channel = own.offered.recv().await.expect("the offer");
    let (sender, mut receiver) = ssh_flow::split(channel, &own.link);
    program.write_all(b"ask").await.expect("a reader");
    let asked = receiver.recv().await.expect("flow control").expect("a question");
    assert!(matches!(&asked, ChannelMsg::Data { data } if data == "ask"), "{asked:?}");
    sender.data(Bytes::from_static(b"answer")).await.expect("a channel");
    let mut answer = [0; 6];
    program.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_socket_leads_to_the_connection_that_its_session_has() {
    patiently(async {
        let mut container = Container::start(&[]);
        let mut first = Own::connect(&container, SELDOM).await;
        let id = ResumeId::new(9);
        let mut pair = resumable(&first, &id, true, "echo \"<$SSH_AUTH_SOCK>\"; exec cat").await;
        let mut shown = String::new();
        while !shown.contains('>') {
            if let Some(ChannelMsg::Data { data }) = pair.1.recv().await.expect("flow control") {
                shown.push_str(&String::from_utf8_lossy(&data));
            }
        }
        let socket = shown.split(['<', '>']).nth(1).expect("a path");
        assert_leads_to(&mut first, socket).await;
        first.cut();
        container.until("session_kept");
        // Nobody is there: a program finds its agent gone.
        let mut program = UnixStream::connect(socket).await.expect("the session's socket");
        assert_eq!(program.read(&mut [0]).await.expect("its end"), 0);
        drop((first, pair));

        let mut second = Own::connect(&container, SELDOM).await;
        let mut pair = resumed(&second, id, shown.len() as u64).await;
        pair.0.requests().agent_forward(true).await.expect("sent");
        assert!(granted(&mut pair).await);
        assert_leads_to(&mut second, socket).await;
        // On purpose. The goodbye alone may be overtaken by a reset, and would be a loss.
        pair.0.close().await.expect("a channel");
        container.until("session_end");
        second.leave().await;
        assert_eq!(container.ended(), 129, "its terminal hung up");
        assert!(!std::path::Path::new(socket).exists());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwards_end_with_their_connection_and_are_had_again_with_the_session() {
    patiently(async {
        let mut container = Container::start(&[]);
        let target = echo_service().await;
        let first = Own::connect(&container, SELDOM).await;
        let id = ResumeId::new(7);
        let pair = resumable(&first, &id, false, "cat").await;
        let port = first.handle.tcpip_forward("127.0.0.1", 0).await.expect("a port");
        let lost = first.open(target).await.expect("a forward");
        container.until("forward_start");
        first.cut();
        container.until("session_kept");
        let ended = container.events.iter().rfind(|event| event["event"] == "forward_end").cloned();
        let ended = match ended {
            Some(ended) => ended,
            None => container.until("forward_end"),
        };
        assert_eq!(ended["reason"], "the connection ended");

        drop((first, lost, pair));

        let second = Own::connect(&container, SELDOM).await;
        match second.open(target).await.map(|_| "a forward") {
            Err(russh::Error::ChannelOpenFailure(ChannelOpenFailure::AdministrativelyProhibited)) => {}
            other => panic!("{other:?}"),
        }
        assert!(second.handle.tcpip_forward("127.0.0.1", 0).await.is_err());
        let pair = resumed(&second, id, 0).await;
        round_trip(second.open(target).await.expect("a forward"), 1, MIB).await;
        let again = second.handle.tcpip_forward("127.0.0.1", port).await.expect("the same port");
        assert!(again == 0 || again == port, "{again}");
        // On purpose. The goodbye alone may be overtaken by a reset, and would be a loss.
        pair.0.close().await.expect("a channel");
        container.until("session_end");
        second.leave().await;
        assert_eq!(container.ended(), 129, "its terminal hung up");
    })
    .await;
}

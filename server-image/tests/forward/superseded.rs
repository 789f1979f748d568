//! A client that comes back for its listeners while the container still holds them for a connection that it believes alive.

use fargate_contract::grant;
use russh::ChannelMsg;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

use crate::container::Container;
use crate::own::{Own, SELDOM};
use crate::pattern::patiently;
use crate::peer::tunnel;

/// What comes in reaches this client.
async fn assert_leads_to(own: &mut Own, mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    let (sender, mut receiver) = ssh_flow::split(own.offered.recv().await.expect("the offer"), &own.link);
    stream.write_all(b"ask").await.expect("a reader");
    let asked = receiver.recv().await.expect("flow control").expect("a question");
    assert!(matches!(&asked, ChannelMsg::Data { data } if data == "ask"), "{asked:?}");
    sender.data("answer".into()).await.expect("a channel");
    let mut answer = [0; 6];
    stream.read_exact(&mut answer).await.expect("an answer");
    assert_eq!(&answer, b"answer");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn its_listeners_are_those_of_its_next_connection_at_once() {
    patiently(async {
        let mut container = Container::start(&[(grant::CONNECTIONS, "many")]);
        let path = container.directory.path().join("listener").to_string_lossy().into_owned();
        let silent = Own::connect(&container, SELDOM).await;
        let port = silent.handle.tcpip_forward("localhost", 0).await.expect("a port");
        silent.handle.streamlocal_forward(&path).await.expect("a socket");
        // The first is not lost as far as anybody can tell: it answers, and would for ever.
        let mut next = Own::connect(&container, SELDOM).await;
        next.handle.tcpip_forward("localhost", port).await.expect("the same port");
        let local = u16::try_from(port).expect("a port");
        assert_leads_to(&mut next, TcpStream::connect(("127.0.0.1", local)).await.expect("listening")).await;
        next.handle.streamlocal_forward(&path).await.expect("the same socket");
        UnixStream::connect(&path).await.expect("listening");
        assert_eq!(container.until("disconnect")["reason"], "its client came back by another");
        assert!(silent.handle.is_closed() || silent.handle.channel_open_session().await.is_err(), "it is over");
        // What it holds itself is taken.
        assert!(next.handle.tcpip_forward("localhost", port).await.is_err());
        assert!(next.handle.streamlocal_forward(&path).await.is_err());
        next.leave().await;
        assert_eq!(container.ended(), 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_foreign_client_holds_is_taken() {
    patiently(async {
        let mut container = Container::start(&[(grant::CONNECTIONS, "many")]);
        let forwarding = |port: u16| format!("{port}:127.0.0.1:1");
        let mut held = tunnel(&container, &["-o", "LogLevel=INFO", "-R", &forwarding(0)]);
        let address = container.until("forward_listen")["address"].as_str().expect("text").to_owned();
        let port: u16 = address.rsplit(':').next().and_then(|port| port.parse().ok()).expect("a port");
        let own = Own::connect(&container, SELDOM).await;
        assert!(own.handle.tcpip_forward("localhost", port.into()).await.is_err());
        let second = container.ssh(&["-o", "ExitOnForwardFailure=yes", "-R", &forwarding(port)], &["true"]).output();
        let second = second.expect("ssh");
        assert!(String::from_utf8_lossy(&second.stderr).contains("remote port forwarding failed"), "{second:?}");
        assert!(held.try_wait().expect("a process").is_none(), "the first goes on");
        TcpStream::connect(("127.0.0.1", port)).await.expect("it listens still");
        own.leave().await;
        drop(held.stdin.take());
        held.wait().expect("ssh");
        container.ended();
    })
    .await;
}

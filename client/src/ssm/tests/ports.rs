//! Port sessions: several connections in one, one after another, and a single one.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::payload::{Flag, PayloadType};
use super::super::port::Ports;
use super::super::smux::codec::{self, Command};
use super::peer::{Faults, Peer, Say};
use super::*;

fn request(agent: &str, properties: &Value) -> Value {
    let action =
        json!({"ActionType": "SessionType", "ActionParameters": {"SessionType": "Port", "Properties": properties}});
    json!({"AgentVersion": agent, "RequestedClientActions": [action]})
}

async fn started(peer: &mut Peer, cloud: &Arc<Cloud>, agent: &str, forwarding: &str) -> Ports {
    let starting = tokio::spawn(Ports::start(session(peer), services(cloud)));
    let mut properties = json!({"portNumber": "5432", "localPortNumber": "0"});
    if !forwarding.is_empty() {
        properties["type"] = forwarding.into();
    }
    peer.shake_hands(request(agent, &properties)).await;
    peer.complete("Hello").await;
    let ports = starting.await.expect("no panic").expect("ports");
    assert_eq!(ports.greeting(), Some("Hello"));
    ports
}

/// The agent's side of the streams: the frames that come, whole.
#[derive(Default)]
struct Frames(BytesMut);

impl Frames {
    async fn next(&mut self, peer: &mut Peer) -> (Command, u32, Vec<u8>) {
        loop {
            if let Some(header) = codec::header(&self.0).expect("smux")
                && self.0.len() >= codec::HEADER + header.length
            {
                let frame = self.0.split_to(codec::HEADER + header.length);
                return (header.command, header.id, frame[codec::HEADER..].to_vec());
            }
            let (payload_type, payload) = peer.heard().await;
            assert_eq!(payload_type, PayloadType::Output);
            self.0.extend_from_slice(&payload);
        }
    }
}

async fn say(peer: &Peer, command: Command, id: u32, content: &[u8]) {
    let frame = codec::encode(command, id, content);
    // Frames and messages have nothing to do with each other.
    for piece in frame.chunks(1000) {
        peer.stream(PayloadType::Output, Bytes::copy_from_slice(piece)).await;
    }
}

#[tokio::test]
async fn connections_are_open_side_by_side() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults { lose: 40, double: 9, swap: 4 }).await;
    let ports = started(&mut peer, &cloud, "3.3.987.0", "LocalPortForwarding").await;
    assert!(ports.is_multiplexed());
    let sent: Vec<_> = (1..=5).map(|count| noise(20_000 * count)).collect();
    let mut users = Vec::new();
    for content in sent.clone() {
        let stream = ports.open().await.expect("a stream");
        let (mut reader, mut writer) = tokio::io::split(stream);
        users.push(tokio::spawn(async move {
            let length = content.len();
            let write = async move {
                writer.write_all(&content).await.expect("written");
                writer.shutdown().await.expect("finished");
                writer
            };
            let mut got = vec![0; length];
            let (writer, read) = tokio::join!(write, reader.read_exact(&mut got));
            read.expect("an echo");
            let end = reader.read(&mut [0]).await.expect("an end");
            drop(writer);
            (end, got)
        }));
    }
    let mut frames = Frames::default();
    let (mut left, mut open): (BTreeMap<u32, usize>, usize) = (BTreeMap::new(), sent.len());
    while open > 0 {
        let (command, id, content) = frames.next(&mut peer).await;
        match command {
            Command::Syn => drop(left.insert(id, sent[usize::try_from((id - 3) / 2).expect("small")].len())),
            Command::Psh => {
                say(&peer, Command::Psh, id, &content).await;
                let rest = left.get_mut(&id).expect("announced");
                *rest -= content.len();
                if *rest == 0 {
                    say(&peer, Command::Fin, id, &[]).await;
                }
            }
            Command::Fin => {
                assert_eq!(left[&id], 0, "it was kept back until the answer had ended");
                open -= 1;
            }
            Command::Nop => panic!("nothing is kept alive"),
        }
    }
    for (user, sent) in users.into_iter().zip(sent) {
        let (end, got) = user.await.expect("no panic");
        assert_eq!((end, digest(&got)), (0, digest(&sent)));
    }
}

#[tokio::test]
async fn a_reader_that_stalls_costs_four_mebibytes_and_loses_nothing() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults::default()).await;
    let ports = started(&mut peer, &cloud, "3.3.987.0", "LocalPortForwarding").await;
    let mut stalled = ports.open().await.expect("a stream");
    let mut other = ports.open().await.expect("a stream");
    let (sent, orders) = (noise(12 << 20), peer.say.clone());
    let content = sent.clone();
    let talking = tokio::spawn(async move {
        for piece in content.chunks(16 << 10) {
            let frame = codec::encode(Command::Psh, 3, piece);
            orders.send(Say::Stream(PayloadType::Output, frame)).await.expect("a peer");
        }
        let last = codec::encode(Command::Psh, 5, b"through");
        orders.send(Say::Stream(PayloadType::Output, last)).await.expect("a peer");
    });
    // The session is full when as much is held as may be, less than a frame.
    while ports.held() + (17 << 10) <= super::super::smux::BUDGET {
        tokio::task::yield_now().await;
    }
    assert!(ports.held() <= super::super::smux::BUDGET);
    assert!(!talking.is_finished());
    let mut got = vec![0; sent.len()];
    let mut at = 0;
    while at < got.len() {
        at += stalled.read(&mut got[at..]).await.expect("read");
        assert!(ports.held() <= super::super::smux::BUDGET);
    }
    assert_eq!(digest(&got), digest(&sent));
    let mut word = [0; 7];
    other.read_exact(&mut word).await.expect("read");
    assert_eq!(&word, b"through");
    talking.await.expect("no panic");
}

#[tokio::test]
async fn a_refused_port_is_a_refused_connection_and_the_session_goes_on() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults::default()).await;
    let ports = started(&mut peer, &cloud, "3.3.987.0", "LocalPortForwarding").await;
    let mut refused = ports.open().await.expect("a stream");
    peer.stream(PayloadType::Flag, Bytes::copy_from_slice(&Flag::ConnectToPortError.encode())).await;
    say(&peer, Command::Fin, 3, &[]).await;
    let error = refused.read(&mut [0]).await.expect_err("refused");
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    let mut next = ports.open().await.expect("a stream");
    say(&peer, Command::Psh, 5, b"hi").await;
    let mut word = [0; 2];
    next.read_exact(&mut word).await.expect("read");
    assert_eq!(&word, b"hi");
}

#[tokio::test]
async fn the_agent_is_told_that_the_session_is_over() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults::default()).await;
    let ports = started(&mut peer, &cloud, "3.3.987.0", "LocalPortForwarding").await;
    let ending = tokio::spawn(ports.terminate());
    let (payload_type, payload) = peer.heard().await;
    assert_eq!((payload_type, Flag::decode(&payload)), (PayloadType::Flag, Some(Flag::TerminateSession)));
    peer.say(Say::Close(String::new())).await;
    assert_eq!(ending.await.expect("no panic"), Ok(()));
    assert_eq!(*cloud.terminated.lock().expect("no panic"), 0);
}

#[tokio::test]
async fn an_old_agent_carries_one_connection_after_another() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults::default()).await;
    let ports = started(&mut peer, &cloud, "2.3.100.0", "LocalPortForwarding").await;
    assert!(!ports.is_multiplexed());
    for round in 0..3 {
        let mut stream = ports.open().await.expect("a connection");
        let sent = noise(50_000 + round);
        let (mut reader, mut writer) = tokio::io::split(&mut stream);
        let mut got = vec![0; sent.len()];
        let echo = async {
            let mut left = sent.len();
            while left > 0 {
                let (payload_type, payload) = peer.heard().await;
                assert_eq!(payload_type, PayloadType::Output);
                left -= payload.len();
                peer.stream(PayloadType::Output, payload).await;
            }
        };
        let (written, read, ()) = tokio::join!(writer.write_all(&sent), reader.read_exact(&mut got), echo);
        written.expect("written");
        read.expect("read");
        assert_eq!(digest(&got), digest(&sent));
        drop(stream);
        let (payload_type, payload) = peer.heard().await;
        assert_eq!((payload_type, Flag::decode(&payload)), (PayloadType::Flag, Some(Flag::DisconnectToPort)));
    }
    assert_eq!(ports.terminate().await, Ok(()));
    assert_eq!(*cloud.terminated.lock().expect("no panic"), 1, "it knows no flag for it");
}

#[tokio::test]
async fn a_document_that_does_not_say_that_it_forwards_carries_one_connection() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults::default()).await;
    let ports = started(&mut peer, &cloud, "3.3.987.0", "").await;
    // Servers such as this one speak first, and the agent has connected already.
    peer.stream(PayloadType::Output, "SSH-2.0").await;
    peer.stream(PayloadType::Output, "-x\r\n").await;
    let mut stream = ports.open().await.expect("a connection");
    assert_eq!(ports.open().await.expect_err("one"), SsmError::OneConnection);
    let mut line = [0; 11];
    stream.read_exact(&mut line).await.expect("read");
    stream.write_all(b"SSH-2.0-y\r\n").await.expect("written");
    assert_eq!(peer.heard_input(11).await, b"SSH-2.0-y\r\n");
    stream.write_all(&[7; 5000]).await.expect("written");
    assert_eq!(peer.heard_input(5000).await, [7; 5000]);
    peer.stream(PayloadType::Output, "bye").await;
    peer.say(Say::Close(String::new())).await;
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.expect("an end");
    assert_eq!(rest, b"bye");
    assert_eq!(ports.ended().await, Ok(()));
}

#[tokio::test]
async fn a_session_that_ends_with_words_is_no_ordinary_end_of_a_connection() {
    for agent in ["3.3.987.0", "2.0.0.0"] {
        let cloud = Arc::new(Cloud::default());
        let mut peer = Peer::start(Faults::default()).await;
        let ports = started(&mut peer, &cloud, agent, "LocalPortForwarding").await;
        let mut stream = ports.open().await.expect("a connection");
        stream.write_all(b"x").await.expect("written");
        assert_eq!(peer.heard().await.0, PayloadType::Output);
        peer.say(Say::Close("Your session timed out due to inactivity and has been terminated.".to_owned())).await;
        let error = stream.read(&mut [0]).await.expect_err("cut");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert!(matches!(ports.ended().await, Err(SsmError::Idle { .. })));
        assert!(matches!(ports.open().await, Err(SsmError::Idle { .. })));
    }
}

#[tokio::test]
async fn a_session_that_ends_without_words_cuts_its_connections() {
    for agent in ["3.3.987.0", "2.0.0.0"] {
        let cloud = Arc::new(Cloud::default());
        let mut peer = Peer::start(Faults::default()).await;
        let ports = started(&mut peer, &cloud, agent, "LocalPortForwarding").await;
        let (opener, mut stream) = (ports.opener(), ports.open().await.expect("a connection"));
        stream.write_all(b"x").await.expect("written");
        assert_eq!(peer.heard().await.0, PayloadType::Output);
        // As an administrator's TerminateSession has it.
        peer.say(Say::Close(String::new())).await;
        let error = stream.read(&mut [0]).await.expect_err("cut");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(ports.ended().await, Ok(()));
        assert_eq!(opener.open().await.err(), Some(SsmError::Over));
    }
}

#[tokio::test]
async fn a_session_that_is_dropped_is_no_ordinary_end_of_a_connection() {
    for agent in ["3.3.987.0", "2.0.0.0"] {
        let cloud = Arc::new(Cloud::default());
        let mut peer = Peer::start(Faults::default()).await;
        let ports = started(&mut peer, &cloud, agent, "LocalPortForwarding").await;
        let mut stream = ports.open().await.expect("a connection");
        stream.write_all(b"x").await.expect("written");
        assert_eq!(peer.heard().await.0, PayloadType::Output);
        drop(ports);
        let error = stream.read(&mut [0]).await.expect_err("cut");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}

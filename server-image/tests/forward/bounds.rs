//! How many forwards one connection has, and what they cost.

use std::io::Write as _;

use russh::ChannelMsg;

use crate::container::some_address;
use crate::own::{Own, Pair, SELDOM, Server};
use crate::pattern::{echo_service, memory, patiently};

/// As many as are asked for.
const WANTED: usize = 1000;
/// As many as there are.
const MOST: usize = 1400;
/// Memory that the serving process may need for them in a debug build, in KiB.
const MEMORY_KIB: u64 = 96 * 1024;

async fn say(pair: &mut Pair) {
    pair.0.data(bytes::Bytes::from_static(b"still here")).await.expect("a channel");
    let mut heard = Vec::new();
    while heard.len() < 10 {
        let message = pair.1.recv().await.expect("flow control").expect("an echo");
        assert!(matches!(message, ChannelMsg::Data { .. }), "{message:?}");
        if let ChannelMsg::Data { data } = message {
            heard.extend_from_slice(&data);
        }
    }
    assert_eq!(heard, b"still here");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_stand_at_once_and_echo_and_a_flood_is_capped() {
    patiently(async {
        let mut container = Server::Init.start().expect("our own");
        let own = Own::connect(&container, SELDOM).await;
        let target = echo_service().await;
        let before = memory(container.serve_pid()).1;
        let mut pairs = Vec::new();
        while pairs.len() < WANTED {
            pairs.push(own.open(target).await.expect("a place"));
        }
        for _ in 0..2 {
            for pair in &mut pairs {
                say(pair).await;
            }
        }
        let (peak, now) = memory(container.serve_pid());
        let each = (now - before) * 1024 / WANTED as u64;
        let _ = writeln!(std::io::stderr(), "{WANTED} forwards: {now} KiB now, {peak} at most, {each} bytes each");
        assert!(peak <= MEMORY_KIB, "{peak} KiB");
        while pairs.len() < MOST {
            pairs.push(own.open(target).await.expect("a place"));
        }
        for _ in 0..500 {
            match own.open(target).await {
                Err(russh::Error::ChannelOpenFailure(russh::ChannelOpenFailure::ResourceShortage)) => {}
                other => panic!("{:?}", other.map(|_| "another one")),
            }
        }
        say(&mut pairs[0]).await;
        own.assert_lively().await;
        // A place is free once its channel is closed.
        let (sender, mut receiver) = pairs.pop().expect("many");
        sender.close().await.expect("a channel");
        drop((sender, receiver.recv().await));
        while own.open(target).await.is_err() {
            tokio::task::yield_now().await;
        }
        own.leave().await;
        assert_eq!(container.ended(), 0);
        let count = |kind: &str| container.events.iter().filter(|event| event["event"] == kind).count();
        assert_eq!((count("forward_start"), count("forward_end")), (MOST + 1, MOST + 1));
        assert!(count("forward_refused") < 200, "a flood does not fill the log");
        assert_eq!(container.last("forward_refused")["reason"], "too many forwards at once");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_towards_a_port_where_nobody_listens_costs_little() {
    patiently(async {
        let mut container = Server::Init.start().expect("our own");
        let own = std::sync::Arc::new(Own::connect(&container, SELDOM).await);
        let closed = std::net::SocketAddr::from((some_address(), 9));
        let mut attempts = tokio::task::JoinSet::new();
        for _ in 0..5000 {
            let own = std::sync::Arc::clone(&own);
            attempts.spawn(async move { own.open(closed).await.is_err() });
        }
        while let Some(refused) = attempts.join_next().await {
            assert!(refused.expect("an answer"));
        }
        own.assert_lively().await;
        let (peak, _) = memory(container.serve_pid());
        assert!(peak <= MEMORY_KIB, "{peak} KiB");
        std::sync::Arc::into_inner(own).expect("all have ended").leave().await;
        assert_eq!(container.ended(), 0);
        assert!(container.events.len() < 300, "{} lines", container.events.len());
    })
    .await;
}

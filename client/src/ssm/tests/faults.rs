//! Messages that are lost, doubled and overtaken, in both directions at once.

use std::sync::Arc;

use super::super::payload::PayloadType;
use super::super::shell::{Output, Shell};
use super::peer::{Faults, Peer, Say};
use super::*;

/// What is typed comes back as output; both ways are faulty.
async fn echo(faults: Faults, length: usize) {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(faults).await;
    peer.stream(PayloadType::Output, "$").await;
    let mut shell = Shell::start(session(&peer), services(&cloud), None).await.expect("a shell");
    assert_eq!(shell.next().await, Some(Output::StdOut("$".into())));
    let sent = noise(length);
    let (input, typed) = (shell.input(), Bytes::from(sent.clone()));
    let typing = tokio::spawn(async move {
        let mut typed = typed;
        while !typed.is_empty() {
            input.send(typed.split_to(typed.len().min(5000))).await.expect("typed");
        }
    });
    let say = peer.say.clone();
    let echoing = tokio::spawn(async move {
        let mut left = length;
        while left > 0 {
            let (_, payload) = peer.heard().await;
            left -= payload.len();
            say.send(Say::Stream(PayloadType::Output, payload)).await.expect("a peer");
        }
        peer
    });
    let mut got = Vec::new();
    while got.len() < length {
        let Some(Output::StdOut(bytes)) = shell.next().await else { panic!("the end after {} bytes", got.len()) };
        got.extend_from_slice(&bytes);
    }
    typing.await.expect("no panic");
    assert_eq!((got.len(), digest(&got)), (length, digest(&sent)));
    let peer = echoing.await.expect("no panic");
    peer.say(Say::Close(String::new())).await;
    assert_eq!(shell.end().await, Ok(None));
}

#[tokio::test]
async fn nothing_is_lost_on_a_good_way() {
    echo(Faults::default(), 2 << 20).await;
}

#[tokio::test]
async fn lost_messages_are_sent_again() {
    echo(Faults { lose: 17, ..Faults::default() }, 100_000).await;
}

#[tokio::test]
async fn doubled_messages_count_once() {
    echo(Faults { double: 2, ..Faults::default() }, 300_000).await;
}

#[tokio::test]
async fn overtaken_messages_are_put_back_into_order() {
    echo(Faults { swap: 3, ..Faults::default() }, 300_000).await;
}

#[tokio::test]
async fn all_of_it_at_once() {
    echo(Faults { lose: 23, double: 7, swap: 5 }, 100_000).await;
}

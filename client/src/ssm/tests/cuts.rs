//! Connections that are cut, and sessions that go on.

use std::sync::Arc;

use serde_json::json;

use super::super::payload::PayloadType;
use super::super::shell::{Output, Shell};
use super::peer::{Faults, Peer, Say};
use super::*;

async fn started(peer: &Peer, cloud: &Arc<Cloud>) -> Shell {
    peer.stream(PayloadType::Output, "$").await;
    let mut shell = Shell::start(session(peer), services(cloud), None).await.expect("a shell");
    assert_eq!(shell.next().await, Some(Output::StdOut("$".into())));
    shell
}

#[tokio::test]
async fn an_upload_goes_on_where_it_was_over_several_cuts() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults { lose: 50, ..Faults::default() }).await;
    let shell = started(&peer, &cloud).await;
    let sent = noise(600_000);
    let (input, typed) = (shell.input(), Bytes::from(sent.clone()));
    let typing = tokio::spawn(async move { input.send(typed).await });
    let mut got = Vec::new();
    for cut in 1..=3 {
        got.extend(peer.heard_input(100_000).await);
        peer.say(Say::Cut).await;
        let first = peer.opened.recv().await.expect("opened");
        let again = if cut == 1 { peer.opened.recv().await.expect("opened") } else { first };
        assert_eq!(again.message["TokenValue"], json!(format!("token {cut}")));
    }
    got.extend(peer.heard_input(sent.len() - got.len()).await);
    assert_eq!((got.len(), digest(&got)), (sent.len(), digest(&sent)));
    typing.await.expect("no panic").expect("typed");
    assert_eq!(*cloud.resumed.lock().expect("no panic"), 3);
}

#[tokio::test]
async fn a_download_goes_on_where_it_was() {
    let cloud = Arc::new(Cloud::default());
    let peer = Peer::start(Faults::default()).await;
    let mut shell = started(&peer, &cloud).await;
    let sent = noise(500_000);
    let (content, say) = (sent.clone(), peer.say.clone());
    let talking = tokio::spawn(async move {
        for (count, piece) in content.chunks(1000).enumerate() {
            say.send(Say::Stream(PayloadType::Output, Bytes::copy_from_slice(piece))).await.expect("a peer");
            if count == 200 {
                say.send(Say::Cut).await.expect("a peer");
            }
        }
    });
    let mut got = Vec::new();
    while got.len() < sent.len() {
        let Some(Output::StdOut(bytes)) = shell.next().await else { panic!("the end after {} bytes", got.len()) };
        got.extend_from_slice(&bytes);
    }
    talking.await.expect("no panic");
    assert_eq!((got.len(), digest(&got)), (sent.len(), digest(&sent)));
    assert_eq!(*cloud.resumed.lock().expect("no panic"), 1);
}

#[tokio::test]
async fn a_service_that_falters_is_asked_again() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults::default()).await;
    let mut shell = started(&peer, &cloud).await;
    let throttled = refused("ssm:ResumeSession", "ThrottlingException");
    cloud.over.lock().expect("no panic").push_back(Some(throttled));
    peer.say(Say::Refuse(503, 1)).await;
    peer.say(Say::Cut).await;
    peer.stream(PayloadType::Output, "back").await;
    assert_eq!(shell.next().await, Some(Output::StdOut("back".into())));
    shell.input().send("x".into()).await.expect("typed");
    assert_eq!(peer.heard_input(1).await, b"x");
    assert_eq!(*cloud.resumed.lock().expect("no panic"), 3);
}

#[tokio::test]
async fn a_session_that_is_over_is_not_resumed() {
    for (answer, expected) in [
        (None, SsmError::OverMeanwhile),
        (
            Some(refused("ssm:ResumeSession", "DoesNotExistException")),
            SsmError::NotResumed(refused("ssm:ResumeSession", "DoesNotExistException")),
        ),
    ] {
        let cloud = Arc::new(Cloud::default());
        let peer = Peer::start(Faults::default()).await;
        let shell = started(&peer, &cloud).await;
        cloud.over.lock().expect("no panic").push_back(answer);
        peer.say(Say::Cut).await;
        assert_eq!(shell.end().await, Err(expected));
    }
}

#[tokio::test]
async fn connections_that_are_cut_at_once_are_not_made_for_ever() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults::default()).await;
    let shell = started(&peer, &cloud).await;
    // Behind the last acknowledgement: what is not acknowledged comes again, and then something would be heard each time.
    shell.input().send("x".into()).await.expect("typed");
    assert_eq!(peer.heard_input(1).await, b"x");
    let say = peer.say.clone();
    let cutting = tokio::spawn(async move {
        while peer.opened.recv().await.is_some() {
            if say.send(Say::Cut).await.is_err() {
                break;
            }
        }
    });
    let ended = shell.end().await;
    assert!(matches!(ended, Err(SsmError::Lost { .. })), "{ended:?}");
    cutting.abort();
}

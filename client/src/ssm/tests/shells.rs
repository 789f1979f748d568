//! Shells and commands, from the opening to the end.

use std::sync::Arc;

use serde_json::json;

use super::super::frame::{Frame, Kind};
use super::super::payload::PayloadType;
use super::super::shell::{Output, Shell};
use super::peer::{Faults, Peer, Say};
use super::*;

#[tokio::test]
async fn a_shell_starts_with_its_prompt_and_ends_without_words() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults::default()).await;
    peer.stream(PayloadType::Output, "$ ").await;
    let mut shell = Shell::start(session(&peer), services(&cloud), Some((80, 24))).await.expect("a shell");
    let opened = peer.opened.recv().await.expect("opened");
    assert_eq!((&opened.message["TokenValue"], opened.authorization), (&json!("token 0"), None));
    assert_eq!((shell.kind(), shell.greeting()), (None, None));
    assert_eq!(shell.next().await, Some(Output::StdOut("$ ".into())));
    let size = peer.heard_any().await;
    assert_eq!(size, (PayloadType::Size, br#"{"cols":80,"rows":24}"#[..].into()));
    let input = shell.input();
    input.send("exit\r".into()).await.expect("typed");
    input.send(Bytes::new()).await.expect("nothing typed");
    input.send("!".into()).await.expect("typed");
    assert_eq!(peer.heard_input(6).await, b"exit\r!");
    peer.stream(PayloadType::Output, "bye").await;
    peer.say(Say::Close(String::new())).await;
    assert_eq!(shell.next().await, Some(Output::StdOut("bye".into())));
    assert_eq!(shell.end().await, Ok(None));
    assert_eq!(input.send("late".into()).await, Err(SsmError::Over));
    assert_eq!((*cloud.terminated.lock().expect("no panic"), *cloud.resumed.lock().expect("no panic")), (0, 0));
}

#[tokio::test]
async fn a_command_without_a_terminal_has_two_streams_and_an_exit_code() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults::default()).await;
    let starting = tokio::spawn(Shell::start(session(&peer), services(&cloud), Some((9, 8))));
    let size = (PayloadType::Size, Bytes::from_static(br#"{"cols":9,"rows":8}"#));
    assert_eq!(peer.heard_any().await, size);
    let action = json!({"ActionType": "SessionType", "ActionParameters": {"SessionType": "NonInteractiveCommands", "Properties": null}});
    peer.shake_hands(json!({"AgentVersion": "3.3.0.0", "RequestedClientActions": [action]})).await;
    peer.complete("Be careful.").await;
    let mut shell = starting.await.expect("no panic").expect("a command");
    assert_eq!(peer.heard_any().await, size, "the first was thrown away");
    assert_eq!(shell.greeting(), Some("Be careful."));
    assert_eq!(shell.kind().map(|kind| kind.name()), Some("NonInteractiveCommands"));
    peer.stream(PayloadType::Output, "out").await;
    peer.stream(PayloadType::StdErr, "err").await;
    peer.stream(PayloadType::ExitCode, "EXIT_CODE: 7").await;
    peer.say(Say::Close(String::new())).await;
    assert_eq!(shell.next().await, Some(Output::StdOut("out".into())));
    assert_eq!(shell.next().await, Some(Output::StdErr("err".into())));
    assert_eq!(shell.end().await, Ok(Some(7)));
}

#[tokio::test]
async fn a_handshake_that_comes_twice_is_answered_alike_and_strange_messages_are_passed_over() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults::default()).await;
    let starting = tokio::spawn(Shell::start(session(&peer), services(&cloud), None));
    peer.opened.recv().await.expect("opened");
    let strange = Frame { kind: Kind::PausePublication, ..Frame::acknowledge(Bytes::new()) };
    peer.say(Say::Raw(strange.encode())).await;
    peer.say(Say::Raw("nonsense".into())).await;
    let mut unknown = strange.encode().to_vec();
    unknown[4..20].copy_from_slice(b"agent_job       ");
    peer.say(Say::Raw(unknown.into())).await;
    peer.stream(PayloadType::Other(99), "?").await;
    let action = json!({"ActionType": "SessionType", "ActionParameters": {"SessionType": "Standard_Stream"}});
    let request = json!({"AgentVersion": "3.3.0.0", "RequestedClientActions": [action]});
    let first = peer.shake_hands(request.clone()).await;
    assert_eq!(peer.shake_hands(request).await, first);
    peer.complete("").await;
    starting.await.expect("no panic").expect("a shell");
}

#[tokio::test]
async fn a_session_is_terminated_at_the_service() {
    let cloud = Arc::new(Cloud::default());
    let peer = Peer::start(Faults::default()).await;
    peer.stream(PayloadType::Output, "$ ").await;
    let shell = Shell::start(session(&peer), services(&cloud), None).await.expect("a shell");
    assert_eq!(shell.terminate().await, Ok(()));
    assert_eq!(*cloud.terminated.lock().expect("no panic"), 1);
}

#[tokio::test]
async fn a_slow_terminal_loses_nothing() {
    let cloud = Arc::new(Cloud::default());
    let peer = Peer::start(Faults::default()).await;
    let sent = noise(3 << 20);
    let content = sent.clone();
    let say = peer.say.clone();
    let talking = tokio::spawn(async move {
        for piece in content.chunks(1024) {
            say.send(Say::Stream(PayloadType::Output, Bytes::copy_from_slice(piece))).await.expect("a peer");
        }
        say.send(Say::Close(String::new())).await.expect("a peer");
    });
    let mut shell = Shell::start(session(&peer), services(&cloud), None).await.expect("a shell");
    let mut got = Vec::new();
    while let Some(Output::StdOut(bytes)) = shell.next().await {
        got.extend_from_slice(&bytes);
        tokio::task::yield_now().await;
    }
    talking.await.expect("no panic");
    assert_eq!((got.len(), digest(&got)), (sent.len(), digest(&sent)));
    assert_eq!(shell.end().await, Ok(None));
}

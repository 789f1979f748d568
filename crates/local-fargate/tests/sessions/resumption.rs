//! Connections that are lost, and sessions that go on.

use std::time::Duration;

use local_fargate::{Fault, Impairment};
use serde_json::{Value, json};

use crate::api::{call, stand_in, start};
use crate::peer::{Heard, Peer};

async fn resumed(stand_in: &local_fargate::LocalFargate, session: &Value) -> Value {
    let request = json!({"SessionId": session["SessionId"]});
    call(stand_in, "ssm", "ResumeSession", request).await.expect("resumed")
}

#[tokio::test]
async fn a_session_goes_on_over_a_new_connection_and_old_tokens_are_worth_nothing() {
    let stand_in = stand_in(|_| {}).await;
    let session = start(&stand_in, "AWS-StartInteractiveCommand", json!({"command": ["stty -echo; cat"]})).await;
    let mut peer = Peer::open(&session).await;
    peer.send(1, b"before\r").await;
    peer.expect("before\r\n").await;
    stand_in.cut_sessions();
    assert_eq!(peer.hear().await, Heard::Lost);
    // Said into the void: sent again by the new connection.
    peer.send(1, b"between\r").await;
    let invitation = resumed(&stand_in, &session).await;
    assert_ne!(invitation["TokenValue"], session["TokenValue"]);
    assert_eq!(invitation["StreamUrl"], session["StreamUrl"]);
    let mut old = Peer::open(&session).await;
    assert_eq!(old.hear().await, Heard::Lost, "the old token");
    let mut peer = peer.resume(&invitation).await;
    peer.expect("between\r\n").await;
    assert_eq!(stand_in.sessions()[0].connections, 2);
    stand_in.shutdown().await;
}

#[tokio::test]
async fn cuts_come_after_a_time_or_a_number_of_bytes() {
    let mut by_bytes = Impairment::default();
    by_bytes.cut_after_bytes = Some(20_000);
    let mut by_time = Impairment::default();
    by_time.cut_after = Some(Duration::from_millis(1500));
    for impairment in [by_bytes, by_time] {
        let stand_in = stand_in(|config| config.faults = vec![Fault::Impaired(impairment)]).await;
        let session =
            start(&stand_in, "AWS-StartInteractiveCommand", json!({"command": ["seq 1 5000; sleep 600"]})).await;
        let mut peer = Peer::open(&session).await;
        let (mut shown, mut connections) = (String::new(), 1);
        while !shown.contains("5000\r\n") || connections == 1 {
            match peer.hear().await {
                Heard::Data(1, data) => shown.push_str(&String::from_utf8_lossy(&data)),
                Heard::Lost => {
                    connections += 1;
                    peer = peer.resume(&resumed(&stand_in, &session).await).await;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(shown.lines().map(str::to_owned).eq((1..=5000).map(|number: u32| number.to_string())));
        stand_in.shutdown().await;
    }
}

#[tokio::test]
async fn a_session_that_is_over_is_resumed_without_a_token() {
    let stand_in = stand_in(|_| {}).await;
    let session = start(&stand_in, "AWS-StartInteractiveCommand", json!({"command": ["true"]})).await;
    let mut peer = Peer::open(&session).await;
    assert_eq!(peer.hear().await, Heard::Closed(String::new()));
    stand_in.until(|| stand_in.sessions()[0].is_over).await;
    assert_eq!(resumed(&stand_in, &session).await, json!({"SessionId": session["SessionId"]}));
    let unknown = call(&stand_in, "ssm", "ResumeSession", json!({"SessionId": "local-nobody"})).await;
    assert_eq!(unknown, Err("DoesNotExistException".to_owned()));
    stand_in.shutdown().await;
}

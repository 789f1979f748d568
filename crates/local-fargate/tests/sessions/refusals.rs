//! Who is not let in, and what is not started.

use local_fargate::Fault;
use serde_json::{Value, json};

use crate::api::{INSTANCE, call, stand_in, start, task};
use crate::peer::{Heard, Peer, UNSIGNED, frame};

#[tokio::test]
async fn a_connection_needs_the_token_and_newer_clients_a_signature() {
    let stand_in = stand_in(|_| {}).await;
    let session = start(&stand_in, "SSM-SessionManagerRunShell", json!({})).await;
    for (is_forged, version, signed, is_let_in) in [
        (true, UNSIGNED, None, false),
        (false, "1.2.764.0", None, false),
        (false, "1.2.764.0", Some("ssmmessages"), true),
        (false, UNSIGNED, None, true),
    ] {
        let mut session = start(&stand_in, "SSM-SessionManagerRunShell", json!({})).await;
        if is_forged {
            session["TokenValue"] = "forged".into();
        }
        let mut peer = Peer::connect(&session, version, signed).await.expect("a WebSocket");
        if is_let_in {
            peer.send(1, b"echo ok-$((1+1))\r").await;
            peer.expect("ok-2").await;
        } else {
            assert_eq!(peer.hear().await, Heard::Lost, "{version}");
        }
    }
    let wrong = Peer::connect(&session, "1.2.764.0", Some("ssm")).await;
    assert!(wrong.is_err_and(|error| error.contains("403")));
    stand_in.inject(Fault::AccessDenied { action: "ssmmessages:OpenDataChannel".to_owned() });
    let denied = Peer::connect(&session, "1.2.764.0", Some("ssmmessages")).await;
    assert!(denied.is_err_and(|error| error.contains("403")));
    let journal = stand_in.journal();
    let opened: Vec<_> = journal.iter().filter(|call| call.action == "OpenDataChannel").collect();
    assert_eq!(opened.iter().filter(|call| call.error.is_none()).count(), 2);
    assert!(opened.iter().all(|call| !call.request.to_string().contains("local/")), "no token is written down");
    stand_in.shutdown().await;
}

#[tokio::test]
async fn channels_that_are_not_there_and_other_roles_are_refused() {
    let stand_in = stand_in(|_| {}).await;
    let session = start(&stand_in, "SSM-SessionManagerRunShell", json!({})).await;
    let url = session["StreamUrl"].as_str().expect("a URL");
    assert!(url.starts_with("ws://127.0.0.1:") && url.ends_with("?role=publish_subscribe"), "{url}");
    for (from, to, status) in [("publish_subscribe", "subscribe", "400"), ("data-channel/", "data-channel/x", "404")] {
        let elsewhere = json!({"StreamUrl": url.replace(from, to), "TokenValue": session["TokenValue"]});
        let refused = Peer::connect(&elsewhere, UNSIGNED, None).await;
        assert!(refused.is_err_and(|error| error.contains(status)), "{to}");
    }
    stand_in.shutdown().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_clients_frames_is_noticed() {
    let stand_in = stand_in(|_| {}).await;
    let session = start(&stand_in, "SSM-SessionManagerRunShell", json!({})).await;
    let mut peer = Peer::open(&session).await;
    let mut damaged = frame("input_stream_data", 0, 0, 1, b"echo still-$((1+1))\r");
    damaged[80] ^= 1;
    peer.send_raw(frame("input_stream_data", 0, 0, 1, b"")).await;
    peer.send_raw(frame("start_publication", 0, 3, 0, b"{}")).await;
    // The agent may not be ready for the first: it does not look at digests, and takes it when it is.
    let shown = async {
        loop {
            peer.send_raw(damaged.clone()).await;
            if let Heard::Data(1, data) = peer.hear().await
                && String::from_utf8_lossy(&data).contains("still-2")
            {
                return;
            }
        }
    };
    shown.await;
    let noticed = &stand_in.sessions()[0].irregularities;
    for what in ["an illegible message: it has no payload", "the digest is not", "no client sends: StartPublication"] {
        assert!(noticed.iter().any(|known| known.contains(what)), "{what}: {noticed:?}");
    }
    stand_in.shutdown().await;
}

#[tokio::test]
async fn targets_without_an_agent_are_not_connected() {
    let stand_in = stand_in(|_| {}).await;
    let started = |target: &str| call(&stand_in, "ssm", "StartSession", json!({"Target": target}));
    let not_connected = Err("TargetNotConnected".to_owned());
    assert_eq!(started("i-0fedcba9876543210").await, not_connected);
    assert_eq!(started("ecs:default_0123_0123-1").await, not_connected);
    assert_eq!(started("").await, Err("ValidationException".to_owned()));
    let (arn, container) = task(&stand_in).await;
    let runtime_id = container["runtimeId"].as_str().expect("an id");
    let target = format!("ecs:default_{}_{runtime_id}", arn.rsplit('/').next().expect("an id"));
    assert!(started(&target).await.is_ok());
    assert_eq!(started(&target.replace("ecs:default", "ecs:other")).await, not_connected);
    stand_in.inject(Fault::Times { count: 1, fault: Box::new(Fault::AgentNotConnected) });
    assert_eq!(started(INSTANCE).await, not_connected);
    call(&stand_in, "ecs", "StopTask", json!({"task": arn})).await.expect("stopped");
    stand_in.task_stopped(&arn).await;
    assert_eq!(started(&target).await, not_connected);
    stand_in.shutdown().await;
}

#[tokio::test]
async fn ecs_refuses_commands_as_it_does() {
    let stand_in = stand_in(|_| {}).await;
    let (arn, _) = task(&stand_in).await;
    let executed = |change: fn(&mut Value)| {
        let mut request = json!({"task": arn, "command": "true", "interactive": true});
        change(&mut request);
        let call = call(&stand_in, "ecs", "ExecuteCommand", request);
        async { call.await.expect_err("refused") }
    };
    assert_eq!(executed(|request| request["interactive"] = false.into()).await, "InvalidParameterException");
    assert_eq!(executed(|request| request["interactive"] = "yes".into()).await, "SerializationException");
    assert_eq!(executed(|request| request["command"] = "".into()).await, "InvalidParameterException");
    assert_eq!(executed(|request| request["task"] = "0123".into()).await, "InvalidParameterException");
    assert_eq!(executed(|request| request["container"] = "other".into()).await, "InvalidParameterException");
    assert_eq!(executed(|request| request["cluster"] = "other".into()).await, "ClusterNotFoundException");
    stand_in.inject(Fault::Times { count: 1, fault: Box::new(Fault::AgentNotConnected) });
    assert_eq!(executed(|_| {}).await, "TargetNotConnectedException");
    stand_in.inject(Fault::AccessDenied { action: "ecs:ExecuteCommand".to_owned() });
    assert_eq!(executed(|_| {}).await, "AccessDeniedException");
    stand_in.shutdown().await;
}

//! Shells and commands, on an instance and in a task.

use serde_json::json;

use crate::api::{call, stand_in, start, task};
use crate::peer::{Heard, Peer, UNSIGNED};

#[tokio::test]
async fn a_shell_has_a_terminal_of_the_clients_size_and_no_exit_code() {
    let stand_in = stand_in(|_| {}).await;
    let session = start(&stand_in, "SSM-SessionManagerRunShell", json!({})).await;
    let mut peer = Peer::open(&session).await;
    // No handshake: what comes first is output.
    peer.send(3, br#"{"cols":132,"rows":43}"#).await;
    peer.send(1, b"stty size; echo $TERM $LANG; tty\r").await;
    let shown = peer.expect("/dev/pts/").await;
    assert!(shown.contains("43 132") && shown.contains("xterm-256color C.UTF-8"), "{shown:?}");
    peer.send(1, b"exit 7\r").await;
    let closed = loop {
        match peer.hear().await {
            Heard::Data(1, _) => {}
            other => break other,
        }
    };
    assert_eq!(closed, Heard::Closed(String::new()));
    let summary = &stand_in.sessions()[0];
    assert_eq!((summary.is_over, summary.irregularities.as_slice()), (true, &[][..]));
    stand_in.shutdown().await;
}

#[tokio::test]
async fn a_command_of_ecs_runs_in_the_container_without_a_shell() {
    let stand_in = stand_in(|_| {}).await;
    let (arn, container) = task(&stand_in).await;
    let request = json!({"task": arn, "command": "sh -c 'echo $GREETING; read x'", "interactive": true});
    let answer = call(&stand_in, "ecs", "ExecuteCommand", request).await.expect("a session");
    assert_eq!((&answer["containerName"], &answer["containerArn"]), (&json!("main"), &container["containerArn"]));
    let id = answer["session"]["sessionId"].as_str().expect("an id");
    assert!(id.starts_with("ecs-execute-command-"), "{id}");
    let mut peer = Peer::open(&answer["session"]).await;
    peer.expect("hello\r\n").await;
    // What runs beside the first process ends with the container.
    call(&stand_in, "ecs", "StopTask", json!({"task": arn})).await.expect("stopped");
    let heard = peer.hear().await;
    assert!(matches!(heard, Heard::Closed(_)), "{heard:?}");
    stand_in.shutdown().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_is_told_with_the_end() {
    let stand_in = stand_in(|_| {}).await;
    let (arn, _) = task(&stand_in).await;
    let request = json!({"task": arn, "command": "no-such-program", "interactive": true});
    let answer = call(&stand_in, "ecs", "ExecuteCommand", request).await.expect("a session");
    let mut peer = Peer::open(&answer["session"]).await;
    let heard = peer.hear().await;
    let Heard::Closed(output) = heard else { panic!("{heard:?}") };
    assert_eq!(
        output,
        "\n----------ERROR-------\nUnable to start command: Failed to start pty: exec: \"no-such-program\": executable file not found in $PATH\n\n"
    );
    stand_in.shutdown().await;
}

#[tokio::test]
async fn a_command_without_a_terminal_tells_its_output_and_where_asked_its_exit_code() {
    let stand_in = stand_in(|_| {}).await;
    let command = json!({"command": ["echo out; echo err >&2; exit 7"]});
    let session = start(&stand_in, "Local-StartNonInteractiveCommand", command.clone()).await;
    let mut peer = Peer::open(&session).await;
    let asked = peer.shake(UNSIGNED).await;
    let parameters = &asked["RequestedClientActions"][0]["ActionParameters"];
    assert_eq!(*parameters, json!({"SessionType": "NonInteractiveCommands", "Properties": null}));
    let mut heard = vec![peer.hear().await, peer.hear().await];
    heard.sort_by_key(|heard| matches!(heard, Heard::Data(11, _)));
    assert_eq!(heard, [Heard::Data(1, b"out\n".to_vec()), Heard::Data(11, b"err\n".to_vec())]);
    assert_eq!(peer.hear().await, Heard::Data(12, b"EXIT_CODE: 7".to_vec()));
    assert_eq!(peer.hear().await, Heard::Closed(String::new()));

    let session = start(&stand_in, "AWS-StartNonInteractiveCommand", command).await;
    let mut peer = Peer::open(&session).await;
    peer.shake(UNSIGNED).await;
    assert_eq!(peer.hear().await, Heard::Data(1, b"out\nerr\n".to_vec()));
    assert_eq!(peer.hear().await, Heard::Closed(String::new()));
    stand_in.shutdown().await;
}

#[tokio::test]
async fn an_administrator_ends_a_session_and_its_program() {
    let stand_in = stand_in(|_| {}).await;
    let session =
        start(&stand_in, "AWS-StartInteractiveCommand", json!({"command": ["echo $$; exec sleep 600"]})).await;
    let mut peer = Peer::open(&session).await;
    let shown = peer.expect("\r\n").await;
    let process = format!("/proc/{}", shown.trim());
    assert!(std::fs::exists(&process).expect("a process table"), "{process}");
    let request = json!({"SessionId": session["SessionId"]});
    call(&stand_in, "ssm", "TerminateSession", request).await.expect("ended");
    assert_eq!(peer.hear().await, Heard::Closed(String::new()));
    stand_in.shutdown().await;
    assert!(!std::fs::exists(&process).expect("a process table"), "{process} is left");
}

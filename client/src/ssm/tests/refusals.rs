//! Sessions that do not start, or end with words.

use std::sync::Arc;

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::super::payload::PayloadType;
use super::super::port::Ports;
use super::super::shell::Shell;
use super::super::sign::Signer;
use super::peer::{Faults, Peer, Say};
use super::*;
use crate::error::Advice as _;

#[tokio::test]
async fn the_last_words_of_a_session_are_its_error() {
    let cases = [
        ("Your session timed out due to inactivity and has been terminated.", "nobody used it"),
        ("The session was terminated by an administrator.", "was terminated"),
        ("Plugin with name Standard_Stream not found", "the session has ended: Plugin"),
    ];
    for (words, expected) in cases {
        let cloud = Arc::new(Cloud::default());
        let peer = Peer::start(Faults::default()).await;
        peer.stream(PayloadType::Output, "$ ").await;
        let shell = Shell::start(session(&peer), services(&cloud), None).await.expect("a shell");
        peer.say(Say::Close(words.to_owned())).await;
        let error = shell.end().await.expect_err("words");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn a_port_that_refuses_at_the_start_is_the_error_of_the_start() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults::default()).await;
    let starting = tokio::spawn(Ports::start(session(&peer), services(&cloud)));
    let properties = json!({"portNumber": "81", "type": "LocalPortForwarding"});
    let action =
        json!({"ActionType": "SessionType", "ActionParameters": {"SessionType": "Port", "Properties": properties}});
    peer.shake_hands(json!({"AgentVersion": "3.3.0.0", "RequestedClientActions": [action]})).await;
    peer.say(Say::Close("Unable to connect to specified port: connection refused".to_owned())).await;
    let error = starting.await.expect("no panic").expect_err("refused");
    assert!(matches!(error, SsmError::PortRefused { .. }), "{error}");
}

#[tokio::test]
async fn a_session_of_another_kind_is_ended() {
    let cloud = Arc::new(Cloud::default());
    let peer = Peer::start(Faults::default()).await;
    peer.stream(PayloadType::Output, "$ ").await;
    let error = Ports::start(session(&peer), services(&cloud)).await.expect_err("a shell");
    assert_eq!(error, SsmError::WrongKind { wanted: "Port", got: "Standard_Stream".to_owned() });
    assert_eq!(*cloud.terminated.lock().expect("no panic"), 1);
}

#[tokio::test]
async fn a_door_that_stays_shut_is_knocked_at_once_and_one_that_falters_again() {
    let cloud = Arc::new(Cloud::default());
    let peer = Peer::start(Faults::default()).await;
    peer.say(Say::Refuse(403, 1)).await;
    let error = Shell::start(session(&peer), services(&cloud), None).await.expect_err("refused");
    assert!(matches!(&error, SsmError::Refused { status: 403, words, .. } if words == "not you"), "{error:?}");
    assert!(error.hints()[0].contains("ssmmessages:OpenDataChannel"));
    peer.say(Say::Refuse(503, 2)).await;
    peer.stream(PayloadType::Output, "$ ").await;
    Shell::start(session(&peer), services(&cloud), None).await.expect("a shell");
}

#[tokio::test]
async fn the_request_is_signed_when_there_are_credentials() {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults::default()).await;
    peer.stream(PayloadType::Output, "$ ").await;
    let keys = Credentials::new("AKIDTEST", "secret", None, None, "test");
    let config = SdkConfig::builder()
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(keys))
        .build();
    let services = Services { signer: Signer::new(&config), ..services(&cloud) };
    let _shell = Shell::start(session(&peer), services, None).await.expect("a shell");
    let authorization = peer.opened.recv().await.expect("opened").authorization.expect("a signature");
    let scope = "/eu-west-1/ssmmessages/aws4_request, SignedHeaders=host;x-amz-date, Signature=";
    assert!(authorization.contains(scope), "{authorization}");
}

#[tokio::test]
async fn an_address_where_nobody_is_is_named() {
    let cloud = Arc::new(Cloud::default());
    let peer = Peer::start(Faults::default()).await;
    let lost = session(&peer);
    drop(peer);
    let error = Shell::start(lost, services(&cloud), None).await.expect_err("nobody");
    assert!(matches!(&error, SsmError::Unreachable { host, .. } if host == "127.0.0.1"), "{error:?}");
}

#[tokio::test]
async fn what_speaks_no_tls_is_no_gateway() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let answering = tokio::spawn(async move {
        let mut hello = [0; 3];
        loop {
            let (mut tcp, _) = listener.accept().await.expect("a connection");
            tcp.read_exact(&mut hello).await.expect("a greeting");
            assert_eq!(hello[..2], [22, 3], "a TLS handshake");
            tcp.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("written");
        }
    });
    let cloud = Arc::new(Cloud::default());
    let peer = Peer::start(Faults::default()).await;
    let elsewhere = Session { stream_url: format!("wss://{address}/v1/data-channel/x"), ..session(&peer) };
    let error = Shell::start(elsewhere, services(&cloud), None).await.expect_err("no TLS");
    assert!(matches!(&error, SsmError::Unreachable { cause, .. } if cause.contains("corrupt")), "{error:?}");
    answering.abort();
}

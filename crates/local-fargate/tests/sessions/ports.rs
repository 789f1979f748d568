//! Port sessions: one connection, many, and those that cannot be had.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::api::{call, stand_in, start, task};
use crate::peer::{Heard, Peer, UNSIGNED};

/// A listener that gives back what it gets, on every connection, until the other end closes.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = connection.split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    port
}

/// A port that nobody listens on.
async fn nobody() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    listener.local_addr().expect("an address").port()
}

fn to(port: u16) -> Value {
    json!({"portNumber": [port.to_string()]})
}

/// smux: version, command, length, id, data.
fn smux(command: u8, id: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("a length").to_le_bytes();
    [&[1, command], &length[..], &id.to_le_bytes(), data].concat()
}

/// Output until there are so many bytes of it.
async fn output(peer: &mut Peer, bytes: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < bytes {
        all.extend(peer.data(1).await);
    }
    all
}

#[tokio::test]
async fn an_ssh_session_is_one_connection_and_ends_with_it() {
    let stand_in = stand_in(|_| {}).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let session = start(&stand_in, "AWS-StartSSHSession", to(port)).await;
    let mut peer = Peer::open(&session).await;
    let asked = peer.shake(UNSIGNED).await;
    let (mut server, _) = listener.accept().await.expect("the agent dials");
    let action = &asked["RequestedClientActions"][0];
    assert_eq!(
        (&action["ActionType"], &action["ActionParameters"]["SessionType"]),
        (&json!("SessionType"), &json!("Port"))
    );
    assert_eq!(action["ActionParameters"]["Properties"]["portNumber"], port.to_string());
    assert_eq!(asked["RequestedClientActions"].as_array().map(Vec::len), Some(1), "port sessions are not encrypted");
    peer.send(1, b"ping").await;
    let mut said = [0; 4];
    server.read_exact(&mut said).await.expect("what the client said");
    assert_eq!(&said, b"ping");
    server.write_all(b"pong").await.expect("written");
    assert_eq!(peer.hear().await, Heard::Data(1, b"pong".to_vec()));
    drop(server);
    assert_eq!(peer.hear().await, Heard::Closed(String::new()));
    let summary = &stand_in.sessions()[0];
    assert_eq!((summary.session_type.as_str(), summary.irregularities.as_slice()), ("Port", &[][..]));
    stand_in.shutdown().await;
}

#[tokio::test]
async fn many_connections_share_a_session_inside_of_smux() {
    let stand_in = stand_in(|_| {}).await;
    let session = start(&stand_in, "AWS-StartPortForwardingSession", to(echo().await)).await;
    let mut peer = Peer::open(&session).await;
    peer.shake(UNSIGNED).await;
    // Messages and smux frames have different borders.
    let both = [smux(0, 3, b""), smux(2, 3, b"three"), smux(0, 5, b""), smux(2, 5, b"fives")].concat();
    peer.send(1, &both[..11]).await;
    peer.send(1, &both[11..]).await;
    let answered = output(&mut peer, 26).await;
    let (three, five) = (smux(2, 3, b"three"), smux(2, 5, b"fives"));
    assert!(answered == [&three[..], &five].concat() || answered == [&five[..], &three].concat(), "{answered:?}");
    peer.send(1, &smux(1, 3, b"")).await;
    assert_eq!(output(&mut peer, 8).await, smux(1, 3, b""));
    peer.send(1, &smux(2, 3, b"to nobody")).await;
    peer.send(1, &smux(2, 5, b"still")).await;
    assert_eq!(output(&mut peer, 13).await, smux(2, 5, b"still"));
    // TerminateSession.
    peer.send(10, &2_u32.to_be_bytes()).await;
    assert_eq!(peer.hear().await, Heard::Closed(String::new()));
    stand_in.shutdown().await;
}

#[tokio::test]
async fn a_port_that_cannot_be_reached_ends_the_stream_or_the_session() {
    let stand_in = stand_in(|_| {}).await;
    let document = "AWS-StartPortForwardingSessionToRemoteHost";
    let parameters = json!({"host": ["localhost"], "portNumber": [nobody().await.to_string()]});
    let session = start(&stand_in, document, parameters).await;
    let mut peer = Peer::open(&session).await;
    peer.shake(UNSIGNED).await;
    peer.send(1, &smux(0, 3, b"")).await;
    assert_eq!(peer.hear().await, Heard::Data(10, 3_u32.to_be_bytes().to_vec()), "ConnectToPortError");
    assert_eq!(output(&mut peer, 8).await, smux(1, 3, b""));
    // Hosts are looked at before anything is connected.
    let session = start(&stand_in, document, json!({"host": ["169.254.169.254"], "portNumber": ["80"]})).await;
    let mut peer = Peer::open(&session).await;
    peer.shake(UNSIGNED).await;
    let told = "Forwarding to IP address 169.254.169.254 is forbidden.".to_owned();
    assert_eq!(peer.hear().await, Heard::Closed(told));
    let session = start(&stand_in, "AWS-StartSSHSession", to(nobody().await)).await;
    let mut peer = Peer::open(&session).await;
    peer.shake(UNSIGNED).await;
    let Heard::Closed(output) = peer.hear().await else { panic!("the session goes on") };
    assert!(output.starts_with("Unable to connect to specified port: dial tcp 127.0.0.1:"), "{output}");
    assert!(output.ends_with(": connect: connection refused"), "{output}");
    stand_in.shutdown().await;
}

#[tokio::test]
async fn an_old_client_has_one_connection_at_a_time_and_dials_again_with_the_next_data() {
    let stand_in = stand_in(|_| {}).await;
    let session = start(&stand_in, "AWS-StartPortForwardingSession", to(echo().await)).await;
    let mut peer = Peer::connect(&session, "1.1.69.0", None).await.expect("a connection");
    peer.shake("1.1.69.0").await;
    for word in ["first", "again"] {
        peer.send(1, word.as_bytes()).await;
        assert_eq!(output(&mut peer, 5).await, word.as_bytes());
        // DisconnectToPort.
        peer.send(10, &1_u32.to_be_bytes()).await;
    }
    stand_in.shutdown().await;
}

#[tokio::test]
async fn what_comes_before_the_end_of_the_handshake_is_acknowledged_and_lost() {
    let stand_in = stand_in(|_| {}).await;
    let session = start(&stand_in, "AWS-StartSSHSession", to(echo().await)).await;
    let mut peer = Peer::open(&session).await;
    peer.send(1, b"too early").await;
    let Heard::Data(5, _) = peer.hear().await else { panic!("no handshake") };
    peer.until_acknowledged().await;
    let done = json!([{"ActionType": "SessionType", "ActionStatus": 1, "ActionResult": null, "Error": ""}]);
    peer.send(6, json!({"ClientVersion": UNSIGNED, "ProcessedClientActions": done}).to_string().as_bytes()).await;
    assert!(matches!(peer.hear().await, Heard::Data(7, _)));
    peer.send(1, b"in time").await;
    // If the agent is not ready yet, it does not acknowledge, and this is sent again.
    assert_eq!(output(&mut peer, 7).await, b"in time");
    stand_in.shutdown().await;
}

#[tokio::test]
async fn a_tasks_own_port_is_reached_under_its_address() {
    let stand_in = stand_in(|_| {}).await;
    let (arn, container) = task(&stand_in).await;
    let address = stand_in.tasks()[0].address.clone().expect("an address");
    let listener = TcpListener::bind((address.as_str(), 0)).await.expect("a port of the task's");
    let port = listener.local_addr().expect("an address").port();
    let (cluster_and_task, runtime_id) = (arn.rsplit('/').next().expect("an id"), &container["runtimeId"]);
    let target = format!("ecs:default_{cluster_and_task}_{}", runtime_id.as_str().expect("an id"));
    let request = json!({"Target": target, "DocumentName": "AWS-StartSSHSession", "Parameters": to(port)});
    let session = call(&stand_in, "ssm", "StartSession", request).await.expect("a session");
    let mut peer = Peer::open(&session).await;
    peer.shake(UNSIGNED).await;
    let (mut server, _) = listener.accept().await.expect("the agent dials");
    server.write_all(b"SSH-2.0-x\r\n").await.expect("written");
    peer.expect("SSH-2.0-x\r\n").await;
    stand_in.shutdown().await;
}

//! Networks that lose, repeat and shuffle, services that pause and give up: a session comes through, or ends with a reason.

use std::time::Duration;

use local_fargate::{Fault, Impairment, LocalFargate};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;

use crate::api::{stand_in, start};
use crate::peer::{Heard, Peer, UNSIGNED};

async fn impaired(impair: impl FnOnce(&mut Impairment)) -> LocalFargate {
    let mut impairment = Impairment::default();
    impair(&mut impairment);
    stand_in(|config| {
        config.seed = 7;
        config.faults = vec![Fault::Impaired(impairment)];
    })
    .await
}

/// Has a server say so many lines, and compares them with what arrives.
async fn download(stand_in: &LocalFargate) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port().to_string();
    let session = start(stand_in, "AWS-StartSSHSession", json!({"portNumber": [port]})).await;
    let mut peer = Peer::open(&session).await;
    peer.shake(UNSIGNED).await;
    let expected: String = (1..=20_000).map(|number| format!("{number}\n")).collect();
    let said = expected.clone();
    let (mut server, _) = listener.accept().await.expect("the agent dials");
    let saying = tokio::spawn(async move {
        server.write_all(said.as_bytes()).await.expect("taken");
        server
    });
    let mut all = Vec::new();
    while all.len() < expected.len() {
        all.extend(peer.data(1).await);
    }
    assert_eq!((all.len(), Sha256::digest(&all)), (expected.len(), Sha256::digest(&expected)));
    drop(saying.await.expect("said"));
    assert_eq!(stand_in.sessions()[0].irregularities, Vec::<String>::new());
}

#[tokio::test]
async fn everything_arrives_in_order_over_a_network_that_loses_repeats_and_shuffles() {
    let stand_in = impaired(|network| {
        network.lost_per_mille = 20;
        network.duplicated_per_mille = 50;
        network.reordered_per_mille = 50;
        network.delay = Duration::from_millis(2);
    })
    .await;
    download(&stand_in).await;
    stand_in.shutdown().await;
}

#[tokio::test]
async fn an_agent_that_does_not_heed_acknowledgements_goes_on_all_the_same() {
    let stand_in = impaired(|network| network.unheeded_per_mille = 100).await;
    download(&stand_in).await;
    stand_in.shutdown().await;
}

#[tokio::test]
async fn pauses_of_the_service_hold_things_up_and_lose_nothing() {
    let stand_in = impaired(|network| network.pause_every = Some(Duration::from_millis(40))).await;
    download(&stand_in).await;
    stand_in.shutdown().await;
}

#[tokio::test]
async fn a_session_on_which_nothing_passes_is_closed() {
    let stand_in = impaired(|network| network.idle_close = Some(Duration::from_millis(500))).await;
    let session = start(&stand_in, "AWS-StartInteractiveCommand", json!({"command": ["sleep 600"]})).await;
    let mut peer = Peer::open(&session).await;
    let Heard::Closed(output) = peer.hear().await else { panic!("it says something") };
    assert!(output.contains("timed out due to inactivity"), "{output}");
    stand_in.shutdown().await;
}

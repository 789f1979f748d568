//! Sessions under a key of KMS.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::encryption::Cipher;
use super::super::payload::PayloadType;
use super::super::shell::{Output, Shell};
use super::peer::{Faults, Peer, Say};
use super::*;

/// The agent's end of the key: its halves the other way round.
fn agent() -> Cipher {
    let key = key();
    Cipher::new(&[&key[32..], &key[..32]].concat()).expect("a key")
}

fn request(challenge: Option<&str>) -> Value {
    let mut parameters = json!({"KMSKeyId": "alias/sessions"});
    if let Some(challenge) = challenge {
        parameters["Challenge"] = challenge.into();
    }
    json!({"AgentVersion": "3.3.987.0", "RequestedClientActions": [
        {"ActionType": "SessionType", "ActionParameters": {"SessionType": "Standard_Stream", "Properties": null}},
        {"ActionType": "KMSEncryption", "ActionParameters": parameters},
    ]})
}

async fn talk(challenge: Option<&str>) {
    let cloud = Arc::new(Cloud::default());
    let mut peer = Peer::start(Faults::default()).await;
    let starting = tokio::spawn(Shell::start(session(&peer), services(&cloud), None));
    let answer = peer.shake_hands(request(challenge)).await;
    let result = &answer["ProcessedClientActions"][1]["ActionResult"];
    assert_eq!(result["KMSCipherTextKey"], STANDARD.encode("wrapped"));
    assert_eq!(result.get("ChallengeAcknowledgement"), challenge.map(|_| &Value::Bool(true)));

    let sealed = agent().seal(&[9; 64]).expect("sealed");
    let challenged = json!({"Challenge": STANDARD.encode(&sealed)});
    peer.stream(PayloadType::EncChallengeRequest, challenged.to_string()).await;
    let (payload_type, payload) = peer.heard().await;
    assert_eq!(payload_type, PayloadType::EncChallengeResponse);
    let response: Value = serde_json::from_slice(&payload).expect("JSON");
    let response = STANDARD.decode(response["Challenge"].as_str().expect("text")).expect("Base64");
    assert_eq!(response.len(), 92);
    assert_eq!(agent().open(&response).as_deref(), Ok(&[9; 64][..]));
    peer.complete("").await;

    let mut shell = starting.await.expect("no panic").expect("a shell");
    shell.input().send(Bytes::from(vec![b'a'; 1500])).await.expect("typed");
    let mut typed = Vec::new();
    while typed.len() < 1500 {
        let (_, payload) = peer.heard().await;
        typed.extend_from_slice(&agent().open(&payload).expect("sealed by the client"));
    }
    assert_eq!(typed, vec![b'a'; 1500]);
    peer.stream(PayloadType::Output, agent().seal(b"secret").expect("sealed")).await;
    assert_eq!(shell.next().await, Some(Output::StdOut("secret".into())));
    peer.say(Say::Cut).await;
    shell.input().resize(1, 2).await.expect("resized");
    assert_eq!(peer.heard_any().await.0, PayloadType::Size, "what is not content stays in clear, over a cut too");

    let asked = cloud.asked.lock().expect("no panic").clone();
    let context: Vec<_> = asked[0].context.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let mut expected = vec![("aws:ssm:SessionId", "me-0a1b"), ("aws:ssm:TargetId", "ecs:shop_1_2")];
    expected.extend(challenge.map(|challenge| ("aws:ssm:RandomChallenge", challenge)));
    assert_eq!((asked.len(), asked[0].key_id.as_str(), context), (1, "alias/sessions", expected));

    peer.stream(PayloadType::Output, "in clear, and long enough to be taken for sealed").await;
    let ended = shell.end().await;
    assert!(matches!(ended, Err(SsmError::Encryption { .. })), "{ended:?}");
    assert_eq!(*cloud.terminated.lock().expect("no panic"), 1);
}

#[tokio::test]
async fn a_session_is_encrypted_with_the_random_challenge() {
    talk(Some("Y2hhbGxlbmdlMTIzNDU2Nw==")).await;
}

#[tokio::test]
async fn a_session_is_encrypted_without_the_random_challenge() {
    talk(None).await;
}

#[tokio::test]
async fn who_may_not_use_the_key_is_told_so() {
    let cloud = Arc::new(Cloud::default());
    let denied = refused("kms:GenerateDataKey", "AccessDeniedException");
    *cloud.key.lock().expect("no panic") = Some(denied.clone());
    let mut peer = Peer::start(Faults::default()).await;
    let starting = tokio::spawn(Shell::start(session(&peer), services(&cloud), None));
    let answer = peer.shake_hands(request(None)).await;
    assert_eq!(answer["ProcessedClientActions"][1]["ActionStatus"], 2);
    peer.say(Say::Close("Handshake failed".to_owned())).await;
    let error = starting.await.expect("no panic").expect_err("no key");
    assert_eq!(error, SsmError::DataKey { key_id: "alias/sessions".to_owned(), error: denied });
}

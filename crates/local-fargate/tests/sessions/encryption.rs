//! Sessions under a key of KMS's.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use local_fargate::{Fault, LocalFargate};
use serde_json::{Value, json};

use crate::api::{INSTANCE, call, stand_in, start};
use crate::peer::{Heard, Peer, UNSIGNED};

/// The client's halves: the first opens, the second seals.
struct Keys {
    opens: LessSafeKey,
    seals: LessSafeKey,
}

impl Keys {
    fn new(bytes: &[u8]) -> Self {
        let key = |half: &[u8]| LessSafeKey::new(UnboundKey::new(&AES_256_GCM, half).expect("32 bytes"));
        Self { opens: key(&bytes[..32]), seals: key(&bytes[32..]) }
    }

    fn open(&self, sealed: &[u8]) -> Vec<u8> {
        let (nonce, text) = sealed.split_at(NONCE_LEN);
        let nonce = Nonce::try_assume_unique_for_key(nonce).expect("12 bytes");
        let mut text = text.to_vec();
        self.opens.open_in_place(nonce, Aad::empty(), &mut text).expect("sealed with the first half").to_vec()
    }

    fn seal(&self, plain: &[u8], number: u8) -> Vec<u8> {
        let (nonce, mut text) = ([number; NONCE_LEN], plain.to_vec());
        let unique = Nonce::assume_unique_for_key(nonce);
        self.seals.seal_in_place_append_tag(unique, Aad::empty(), &mut text).expect("sealed");
        [&nonce[..], &text].concat()
    }
}

async fn encrypted() -> LocalFargate {
    stand_in(|config| config.session_key = Some("alias/sessions".to_owned())).await
}

/// GenerateDataKey for a session, and the answer to the agent's request.
async fn response(stand_in: &LocalFargate, session: &Value, request: &Value, with_challenge: bool) -> (Value, Vec<u8>) {
    let action = &request["RequestedClientActions"][1];
    assert_eq!(action["ActionType"], "KMSEncryption", "{request}");
    let parameters = &action["ActionParameters"];
    let mut context = json!({"aws:ssm:SessionId": session["SessionId"], "aws:ssm:TargetId": INSTANCE});
    let mut result = json!({"KMSCipherTextHash": null});
    if with_challenge {
        context["aws:ssm:RandomChallenge"] = parameters["Challenge"].clone();
        result["ChallengeAcknowledgement"] = true.into();
    }
    let generation = json!({"KeyId": parameters["KMSKeyId"], "NumberOfBytes": 64, "EncryptionContext": context});
    let generated = call(stand_in, "kms", "GenerateDataKey", generation).await.expect("a key");
    result["KMSCipherTextKey"] = generated["CiphertextBlob"].clone();
    let done = json!([
        {"ActionType": "SessionType", "ActionStatus": 1, "ActionResult": null, "Error": ""},
        {"ActionType": "KMSEncryption", "ActionStatus": 1, "ActionResult": result, "Error": ""},
    ]);
    let key = BASE64_STANDARD.decode(generated["Plaintext"].as_str().expect("a key")).expect("base64");
    (json!({"ClientVersion": UNSIGNED, "ProcessedClientActions": done, "Errors": null}), key)
}

async fn asked(peer: &mut Peer) -> Value {
    serde_json::from_slice(&peer.data(5).await).expect("JSON")
}

#[tokio::test]
async fn a_shell_is_encrypted_both_ways_with_and_without_a_challenge_in_the_context() {
    for with_challenge in [false, true] {
        let stand_in = encrypted().await;
        let session =
            start(&stand_in, "AWS-StartInteractiveCommand", json!({"command": ["read x; echo got $x"]})).await;
        let mut peer = Peer::open(&session).await;
        let request = asked(&mut peer).await;
        let (answer, key) = response(&stand_in, &session, &request, with_challenge).await;
        let keys = Keys::new(&key);
        peer.send(6, answer.to_string().as_bytes()).await;
        let Heard::Data(8, challenge) = peer.hear().await else { panic!("no challenge") };
        let challenge: Value = serde_json::from_slice(&challenge).expect("JSON");
        let sealed = BASE64_STANDARD.decode(challenge["Challenge"].as_str().expect("a text")).expect("base64");
        assert_eq!(sealed.len(), 92);
        let proof = BASE64_STANDARD.encode(keys.seal(&keys.open(&sealed), 1));
        peer.send(9, json!({"Challenge": proof}).to_string().as_bytes()).await;
        assert!(matches!(peer.hear().await, Heard::Data(7, _)));
        peer.send(1, &keys.seal(b"through\r", 2)).await;
        let mut shown = String::new();
        while !shown.contains("got through") {
            let Heard::Data(1, data) = peer.hear().await else { panic!("after {shown:?}") };
            shown.push_str(&String::from_utf8_lossy(&keys.open(&data)));
        }
        stand_in.shutdown().await;
    }
}

#[tokio::test]
async fn an_agent_without_the_permission_says_so_at_the_end() {
    let stand_in = encrypted().await;
    stand_in.inject(Fault::AccessDenied { action: "kms:Decrypt".to_owned() });
    let session = start(&stand_in, "SSM-SessionManagerRunShell", json!({})).await;
    let mut peer = Peer::open(&session).await;
    let request = asked(&mut peer).await;
    let (answer, _) = response(&stand_in, &session, &request, false).await;
    peer.send(6, answer.to_string().as_bytes()).await;
    let Heard::Closed(output) = peer.hear().await else { panic!("it goes on") };
    assert!(output.contains("AccessDeniedException") && output.contains("kms:Decrypt"), "{output}");
    stand_in.shutdown().await;
}

#[tokio::test]
async fn another_context_does_not_open_the_key_and_another_key_is_not_the_proof() {
    let stand_in = encrypted().await;
    let session = start(&stand_in, "SSM-SessionManagerRunShell", json!({})).await;
    let mut peer = Peer::open(&session).await;
    let request = asked(&mut peer).await;
    let elsewhere = json!({"SessionId": "local-another"});
    let (answer, _) = response(&stand_in, &elsewhere, &request, false).await;
    peer.send(6, answer.to_string().as_bytes()).await;
    let Heard::Closed(output) = peer.hear().await else { panic!("it goes on") };
    assert!(output.contains("InvalidCiphertextException"), "{output}");

    let session = start(&stand_in, "SSM-SessionManagerRunShell", json!({})).await;
    let mut peer = Peer::open(&session).await;
    let request = asked(&mut peer).await;
    let (answer, key) = response(&stand_in, &session, &request, false).await;
    peer.send(6, answer.to_string().as_bytes()).await;
    assert!(matches!(peer.hear().await, Heard::Data(8, _)));
    let proof = BASE64_STANDARD.encode(Keys::new(&key).seal(&[0; 64], 1));
    peer.send(9, json!({"Challenge": proof}).to_string().as_bytes()).await;
    let Heard::Closed(output) = peer.hear().await else { panic!("it goes on") };
    let told = "\n----------ERROR-------\nEncountered error while initiating handshake. Encryption challenge failed";
    assert!(output.starts_with(told), "{output}");
    stand_in.shutdown().await;
}

#[tokio::test]
async fn kms_opens_what_it_sealed_for_those_who_name_the_context() {
    let stand_in = encrypted().await;
    let context = json!({"a": "1", "b": "2"});
    let request = json!({"KeyId": "alias/sessions", "NumberOfBytes": 64, "EncryptionContext": context});
    let generated = call(&stand_in, "kms", "GenerateDataKey", request).await.expect("a key");
    let open = |context: Value| {
        let request = json!({"CiphertextBlob": generated["CiphertextBlob"], "EncryptionContext": context});
        call(&stand_in, "kms", "Decrypt", request)
    };
    let opened = open(json!({"b": "2", "a": "1"})).await.expect("opened");
    assert_eq!(opened["Plaintext"], generated["Plaintext"]);
    assert_eq!(open(json!({"a": "1"})).await, Err("InvalidCiphertextException".to_owned()));
    let unknown = json!({"KeyId": "alias/nobody", "NumberOfBytes": 64});
    assert_eq!(call(&stand_in, "kms", "GenerateDataKey", unknown).await, Err("NotFoundException".to_owned()));
    let both = json!({"KeyId": "alias/sessions", "NumberOfBytes": 64, "KeySpec": "AES_256"});
    assert_eq!(call(&stand_in, "kms", "GenerateDataKey", both).await, Err("ValidationException".to_owned()));
    stand_in.shutdown().await;
}

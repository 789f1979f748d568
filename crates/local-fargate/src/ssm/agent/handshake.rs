//! The handshake of an agent: what kind of session it is, what key it is sealed with, and who the client is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::encryption::Cipher;
use super::talk::Talk;
use super::{Order, Work, words};
use crate::draw::Draw;
use crate::kms;
use crate::ssm::frame::Frame;
use crate::ssm::payload::{self, HandshakeResponse, Processed};
use crate::state::Shared;

/// How long the client has for each answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the work waits behind the end of the handshake: clients that have just heard of it are not yet ready for data.
const SETTLING: Duration = Duration::from_millis(10);
/// Bytes of the challenge that proves the key.
const CHALLENGE: usize = 64;
/// Bytes of the challenge that goes into the encryption context.
const CONTEXT_CHALLENGE: usize = 16;
/// Status of an action that was done.
const SUCCESS: i64 = 1;

/// Where answers to the handshake come from.
pub(super) type Responses = mpsc::Receiver<Frame>;

/// Port sessions always shake hands, commands without a terminal too, and shells when they are encrypted.
pub(super) fn is_needed(order: &Order) -> bool {
    matches!(order.work, Work::Port(_) | Work::NonInteractive { .. }) || is_encrypted(order)
}

/// Port sessions never are.
fn is_encrypted(order: &Order) -> bool {
    order.kms_key.is_some() && !matches!(order.work, Work::Port(_))
}

/// Shakes hands where that is needed; answers the client's version, or what the user is told (amazon-ssm-agent,
/// `agent/session/plugins/sessionplugin/sessionplugin.go`).
pub(super) async fn shake(
    shared: &Arc<Shared>,
    order: &Order,
    talk: &Talk,
    responses: Responses,
) -> Result<String, String> {
    if !is_needed(order) {
        return Ok(String::new());
    }
    let shaken = negotiate(shared, order, talk, responses).await;
    shaken.map_err(|error| words::titled(&format!("Encountered error while initiating handshake. {error}")))
}

async fn negotiate(
    shared: &Arc<Shared>,
    order: &Order,
    talk: &Talk,
    mut responses: Responses,
) -> Result<String, String> {
    let began = Instant::now();
    let mut draw = Draw::new(rand::random(), 0);
    let agents = &shared.config.agents;
    let challenge = BASE64_STANDARD.encode(draw.bytes::<CONTEXT_CHALLENGE>());
    let mut actions = vec![json!({
        "ActionType": "SessionType",
        "ActionParameters": {"SessionType": order.work.session_type(), "Properties": order.work.properties()},
    })];
    if let Some(key) = order.kms_key.as_ref().filter(|_| is_encrypted(order)) {
        let parameters = json!({"KMSKeyId": key, "Challenge": challenge});
        actions.push(json!({"ActionType": "KMSEncryption", "ActionParameters": parameters}));
    }
    let request = json!({"AgentVersion": agents.version, "RequestedClientActions": actions});
    talk.send(payload::HANDSHAKE_REQUEST, request.to_string().into()).await;
    let response = answer(&mut responses, payload::HANDSHAKE_RESPONSE).await?;
    let response: HandshakeResponse = serde_json::from_slice(&response.payload)
        .map_err(|_| "Handshake failed: the response is not understood.".to_owned())?;
    check(&response, "SessionType")?;
    if is_encrypted(order) {
        let processed = check(&response, "KMSEncryption")?;
        encrypt(shared, order, talk, processed, &challenge)?;
        prove(talk, &mut responses, &mut draw).await?;
    }
    let complete = json!({
        "HandshakeTimeToComplete": u64::try_from(began.elapsed().as_nanos()).unwrap_or(u64::MAX),
        "CustomerMessage": agents.customer_message,
    });
    talk.send(payload::HANDSHAKE_COMPLETE, complete.to_string().into()).await;
    // Until here what else came was thrown away.
    tokio::time::sleep(agents.completes_late).await;
    talk.handshake_done();
    tokio::time::sleep(SETTLING).await;
    Ok(response.client_version)
}

async fn answer(responses: &mut Responses, payload_type: u32) -> Result<Frame, String> {
    let awaited = async {
        loop {
            match responses.recv().await {
                Some(frame) if frame.payload_type == payload_type => return frame,
                Some(_) => {}
                // The conversation ends with the work, not before it.
                None => std::future::pending().await,
            }
        }
    };
    tokio::time::timeout(PATIENCE, awaited).await.map_err(|_| {
        "Handshake timed out. Please ensure that you have the latest version of the session manager plugin.".to_owned()
    })
}

/// The action, if the client did it.
fn check<'a>(response: &'a HandshakeResponse, action: &str) -> Result<&'a Processed, String> {
    let processed = response.processed_client_actions.iter().find(|processed| processed.action_type == action);
    match processed {
        Some(processed) if processed.action_status == SUCCESS => Ok(processed),
        Some(Processed { action_status, error, .. }) => {
            Err(format!("{action} failed on client with status {action_status} error: {error}"))
        }
        None => {
            let told = response.errors.iter().flatten().map(String::as_str).collect::<Vec<_>>();
            Err(format!("{action} was not processed by the client: {}", told.join(", ")))
        }
    }
}

/// Has KMS open the key that the client got from it.
fn encrypt(
    shared: &Arc<Shared>,
    order: &Order,
    talk: &Talk,
    processed: &Processed,
    challenge: &str,
) -> Result<(), String> {
    let result = &processed.action_result;
    let proves = result.get("ChallengeAcknowledgement").and_then(Value::as_bool).unwrap_or_default();
    if shared.config.agents.requires_challenge && !proves {
        return Err("The client does not answer the challenge in its request to KMS, which this agent requires.".into());
    }
    let mut context = BTreeMap::from([
        ("aws:ssm:SessionId".to_owned(), order.session_id.clone()),
        ("aws:ssm:TargetId".to_owned(), order.target.clone()),
    ]);
    if proves {
        context.insert("aws:ssm:RandomChallenge".to_owned(), challenge.to_owned());
    }
    let blob = result.get("KMSCipherTextKey").and_then(Value::as_str).unwrap_or_default();
    let keys = kms::decrypt_for_agent(shared, blob, &context).map_err(|error| {
        format!("Fetching data key failed: Unable to retrieve data key, Error when decrypting data key {error}")
    })?;
    let cipher = Cipher::new(&keys, &mut Draw::new(rand::random(), 0))
        .ok_or("Fetching data key failed: the key is not 64 bytes long.")?;
    talk.encrypt(cipher);
    Ok(())
}

/// Has the client prove that it has the key.
async fn prove(talk: &Talk, responses: &mut Responses, draw: &mut Draw) -> Result<(), String> {
    let failed = || "Encryption challenge failed: the client has another key.".to_owned();
    let challenge = draw.bytes::<CHALLENGE>();
    let sealed = talk.cipher().ok_or_else(failed)?.seal(&challenge);
    let request = json!({"Challenge": BASE64_STANDARD.encode(sealed)});
    talk.send(payload::CHALLENGE_REQUEST, request.to_string().into()).await;
    let answered = answer(responses, payload::CHALLENGE_RESPONSE).await?;
    let answered: Value = serde_json::from_slice(&answered.payload).map_err(|_| failed())?;
    let sealed = answered.get("Challenge").and_then(Value::as_str).and_then(|text| BASE64_STANDARD.decode(text).ok());
    let opened = sealed.and_then(|sealed| talk.cipher()?.open(&sealed));
    if opened.as_deref() == Some(&challenge[..]) { Ok(()) } else { Err(failed()) }
}

/// Whether a version of dotted numbers is at least another one.
pub(crate) fn is_at_least(version: &str, least: &[u64]) -> bool {
    let numbers: Vec<u64> = version.split('.').map(|number| number.parse().unwrap_or_default()).collect();
    let padded =
        |numbers: &[u64]| (0..4).map(|index| numbers.get(index).copied().unwrap_or_default()).collect::<Vec<_>>();
    padded(&numbers) >= padded(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_number() {
        assert!(is_at_least("1.1.70.0", &[1, 1, 70]));
        assert!(is_at_least("1.2.7", &[1, 1, 70]));
        assert!(!is_at_least("1.1.69.9", &[1, 1, 70]));
        assert!(!is_at_least("", &[1, 1, 70]));
    }

    #[test]
    fn anything_but_success_ends_the_session_with_what_the_client_said() {
        let text = r#"{"ProcessedClientActions":[{"ActionType":"SessionType","ActionStatus":2,"Error":"no"}],"Errors":["not at all"]}"#;
        let response: HandshakeResponse = serde_json::from_str(text).expect("a response");
        let said = |action| check(&response, action).map(|_| ());
        assert_eq!(said("SessionType"), Err("SessionType failed on client with status 2 error: no".to_owned()));
        assert_eq!(said("KMSEncryption"), Err("KMSEncryption was not processed by the client: not at all".to_owned()));
    }
}

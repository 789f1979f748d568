//! Handshakes as agents ask for them.

use zeroize::Zeroizing;

use super::super::session::Token;
use super::*;
use crate::aws::ServiceError;
use crate::aws::error::Fault;

const PORT: &str = r#"{"AgentVersion":"3.3.987.0","RequestedClientActions":[{"ActionType":"SessionType",
    "ActionParameters":{"SessionType":"Port","Properties":{"portNumber":"5432","localPortNumber":"0","type":"LocalPortForwarding"}}}]}"#;

fn encrypted(challenge: &str) -> Request {
    let request = format!(
        r#"{{"AgentVersion":"3.3.0.0","RequestedClientActions":[
            {{"ActionType":"SessionType","ActionParameters":{{"SessionType":"InteractiveCommands","Properties":null}}}},
            {{"ActionType":"KMSEncryption","ActionParameters":{{"KMSKeyId":"alias/s"{challenge}}}}}]}}"#
    );
    Request::parse(request.as_bytes()).expect("a request")
}

fn key() -> Result<DataKey, SsmError> {
    Ok(DataKey { plaintext: Zeroizing::new(vec![0; 64]), ciphertext: b"blob".to_vec() })
}

fn answered(request: &Request, key: Option<&Result<DataKey, SsmError>>) -> Value {
    serde_json::from_slice(&request.response(key)).expect("JSON")
}

#[test]
fn a_port_session_says_what_it_is() {
    let request = Request::parse(PORT.as_bytes()).expect("a request");
    let properties = PortProperties {
        forwarding: "LocalPortForwarding".to_owned(),
        port_number: "5432".to_owned(),
        host: String::new(),
    };
    assert_eq!(request.kind, Some(SessionKind::Port(properties)));
    assert!(request.agent > Version::WITH_MULTIPLEXING);
    let expected = json!({
        "ClientVersion": CLIENT_VERSION,
        "ProcessedClientActions": [{"ActionType": "SessionType", "ActionStatus": 1, "ActionResult": null, "Error": ""}],
        "Errors": null,
    });
    assert_eq!(answered(&request, None), expected);
}

#[test]
fn what_is_not_known_is_refused_by_name() {
    let request = r#"{"RequestedClientActions":[{"ActionType":"Dance"},{"ActionType":"SessionType","ActionParameters":{"SessionType":"Opera"}}]}"#;
    let request = Request::parse(request.as_bytes()).expect("a request");
    assert_eq!((request.kind.clone(), request.agent), (None, Version::default()));
    let answer = answered(&request, None);
    assert_eq!(answer["ProcessedClientActions"][0]["ActionStatus"], 3);
    assert_eq!(answer["ProcessedClientActions"][1]["ActionStatus"], 3);
    assert_eq!(answer["Errors"][0], "Dance is not supported by this client");
    assert!(matches!(Request::parse(b"{}"), Err(SsmError::Handshake { .. })));
}

#[test]
fn an_encrypted_session_names_its_key_and_context() {
    let session = Session {
        id: "me-1".to_owned(),
        stream_url: String::new(),
        token: Token::new("t"),
        target: "ecs:shop_1_2".to_owned(),
    };
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let mut context = vec![pair("aws:ssm:SessionId", "me-1"), pair("aws:ssm:TargetId", "ecs:shop_1_2")];
    for (challenge, acknowledged) in [("", Value::Null), (r#","Challenge":"Y2g=""#, Value::Bool(true))] {
        let request = encrypted(challenge);
        if acknowledged == true {
            context.push(pair("aws:ssm:RandomChallenge", "Y2g="));
        }
        let asked = request.encryption.as_ref().expect("encryption").key_request(&session);
        assert_eq!(asked, DataKeyRequest { key_id: "alias/s".to_owned(), context: context.clone() });
        let answer = answered(&request, Some(&key()));
        let result = &answer["ProcessedClientActions"][1];
        assert_eq!((&result["ActionType"], &result["ActionStatus"]), (&json!("KMSEncryption"), &json!(1)));
        assert_eq!(result["ActionResult"]["KMSCipherTextKey"], "YmxvYg==");
        assert_eq!(result["ActionResult"]["KMSCipherTextHash"], Value::Null);
        assert_eq!(result["ActionResult"]["ChallengeAcknowledgement"], acknowledged);
    }
}

#[test]
fn the_agent_hears_why_there_is_no_key() {
    let fault = Fault::Refused { code: "AccessDeniedException".to_owned(), message: "no".to_owned(), request_id: None };
    let error = ServiceError { action: "kms:GenerateDataKey", fault };
    let failed = Err(SsmError::DataKey { key_id: "alias/s".to_owned(), error });
    let answer = answered(&encrypted(""), Some(&failed));
    assert_eq!(answer["ProcessedClientActions"][1]["ActionStatus"], 2);
    let words = answer["Errors"][0].as_str().expect("words");
    assert!(words.contains("AccessDeniedException"), "{words}");
}

#[test]
fn challenges_and_greetings_are_read() {
    assert_eq!(challenge(br#"{"Challenge":"AQID"}"#), Ok(vec![1, 2, 3]));
    assert!(challenge(br#"{"Challenge":"*"}"#).is_err());
    assert_eq!(challenge_response(&[1, 2, 3]).as_ref(), br#"{"Challenge":"AQID"}"#);
    assert_eq!(customer_message(br#"{"HandshakeTimeToComplete":5,"CustomerMessage":"Hi"}"#), Some("Hi".to_owned()));
    assert_eq!(customer_message(br#"{"HandshakeTimeToComplete":5,"CustomerMessage":""}"#), None);
}

#[test]
fn versions_are_compared_by_number() {
    assert!(Version::parse("3.0.1000.0") > Version::WITH_MULTIPLEXING);
    assert!(Version::parse("3.0.196.0") <= Version::WITH_MULTIPLEXING);
    assert!(Version::parse("1.2.0.0") < Version::WITH_TERMINATE_FLAG);
    assert_eq!(Version::parse("3.x"), Version::parse("3.0.0.0"));
}

proptest::proptest! {
    #[test]
    fn no_request_is_too_odd_to_be_refused(text in "[\\[\\]{},:\"a-zA-Z0-9 ]{0,80}") {
        let wrapped = format!(r#"{{"RequestedClientActions":[{{"ActionType":"SessionType","ActionParameters":{text}}}]}}"#);
        for payload in [text.as_bytes(), wrapped.as_bytes()] {
            if let Ok(request) = Request::parse(payload) {
                let answer = answered(&request, None);
                proptest::prop_assert_eq!(answer["ClientVersion"].as_str(), Some(CLIENT_VERSION));
            }
            let _ = (challenge(payload), customer_message(payload), message::closing_words(payload));
        }
    }
}

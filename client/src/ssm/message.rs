//! The JSON of the data channel that is no handshake: opening it, acknowledging, closing, and the terminal's size.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::CLIENT_VERSION;
use super::frame::Frame;
use super::session::Token;

/// The first message, as text: who comes, and the token that says that he may. It is not answered. It holds the token, so
/// it is wiped when it is dropped.
pub(crate) fn open(token: &Token, client_id: Uuid) -> zeroize::Zeroizing<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Open<'a> {
        message_schema_version: &'a str,
        request_id: String,
        token_value: &'a str,
        client_id: String,
        client_version: &'a str,
    }
    let open = Open {
        message_schema_version: "1.0",
        request_id: Uuid::new_v4().to_string(),
        token_value: token.secret(),
        client_id: client_id.to_string(),
        client_version: CLIENT_VERSION,
    };
    zeroize::Zeroizing::new(json(&open))
}

/// The answer to a message of stream data.
pub(crate) fn acknowledgement(of: &Frame) -> Frame {
    let content = Acknowledgement {
        acknowledged_message_type: of.kind.name().into(),
        acknowledged_message_id: of.id.to_string(),
        acknowledged_message_sequence_number: of.sequence,
        is_sequential_message: true,
    };
    Frame::acknowledge(json(&content).into())
}

/// The sequence number that an acknowledgement is about; `None` when it cannot be read.
pub(crate) fn acknowledged(payload: &[u8]) -> Option<i64> {
    let content: Acknowledgement = serde_json::from_slice(payload).ok()?;
    Some(content.acknowledged_message_sequence_number)
}

/// The service's words at the end of a session, often none.
pub(crate) fn closing_words(payload: &[u8]) -> String {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Closed {
        #[serde(default)]
        output: Option<String>,
    }
    serde_json::from_slice::<Closed>(payload).ok().and_then(|closed| closed.output).unwrap_or_default()
}

/// A terminal's size in characters.
pub(crate) fn size(cols: u32, rows: u32) -> Bytes {
    #[derive(Serialize)]
    struct Size {
        cols: u32,
        rows: u32,
    }
    json(&Size { cols, rows }).into()
}

/// The number in `EXIT_CODE: <n>`.
pub(crate) fn exit_code(payload: &[u8]) -> Option<i32> {
    std::str::from_utf8(payload).ok()?.trim().strip_prefix("EXIT_CODE:")?.trim().parse().ok()
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Acknowledgement {
    acknowledged_message_type: String,
    acknowledged_message_id: String,
    acknowledged_message_sequence_number: i64,
    #[serde(default)]
    is_sequential_message: bool,
}

/// Structs of strings and numbers always have a JSON.
pub(super) fn json(content: &impl Serialize) -> String {
    serde_json::to_string(content).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::frame::Kind;
    use super::super::payload::PayloadType;
    use super::*;

    #[test]
    fn the_first_message_names_token_and_client() {
        let id = Uuid::from_u128(7);
        let mut sent: Value = serde_json::from_str(&open(&Token::new("AAEA/secret"), id)).expect("JSON");
        let request: Uuid = sent["RequestId"].take().as_str().expect("an id").parse().expect("a UUID");
        assert!(!request.is_nil());
        let client = "00000000-0000-0000-0000-000000000007";
        assert_eq!(
            sent,
            json!({"MessageSchemaVersion": "1.0", "RequestId": null, "TokenValue": "AAEA/secret", "ClientId": client, "ClientVersion": CLIENT_VERSION})
        );
    }

    #[test]
    fn an_acknowledgement_names_what_has_arrived() {
        let mut frame = Frame::input(41, PayloadType::Output, Bytes::from_static(b"x"));
        frame.kind = Kind::Output;
        let answer = acknowledgement(&frame);
        assert_eq!((answer.kind, answer.sequence, answer.flags), (Kind::Acknowledge, 0, 3));
        assert_eq!(answer.payload_type, PayloadType::None);
        let content: Value = serde_json::from_slice(&answer.payload).expect("JSON");
        let expected = json!({
            "AcknowledgedMessageType": "output_stream_data",
            "AcknowledgedMessageId": frame.id.to_string(),
            "AcknowledgedMessageSequenceNumber": 41,
            "IsSequentialMessage": true,
        });
        assert_eq!(content, expected);
        assert_eq!(acknowledged(&answer.payload), Some(41));
        assert_eq!(acknowledged(b"{}"), None);
    }

    #[test]
    fn the_last_words_are_found_or_there_are_none() {
        let closed = json!({"MessageType": "channel_closed", "SessionId": "s", "SchemaVersion": 1, "Output": "bye"});
        assert_eq!(closing_words(closed.to_string().as_bytes()), "bye");
        assert_eq!(closing_words(br#"{"Output":null}"#), "");
        assert_eq!(closing_words(b"?"), "");
    }

    #[test]
    fn sizes_and_exit_codes_are_as_the_agent_has_them() {
        assert_eq!(size(80, 24).as_ref(), br#"{"cols":80,"rows":24}"#);
        assert_eq!(exit_code(b"EXIT_CODE: 7"), Some(7));
        assert_eq!(exit_code(b"EXIT_CODE: -1\n"), Some(-1));
        assert_eq!(exit_code(b"7"), None);
    }
}

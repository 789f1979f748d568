//! What is in the frames: the payload types, and those payloads that are JSON.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::frame::{Frame, Kind};
use crate::clock;

/// Payload types of stream data (amazon-ssm-agent, `agent/session/contracts/model.go`).
pub(crate) const OUTPUT: u32 = 1;
pub(crate) const SIZE: u32 = 3;
pub(crate) const HANDSHAKE_REQUEST: u32 = 5;
pub(crate) const HANDSHAKE_RESPONSE: u32 = 6;
pub(crate) const HANDSHAKE_COMPLETE: u32 = 7;
pub(crate) const CHALLENGE_REQUEST: u32 = 8;
pub(crate) const CHALLENGE_RESPONSE: u32 = 9;
pub(crate) const FLAG: u32 = 10;
pub(crate) const STDERR: u32 = 11;
pub(crate) const EXIT_CODE: u32 = 12;

/// What a payload of type [`FLAG`] can say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    /// The client's connection was closed.
    DisconnectToPort = 1,
    /// The client ends the session.
    TerminateSession = 2,
    /// The agent could not reach the port.
    ConnectToPortError = 3,
}

impl Flag {
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        let number = u32::from_be_bytes(payload.get(..4)?.try_into().ok()?);
        [Self::DisconnectToPort, Self::TerminateSession, Self::ConnectToPortError]
            .into_iter()
            .find(|flag| *flag as u32 == number)
    }

    pub(crate) fn payload(self) -> Bytes {
        Bytes::copy_from_slice(&(self as u32).to_be_bytes())
    }
}

/// A terminal's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Size {
    pub(crate) cols: u32,
    pub(crate) rows: u32,
}

/// What the client says of one action that it was asked for.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Processed {
    pub(crate) action_type: String,
    #[serde(default)]
    pub(crate) action_status: i64,
    #[serde(default)]
    pub(crate) action_result: Value,
    #[serde(default)]
    pub(crate) error: String,
}

/// The client's half of the handshake.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct HandshakeResponse {
    #[serde(default)]
    pub(crate) client_version: String,
    #[serde(default)]
    pub(crate) processed_client_actions: Vec<Processed>,
    #[serde(default)]
    pub(crate) errors: Option<Vec<String>>,
}

/// The acknowledgement of a message.
pub(crate) fn acknowledge(frame: &Frame) -> Frame {
    let content = json!({
        "AcknowledgedMessageType": frame.kind.as_str(),
        "AcknowledgedMessageId": frame.id.to_string(),
        "AcknowledgedMessageSequenceNumber": frame.sequence,
        "IsSequentialMessage": true,
    });
    Frame::control(Kind::Acknowledge, content.to_string())
}

/// The number that an acknowledgement is for: nothing else of it is looked at.
pub(crate) fn acknowledged(payload: &[u8]) -> Option<i64> {
    let content: Value = serde_json::from_slice(payload).ok()?;
    content.get("AcknowledgedMessageSequenceNumber")?.as_i64()
}

/// The end of a session, as the service tells it to either side.
pub(crate) fn channel_closed(session_id: &str, output: &str) -> Frame {
    let id = Uuid::new_v4();
    let content = json!({
        "MessageId": id.to_string(),
        "CreatedDate": clock::text(clock::now()),
        "DestinationId": session_id,
        "SessionId": session_id,
        "MessageType": Kind::ChannelClosed.as_str(),
        "SchemaVersion": 1,
        "Output": output,
    });
    Frame { id, ..Frame::control(Kind::ChannelClosed, content.to_string()) }
}

/// `start_publication` or `pause_publication`.
pub(crate) fn publication(session_id: &str, kind: Kind) -> Frame {
    Frame::control(kind, json!({"SchemaVersion": 1, "SessionId": session_id}).to_string())
}

/// `agent_session_state`, for the service only.
pub(crate) fn session_state(session_id: &str, state: &str) -> Frame {
    let content = json!({"SchemaVersion": 1, "SessionState": state, "SessionId": session_id});
    Frame::control(Kind::AgentSessionState, content.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_numbers_in_network_order() {
        assert_eq!(Flag::parse(&[0, 0, 0, 2]), Some(Flag::TerminateSession));
        assert_eq!(Flag::ConnectToPortError.payload().as_ref(), [0, 0, 0, 3]);
        assert_eq!(Flag::parse(&[2, 0, 0, 0]), None);
        assert_eq!(Flag::parse(&[2]), None);
    }

    #[test]
    fn an_acknowledgement_names_the_message() {
        let frame = Frame::new(Kind::InputStreamData, 7, 0, OUTPUT, "x");
        let answer = acknowledge(&frame);
        assert_eq!((answer.kind, answer.sequence, answer.flags, answer.payload_type), (Kind::Acknowledge, 0, 3, 0));
        let expected = format!(
            r#"{{"AcknowledgedMessageType":"input_stream_data","AcknowledgedMessageId":"{}","AcknowledgedMessageSequenceNumber":7,"IsSequentialMessage":true}}"#,
            frame.id
        );
        assert_eq!(answer.payload, expected);
        assert_eq!(acknowledged(&answer.payload), Some(7));
        assert_eq!(acknowledged(b"{"), None);
    }

    #[test]
    fn a_size_is_two_whole_numbers() {
        assert_eq!(serde_json::from_str::<Size>(r#"{"cols":80,"rows":24}"#).ok(), Some(Size { cols: 80, rows: 24 }));
        assert!(serde_json::from_str::<Size>(r#"{"cols":-1,"rows":24}"#).is_err());
    }

    #[test]
    fn a_response_of_the_plugins_is_understood() {
        let text = r#"{"ClientVersion":"1.2.677.0","ProcessedClientActions":[{"ActionType":"SessionType","ActionStatus":1,"ActionResult":null,"Error":""}],"Errors":null}"#;
        let response: HandshakeResponse = serde_json::from_str(text).expect("a response");
        assert_eq!(response.client_version, "1.2.677.0");
        assert_eq!((response.processed_client_actions[0].action_status, response.errors), (1, None));
    }
}

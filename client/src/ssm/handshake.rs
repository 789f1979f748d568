//! The handshake: what the agent asks for before a session starts, and what it is told.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::CLIENT_VERSION;
use super::error::SsmError;
use super::message;
use super::session::{DataKey, DataKeyRequest, Session};

/// What a session is for (`SessionType` of its document).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionKind {
    /// A shell on a terminal.
    StandardStream,
    /// A command on a terminal.
    InteractiveCommands,
    /// A command without a terminal.
    NonInteractiveCommands,
    /// Connections to a port.
    Port(PortProperties),
}

impl SessionKind {
    /// The name in documents.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::StandardStream => "Standard_Stream",
            Self::InteractiveCommands => "InteractiveCommands",
            Self::NonInteractiveCommands => "NonInteractiveCommands",
            Self::Port(_) => "Port",
        }
    }
}

/// What the document of a port session says, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PortProperties {
    /// `LocalPortForwarding`, or empty for the bytes of a single connection.
    #[serde(rename = "type")]
    pub forwarding: String,
    /// The port, a number.
    pub port_number: String,
    /// The host behind the agent, if it is not the agent's own.
    pub host: String,
}

/// Four numbers, compared one by one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version([u32; 4]);

impl Version {
    /// Agents above this end a port session when they are told to by a flag.
    pub(crate) const WITH_TERMINATE_FLAG: Self = Self([2, 3, 722, 0]);
    /// Agents above this multiplex connections.
    pub(crate) const WITH_MULTIPLEXING: Self = Self([3, 0, 196, 0]);

    /// Reads `3.3.0.0`; what is missing counts as zero, so that an odd version is an old one.
    pub(crate) fn parse(text: &str) -> Self {
        let mut version = [0; 4];
        for (number, word) in version.iter_mut().zip(text.split('.')) {
            let Ok(value) = word.parse() else { break };
            *number = value;
        }
        Self(version)
    }
}

/// A handshake request, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub(crate) agent: Version,
    /// `None` when the agent asks for none that is known here.
    pub(crate) kind: Option<SessionKind>,
    pub(crate) encryption: Option<Encryption>,
    actions: Vec<Action>,
}

/// The agent wants the session encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Encryption {
    key_id: String,
    challenge: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Action {
    SessionType { known: bool },
    Encryption,
    Unknown(String),
}

impl Request {
    /// Reads the JSON of a handshake request.
    pub(crate) fn parse(payload: &[u8]) -> Result<Self, SsmError> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Wire {
            #[serde(default)]
            agent_version: String,
            requested_client_actions: Vec<WireAction>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct WireAction {
            action_type: String,
            #[serde(default)]
            action_parameters: Value,
        }
        let malformed = |error: serde_json::Error| SsmError::Handshake { cause: error.to_string() };
        let wire: Wire = serde_json::from_slice(payload).map_err(malformed)?;
        let mut request = Self {
            agent: Version::parse(&wire.agent_version),
            kind: None,
            encryption: None,
            actions: Vec::with_capacity(wire.requested_client_actions.len()),
        };
        for WireAction { action_type, action_parameters: parameters } in wire.requested_client_actions {
            let action = match action_type.as_str() {
                "SessionType" => {
                    request.kind = kind(&parameters).map_err(malformed)?;
                    Action::SessionType { known: request.kind.is_some() }
                }
                "KMSEncryption" => {
                    let text = |name: &str| parameters[name].as_str().map(str::to_owned);
                    let key_id = text("KMSKeyId").unwrap_or_default();
                    let challenge = text("Challenge").filter(|challenge| !challenge.is_empty());
                    request.encryption = Some(Encryption { key_id, challenge });
                    Action::Encryption
                }
                _ => Action::Unknown(action_type),
            };
            request.actions.push(action);
        }
        Ok(request)
    }

    /// What the agent asks for that this client cannot do; the agent ends the session then.
    pub(crate) fn unsupported(&self) -> Option<String> {
        self.actions.iter().find_map(|action| match action {
            Action::SessionType { known: false } => Some("the agent asks for an unknown type of session".to_owned()),
            Action::Unknown(name) => Some(format!("the agent asks for the unknown action {name}")),
            _ => None,
        })
    }

    /// The answer, with the key if one was asked for, or the reason why there is none.
    pub(crate) fn response(&self, key: Option<&Result<DataKey, SsmError>>) -> Bytes {
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Response {
            client_version: &'static str,
            processed_client_actions: Vec<Processed>,
            errors: Option<Vec<String>>,
        }
        #[derive(Serialize)]
        #[serde(rename_all = "PascalCase")]
        struct Processed {
            action_type: String,
            action_status: u8,
            action_result: Value,
            error: String,
        }
        let processed = |name: &str, (action_status, action_result, error): (u8, Value, String)| Processed {
            action_type: name.to_owned(),
            action_status,
            action_result,
            error,
        };
        let unsupported = |what: &str| (UNSUPPORTED, Value::Null, format!("{what} is not supported by this client"));
        let actions = self.actions.iter().map(|action| match action {
            Action::SessionType { known: true } => processed("SessionType", (SUCCESS, Value::Null, String::new())),
            Action::SessionType { known: false } => processed("SessionType", unsupported("this session type")),
            Action::Encryption => processed("KMSEncryption", self.encryption_result(key)),
            Action::Unknown(name) => processed(name, unsupported(name)),
        });
        let actions: Vec<_> = actions.collect();
        let errors: Vec<_> =
            actions.iter().map(|action| action.error.clone()).filter(|error| !error.is_empty()).collect();
        let errors = (!errors.is_empty()).then_some(errors);
        message::json(&Response { client_version: CLIENT_VERSION, processed_client_actions: actions, errors }).into()
    }

    fn encryption_result(&self, key: Option<&Result<DataKey, SsmError>>) -> (u8, Value, String) {
        match key {
            Some(Ok(key)) => {
                let mut result =
                    json!({"KMSCipherTextKey": STANDARD.encode(&key.ciphertext), "KMSCipherTextHash": null});
                if self.encryption.as_ref().is_some_and(|encryption| encryption.challenge.is_some()) {
                    result["ChallengeAcknowledgement"] = true.into();
                }
                (SUCCESS, result, String::new())
            }
            Some(Err(error)) => (FAILED, Value::Null, error.to_string()),
            None => (FAILED, Value::Null, "there is no key".to_owned()),
        }
    }
}

/// `ActionStatus` (`model.go` of amazon-ssm-agent).
const SUCCESS: u8 = 1;
const FAILED: u8 = 2;
const UNSUPPORTED: u8 = 3;

fn kind(parameters: &Value) -> Result<Option<SessionKind>, serde_json::Error> {
    Ok(match parameters["SessionType"].as_str() {
        Some("Standard_Stream") => Some(SessionKind::StandardStream),
        Some("InteractiveCommands") => Some(SessionKind::InteractiveCommands),
        Some("NonInteractiveCommands") => Some(SessionKind::NonInteractiveCommands),
        Some("Port") => {
            let properties: Option<PortProperties> = serde_json::from_value(parameters["Properties"].clone())?;
            Some(SessionKind::Port(properties.unwrap_or_default()))
        }
        _ => None,
    })
}

impl Encryption {
    /// What KMS is asked for. The agent asks it to decrypt under the same context.
    pub(crate) fn key_request(&self, session: &Session) -> DataKeyRequest {
        let mut context = vec![
            ("aws:ssm:SessionId".to_owned(), session.id.clone()),
            ("aws:ssm:TargetId".to_owned(), session.target.clone()),
        ];
        context.extend(self.challenge.clone().map(|challenge| ("aws:ssm:RandomChallenge".to_owned(), challenge)));
        DataKeyRequest { key_id: self.key_id.clone(), context }
    }

    pub(crate) fn key_id(&self) -> &str {
        &self.key_id
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Challenge {
    challenge: String,
}

/// The bytes of the agent's challenge, encrypted.
pub(crate) fn challenge(payload: &[u8]) -> Result<Vec<u8>, SsmError> {
    let failed = |cause: String| SsmError::Handshake { cause };
    let wire: Challenge = serde_json::from_slice(payload).map_err(|error| failed(error.to_string()))?;
    STANDARD.decode(wire.challenge).map_err(|error| failed(error.to_string()))
}

/// The answer to a challenge, with the bytes that we have encrypted.
pub(crate) fn challenge_response(sealed: &[u8]) -> Bytes {
    message::json(&Challenge { challenge: STANDARD.encode(sealed) }).into()
}

/// What the session's owner wants to be shown at its start; often nothing.
pub(crate) fn customer_message(payload: &[u8]) -> Option<String> {
    let complete: Value = serde_json::from_slice(payload).ok()?;
    complete["CustomerMessage"].as_str().filter(|message| !message.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests;

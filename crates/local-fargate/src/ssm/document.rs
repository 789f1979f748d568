//! Session documents: which there are, what they ask for, and what an agent is to do for them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::error::ApiError;

/// The parameters of a StartSession call: every one is a list of texts.
pub(crate) type Parameters = BTreeMap<String, Vec<String>>;

/// What an agent does in a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Work {
    Shell,
    Interactive { command: String },
    NonInteractive { command: String, separate_output: bool },
    Port(Port),
}

/// What a port session is about, as the agent is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) port: u16,
    /// Empty for a port of the target itself.
    pub(crate) host: String,
    /// `LocalPortForwarding`, or nothing.
    pub(crate) session_type: String,
    local_port: String,
    local_socket: String,
    local_connection_type: String,
}

/// The document that a session without a document has.
const DEFAULT: &str = "SSM-SessionManagerRunShell";
/// Port of AWS-StartSSHSession unless it is told.
const SSH_PORT: &str = "22";

/// The values of parameters by name; nothing for those that were not given.
type Given<'a> = &'a dyn Fn(&str) -> String;

/// A document: its parameters, those that must be given first.
struct Document {
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    work: fn(Given<'_>) -> Result<Work, ApiError>,
}

const DOCUMENTS: [Document; 7] = [
    Document { name: DEFAULT, required: &[], optional: &[], work: |_| Ok(Work::Shell) },
    Document {
        name: "AWS-StartPortForwardingSession",
        required: &[],
        optional: &["portNumber", "localPortNumber"],
        work: |given| forwarding(given, "80"),
    },
    Document {
        name: "AWS-StartPortForwardingSessionToRemoteHost",
        required: &["host"],
        optional: &["portNumber", "localPortNumber"],
        work: |given| forwarding(given, "80"),
    },
    Document {
        name: "AWS-StartSSHSession",
        required: &[],
        optional: &["portNumber"],
        work: |given| Ok(Work::Port(Port { port: port(&given("portNumber"), SSH_PORT)?, ..Port::default() })),
    },
    Document {
        name: "AWS-StartInteractiveCommand",
        required: &["command"],
        optional: &[],
        work: |given| Ok(Work::Interactive { command: given("command") }),
    },
    Document {
        name: "AWS-StartNonInteractiveCommand",
        required: &["command"],
        optional: &[],
        work: |given| Ok(Work::NonInteractive { command: given("command"), separate_output: false }),
    },
    // Not one of AWS's: stands for an account's own document with `separateOutputStream`.
    Document {
        name: "Local-StartNonInteractiveCommand",
        required: &["command"],
        optional: &[],
        work: |given| Ok(Work::NonInteractive { command: given("command"), separate_output: true }),
    },
];

/// What the named document wants of the agent with these parameters.
pub(crate) fn work(name: Option<&str>, parameters: &Parameters) -> Result<Work, ApiError> {
    let name = name.unwrap_or(DEFAULT);
    let document = DOCUMENTS
        .iter()
        .find(|document| document.name == name)
        .ok_or_else(|| ApiError::new("InvalidDocument", format!("Document with name {name} does not exist.")))?;
    let is_known = |name: &String| document.required.iter().chain(document.optional).any(|known| known == name);
    if let Some(unknown) = parameters.keys().find(|name| !is_known(name)) {
        return Err(invalid(format!("Parameter \"{unknown}\" is not defined in document {name}.")));
    }
    for (name, values) in parameters {
        if values.len() != 1 {
            return Err(invalid(format!("Parameter \"{name}\" must have exactly one value.")));
        }
    }
    let given = |name: &str| parameters.get(name).and_then(|values| values.first().cloned()).unwrap_or_default();
    if let Some(missing) = document.required.iter().find(|name| given(name).is_empty()) {
        return Err(invalid(format!("Parameter \"{missing}\" requires a value.")));
    }
    (document.work)(&given)
}

fn forwarding(given: Given<'_>, default: &str) -> Result<Work, ApiError> {
    let local = given("localPortNumber");
    // 0 and nothing are any free port.
    if !local.is_empty() && local.parse::<u16>().is_err() {
        return Err(invalid("Parameter \"localPortNumber\" must be a port number.".to_owned()));
    }
    Ok(Work::Port(Port {
        port: port(&given("portNumber"), default)?,
        host: given("host"),
        session_type: "LocalPortForwarding".to_owned(),
        local_port: if local.is_empty() { "0".to_owned() } else { local },
        ..Port::default()
    }))
}

fn port(given: &str, default: &str) -> Result<u16, ApiError> {
    let text = if given.is_empty() { default } else { given };
    let parsed = text.parse().ok().filter(|port| *port > 0);
    parsed.ok_or_else(|| invalid("Parameter \"portNumber\" must be a port number.".to_owned()))
}

/// SSM's answer to parameters that the document does not take.
fn invalid(message: String) -> ApiError {
    ApiError::new("InvalidParameters", message)
}

impl Work {
    /// As handshakes name it.
    pub(crate) fn session_type(&self) -> &'static str {
        match self {
            Self::Shell => "Standard_Stream",
            Self::Interactive { .. } => "InteractiveCommands",
            Self::NonInteractive { .. } => "NonInteractiveCommands",
            Self::Port(_) => "Port",
        }
    }

    /// What a handshake says about it.
    pub(crate) fn properties(&self) -> Value {
        match self {
            Self::Port(port) => json!({
                "portNumber": port.port.to_string(),
                "localPortNumber": port.local_port,
                "type": port.session_type,
                "host": port.host,
                "localUnixSocket": port.local_socket,
                "localConnectionType": port.local_connection_type,
            }),
            _ => Value::Null,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(name: &str, pairs: &[(&str, &str)]) -> Result<Work, &'static str> {
        let parameters = pairs.iter().map(|(name, value)| ((*name).to_owned(), vec![(*value).to_owned()])).collect();
        work(Some(name), &parameters).map_err(|error| error.code)
    }

    #[test]
    fn each_document_says_what_is_to_be_done() {
        let forwarding = parsed("AWS-StartPortForwardingSession", &[("portNumber", "5432"), ("localPortNumber", "0")]);
        let properties = forwarding.expect("a port session").properties();
        let expected = r#"{"portNumber":"5432","localPortNumber":"0","type":"LocalPortForwarding","host":"","localUnixSocket":"","localConnectionType":""}"#;
        assert_eq!(properties.to_string(), expected);
        let ssh = parsed("AWS-StartSSHSession", &[]).expect("a port session");
        assert_eq!((&ssh.properties()["portNumber"], &ssh.properties()["type"]), (&json!("22"), &json!("")));
        assert_eq!(work(None, &Parameters::new()), Ok(Work::Shell));
        let command = parsed("AWS-StartInteractiveCommand", &[("command", "top")]);
        assert_eq!(command, Ok(Work::Interactive { command: "top".to_owned() }));
    }

    #[test]
    fn unknown_documents_and_wrong_parameters_are_refused() {
        let remote = "AWS-StartPortForwardingSessionToRemoteHost";
        for (name, pairs, code) in [
            ("AWS-StartShell", &[][..], "InvalidDocument"),
            (remote, &[("portNumber", "1")], "InvalidParameters"),
            (remote, &[("host", "db"), ("portNumber", "0")], "InvalidParameters"),
            (remote, &[("host", "db"), ("portNumber", "65536")], "InvalidParameters"),
            ("AWS-StartSSHSession", &[("localPortNumber", "1")], "InvalidParameters"),
            ("AWS-StartInteractiveCommand", &[], "InvalidParameters"),
        ] {
            assert_eq!(parsed(name, pairs), Err(code), "{name} {pairs:?}");
        }
        let twice = Parameters::from([("portNumber".to_owned(), vec!["1".to_owned(), "2".to_owned()])]);
        assert!(work(Some("AWS-StartSSHSession"), &twice).is_err());
    }
}

//! What the fuzz targets hold this engine's parsers to.

use fargate_contract::HostSeed;

use super::line::Line;
use super::{agent, wire};

/// Reads the bytes as a line of sshd's log, and as a name that a stranger gave, in the lines in which sshd repeats it.
///
/// # Panics
/// When such a name lets somebody in, ends the container or counts as a session.
pub fn log_line(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let _ = Line::read(&text);
    // sshd escapes control characters of what comes from outside.
    let name: String = text.chars().filter(|character| !character.is_control()).collect();
    for line in [
        format!("Invalid user {name} from 192.0.2.1 port 4"),
        format!("Failed publickey for invalid user {name} from 192.0.2.1 port 4 ssh2: ED25519 SHA256:abc [preauth]"),
        format!("Failed publickey for {name} from 192.0.2.1 port 4 ssh2: ED25519 SHA256:abc [preauth]"),
        format!("Connection closed by authenticating user {name} 192.0.2.1 port 4 [preauth]"),
        format!("Bad protocol version identification '{name}' from 192.0.2.1 port 4"),
        format!("{name} [preauth]"),
    ] {
        let read = Line::read(&line);
        assert!(matches!(read, Line::Refused { .. } | Line::Other), "{line:?} reads as {read:?}");
    }
}

/// Reads the bytes as a request to the agent that holds the host key, as an attendant's first line, and as an environment.
///
/// # Panics
/// When the agent signs with another key than its own or answers at length, or an environment changes on its way.
pub fn openssh(data: &[u8]) {
    let key = HostSeed::new([42; 32]).private_key();
    if let Some(answer) = agent::answer(data, &key) {
        // An ed25519 signature and a public key have fixed lengths.
        assert!((5..=128).contains(&answer.len()), "{} bytes", answer.len());
    }
    let _ = serde_json::from_slice::<wire::Hello>(data);
    let _ = serde_json::from_slice::<crate::session::Outcome>(data);
    let variables = wire::decode(data);
    assert_eq!(wire::decode(&wire::encode(&variables)), variables);
}

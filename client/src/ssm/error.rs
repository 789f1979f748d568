//! How a session fails or ends, told so that the user knows whom to ask.

use std::time::Duration;

use crate::aws::ServiceError;
use crate::error::Advice;

/// Why there is no session, or none any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SsmError {
    /// The address of the data channel is not one to send a token to.
    #[error("the data channel's address `{url}` {fault}")]
    Address {
        /// The address, without its query.
        url: String,
        /// What is wrong with it.
        fault: &'static str,
    },
    /// The service cannot be reached.
    #[error("the data channel at {host} cannot be reached: {cause}")]
    Unreachable {
        /// Name of the host.
        host: String,
        /// The system's words.
        cause: String,
    },
    /// The service refuses the connection.
    #[error("{host} refuses the data channel (HTTP {status}){}", with_words(.words))]
    Refused {
        /// Name of the host.
        host: String,
        /// HTTP status.
        status: u16,
        /// What it says, without control characters; may be empty.
        words: String,
    },
    /// There are no credentials to sign with.
    #[error("the data channel's request cannot be signed: {cause}")]
    Unsigned {
        /// The provider's words.
        cause: String,
    },
    /// The connection was cut and could not be made again.
    #[error("the connection to the session is lost: {cause}")]
    Lost {
        /// The last attempt's words.
        cause: String,
    },
    /// AWS does not take the session up again.
    #[error("the session cannot be resumed: {0}")]
    NotResumed(ServiceError),
    /// The session was over when its connection was to be made again.
    #[error("the session was over before its lost connection could be made again")]
    OverMeanwhile,
    /// The agent no longer acknowledges anything.
    #[error("the agent has acknowledged nothing for {} s", .after.as_secs())]
    Unacknowledged {
        /// How long was waited.
        after: Duration,
    },
    /// Nothing was heard of the agent.
    #[error("the agent did not start the session within {} s", .after.as_secs())]
    Silent {
        /// How long was waited.
        after: Duration,
    },
    /// The agent says what cannot be understood.
    #[error("the handshake with the agent failed: {cause}")]
    Handshake {
        /// What failed.
        cause: String,
    },
    /// The session is of another kind than was asked for.
    #[error("the document starts a session of type {got}, not {wanted}")]
    WrongKind {
        /// What was asked for.
        wanted: &'static str,
        /// What the agent started.
        got: String,
    },
    /// KMS gives no key for the session.
    #[error("no key for the session: {error}")]
    DataKey {
        /// The key that the session's preferences name.
        key_id: String,
        /// KMS's answer.
        error: ServiceError,
    },
    /// A message cannot be decrypted or encrypted.
    #[error("the session's encryption failed: {cause}")]
    Encryption {
        /// What failed.
        cause: String,
    },
    /// The agent cannot decrypt the session's key, or is not content with our answer to its challenge.
    #[error("the agent cannot encrypt the session: {words}")]
    AgentEncryption {
        /// The agent's words.
        words: String,
    },
    /// Nobody has typed for as long as the session's preferences allow.
    #[error("the session has ended because nobody used it: {words}")]
    Idle {
        /// The service's words.
        words: String,
    },
    /// The session has lasted as long as its preferences allow.
    #[error("the session has reached its longest duration: {words}")]
    TooLong {
        /// The service's words.
        words: String,
    },
    /// Somebody has ended the session.
    #[error("the session was terminated: {words}")]
    Terminated {
        /// The service's words.
        words: String,
    },
    /// The agent does not forward to this host.
    #[error("the agent does not forward to that host: {words}")]
    HostForbidden {
        /// The agent's words.
        words: String,
    },
    /// Nothing listens at the port.
    #[error("the port refuses the connection: {words}")]
    PortRefused {
        /// The agent's words.
        words: String,
    },
    /// The session has ended with words of another kind.
    #[error("the session has ended: {words}")]
    Ended {
        /// The agent's or the service's words.
        words: String,
    },
    /// AWS does not end the session.
    #[error("the session cannot be terminated: {0}")]
    NotTerminated(ServiceError),
    /// A session of this document carries a single connection, which was opened before.
    #[error("the session carries one connection, and has carried it")]
    OneConnection,
    /// There is no session to open a connection in.
    #[error("the session is over")]
    Over,
}

fn with_words(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

/// Stands above the words of an agent that failed before its work began (amazon-ssm-agent,
/// `agent/framework/processor/executer/iohandler/iohandler.go`).
const TITLE: &str = "----------ERROR-------";

type Meaning = fn(String) -> SsmError;

/// Fragments of the words with which a channel is closed, in lower case, and what they mean; the first that matches counts.
/// They are the agent's (`plugins/port`, `datachannel.go`) and those that users quote, not documented constants.
const FRAGMENTS: &[(&[&str], Meaning)] = &[
    (&["is forbidden"], |words| SsmError::HostForbidden { words }),
    (&["inactivity", "idle session timeout"], |words| SsmError::Idle { words }),
    (&["maximum duration", "max session duration", "maximum session duration"], |words| SsmError::TooLong { words }),
    (&["connect to specified port", "destination port failed", "connection refused"], |words| SsmError::PortRefused {
        words,
    }),
    (&["kms", "encryption", "data key", "decrypt"], |words| SsmError::AgentEncryption { words }),
    (&["terminated"], |words| SsmError::Terminated { words }),
    // Behind those of ports, whose connections time out too.
    (&["timed out"], |words| SsmError::Idle { words }),
];

impl SsmError {
    /// What the last words of a session mean; `None` when there are none, as at every ordinary end.
    #[must_use]
    pub fn from_closing(words: &str) -> Option<Self> {
        // They are the peer's, so nothing in them may reach the terminal as a command.
        let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        let words = words.trim().strip_prefix(TITLE).unwrap_or(words.trim());
        let words = words.trim().trim_end_matches('.').to_owned();
        if words.is_empty() {
            return None;
        }
        let lower = words.to_ascii_lowercase();
        let found = FRAGMENTS.iter().find(|(fragments, _)| fragments.iter().any(|fragment| lower.contains(fragment)));
        Some(found.map_or_else(|| Self::Ended { words: words.clone() }, |(_, meaning)| meaning(words.clone())))
    }
}

impl Advice for SsmError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Address { .. } => "check `--endpoint-url`: AWS gives `wss://` addresses",
            Self::Unreachable { .. } => {
                "allow outgoing HTTPS to this host; in a VPC without internet access, add an interface endpoint for ssmmessages"
            }
            Self::Refused { status: 401 | 403, .. } => {
                "allow `ssmmessages:OpenDataChannel` on `arn:aws:ssm:*:*:session/${aws:userid}-*`, and check that the credentials have not expired"
            }
            Self::Unsigned { .. } => "the credentials have expired: sign in again (`aws sso login`, or renew the keys)",
            Self::Lost { .. } => "the network between you and AWS has changed or is away; start again",
            Self::NotResumed(error) | Self::NotTerminated(error) => return error.hints(),
            Self::Unacknowledged { .. } | Self::Silent { .. } => {
                "the task may be gone: `aws ecs describe-tasks` shows whether its ExecuteCommandAgent still runs"
            }
            Self::Handshake { .. } => "the agent may be too old: start the task anew, which brings the current one",
            Self::WrongKind { .. } => "name another document: AWS-StartPortForwardingSession is the one for ports",
            Self::DataKey { error, key_id } => {
                let mut hints = vec![format!("allow `kms:GenerateDataKey` on `{key_id}`")];
                hints.extend(error.hints());
                return hints;
            }
            Self::AgentEncryption { .. } => "allow the task role `kms:Decrypt` on the key of the session's preferences",
            Self::Idle { .. } => "the idle limit is in the preferences of Session Manager; ECS Exec has 20 minutes",
            Self::TooLong { .. } => "the longest duration is in the preferences of Session Manager",
            Self::Terminated { .. } => "CloudTrail's TerminateSession events say by whom",
            Self::OneConnection => "use AWS-StartPortForwardingSession for more than one",
            Self::HostForbidden { .. } => {
                "agents refuse the metadata service, the addresses that a VPC keeps for itself, and loopback: the target's own ports are those of `localhost`"
            }
            Self::PortRefused { .. } => {
                "check that something listens there, and that the task's security group is let in"
            }
            Self::Refused { .. } | Self::OverMeanwhile | Self::Encryption { .. } | Self::Ended { .. } | Self::Over => {
                return Vec::new();
            }
        };
        vec![hint.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_of_a_session_are_understood() {
        let cases = [
            ("Your session timed out due to inactivity and has been terminated.", "because nobody used it"),
            ("Forwarding to IP address 169.254.169.254 is forbidden.", "does not forward to that host"),
            ("Unable to connect to specified port: dial tcp [::1]:81: connect: connection refused", "the port refuses"),
            ("Session ecs-execute-command-0a timed out.", "because nobody used it"),
            ("Failed to decrypt data key: AccessDeniedException", "cannot encrypt the session"),
            ("The session was terminated by an administrator", "was terminated"),
            ("Session reached its maximum session duration", "longest duration"),
            ("Plugin with name X not found", "the session has ended: Plugin with name X not found"),
            (
                "\n----------ERROR-------\nEncountered error while initiating handshake. Fetching data key failed: no",
                "cannot encrypt the session: Encountered error while initiating handshake",
            ),
        ];
        for (words, expected) in cases {
            let error = SsmError::from_closing(words).expect("words");
            assert!(error.to_string().contains(expected), "{words}: {error}");
        }
        assert_eq!(SsmError::from_closing(" \n"), None);
        let odd = SsmError::from_closing("a\u{1b}[2Jb").expect("words");
        assert_eq!(odd, SsmError::Ended { words: "a [2Jb".to_owned() });
    }

    #[test]
    fn a_refusal_shows_what_the_service_says() {
        let refused = |words: &str| SsmError::Refused { host: "h".to_owned(), status: 403, words: words.to_owned() };
        assert_eq!(refused("").to_string(), "h refuses the data channel (HTTP 403)");
        assert_eq!(refused("no").to_string(), "h refuses the data channel (HTTP 403): no");
        assert!(refused("").hints()[0].contains("ssmmessages:OpenDataChannel"));
    }
}

//! How SSH fails, told so that the user knows whom to ask.

use std::time::Duration;

use crate::error::Advice;

/// Why there is no connection, or none any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SshError {
    /// Another host answered than the one we trust.
    #[error("the host key is not the one {named_by}: expected {expected}, shown {shown}")]
    HostKeyMismatch {
        /// Who named the key that is trusted.
        named_by: &'static str,
        /// SHA-256 fingerprint of that key.
        expected: String,
        /// SHA-256 fingerprint of the key that was shown.
        shown: String,
    },
    /// The server does not let our key in.
    #[error("the server refuses our key for user `{user}`")]
    AuthRefused {
        /// The SSH user name.
        user: String,
    },
    /// Identification, key exchange and login took too long.
    #[error("the SSH handshake was not done within {} s", .after.as_secs_f64())]
    HandshakeTimeout {
        /// The limit.
        after: Duration,
    },
    /// Identification or key exchange failed.
    #[error("the SSH handshake failed: {cause}")]
    Handshake {
        /// What failed.
        cause: String,
    },
    /// The peer broke the protocol after login.
    #[error("the SSH connection failed: {cause}")]
    Protocol {
        /// What failed.
        cause: String,
    },
    /// The peer is gone.
    #[error("the connection to the server is lost: {0}")]
    PeerLost(Loss),
    /// The peer said goodbye.
    #[error("the server disconnected ({reason}): {message}")]
    Disconnected {
        /// The reason code's name (RFC 4253, section 11.1).
        reason: String,
        /// The server's words, without control characters.
        message: String,
    },
    /// The server does not listen for us.
    #[error("the server refuses to listen")]
    ForwardRefused,
    /// The server does not open a channel.
    #[error("the server refuses to open a session: {reason}")]
    ChannelRefused {
        /// The server's reason (RFC 4254, section 5.1).
        reason: String,
    },
}

/// How the peer was lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// It no longer answers, though nothing says that the transport broke.
    #[error("it no longer answers")]
    Silent,
    /// The transport ended.
    #[error("the connection was closed")]
    Cut,
    /// The transport failed.
    #[error("{0}")]
    Broken(std::io::ErrorKind),
}

impl SshError {
    /// Whether the connection broke, rather than being ended by the server.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        matches!(self, Self::PeerLost(_) | Self::Protocol { .. })
    }

    /// Whether another attempt at connecting may succeed: the network is away, or the server is busy.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        !matches!(self, Self::HostKeyMismatch { .. } | Self::AuthRefused { .. })
    }

    /// The same failure when it came before there was a login.
    pub(super) fn during_handshake(self) -> Self {
        match self {
            Self::PeerLost(loss) => Self::Handshake { cause: loss.to_string() },
            Self::Protocol { cause } => Self::Handshake { cause },
            other => other,
        }
    }

    /// A goodbye as it may be shown: the words are the peer's, so nothing in them may reach the terminal as a command.
    pub(super) fn disconnected(info: &russh::client::RemoteDisconnectInfo) -> Self {
        let message = info.message.chars().filter(|c| !c.is_control()).collect();
        Self::Disconnected { reason: format!("{:?}", info.reason_code), message }
    }
}

impl From<russh::Error> for SshError {
    fn from(error: russh::Error) -> Self {
        match error {
            russh::Error::KeepaliveTimeout | russh::Error::InactivityTimeout => Self::PeerLost(Loss::Silent),
            russh::Error::HUP | russh::Error::Disconnect | russh::Error::SendError | russh::Error::RecvError => {
                Self::PeerLost(Loss::Cut)
            }
            russh::Error::IO(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Self::PeerLost(Loss::Cut),
            russh::Error::IO(error) => Self::PeerLost(Loss::Broken(error.kind())),
            other => Self::Protocol { cause: other.to_string() },
        }
    }
}

impl Advice for SshError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::HostKeyMismatch { .. } => {
                "something else answers at this address, or the image runs an sshd of its own: then use --host-key accept-new"
            }
            Self::AuthRefused { .. } => {
                "the key works once and for the user that the image serves: check --user, and that the image reads _AUTHORIZED_PUBLIC_KEY"
            }
            Self::HandshakeTimeout { .. } | Self::Handshake { .. } => {
                "the container's log says how far its SSH server got"
            }
            Self::PeerLost(_) => "the task may have been stopped, or the network between you and it has changed",
            Self::Protocol { .. } | Self::Disconnected { .. } | Self::ForwardRefused | Self::ChannelRefused { .. } => {
                return Vec::new();
            }
        };
        vec![hint.to_owned()]
    }
}

//! Why something is not forwarded: for the log in words, for the client with the protocol's number.

use std::io;

use nix::errno::Errno;
use russh::ChannelOpenFailure;

/// Reason codes of SSH_MSG_CHANNEL_OPEN_FAILURE (RFC 4254, section 5.1).
const ADMINISTRATIVELY_PROHIBITED: u32 = 1;
const CONNECT_FAILED: u32 = 2;
const RESOURCE_SHORTAGE: u32 = 4;

/// Why something is not forwarded.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// Whoever resumes a session has to have it first.
    #[error("this login is good for nothing but resuming a session")]
    NotLoggedIn,
    /// The grant says so.
    #[error("the run's grant does not allow it")]
    Prohibited,
    /// One connection's, or all connections' limit.
    #[error("too many forwards at once")]
    TooMany,
    /// One connection's limit.
    #[error("too many listeners at once")]
    TooManyListeners,
    /// The port is none.
    #[error("not a port")]
    NotAPort,
    /// A path that does not say where it starts.
    #[error("not an absolute path")]
    NotAbsolute,
    /// Names of addresses to listen on are not looked up: that would take time, and nothing else of the connection goes on meanwhile.
    #[error("not an address to listen on: an IP address, `localhost`, or `*` for all")]
    NotAnAddress,
    /// The host has no address.
    #[error("cannot be resolved: {0}")]
    NotResolved(String),
    /// Neither an answer nor a refusal came.
    #[error("{0}")]
    TimedOut(&'static str),
    /// The system's word.
    #[error("{}", in_words(.0))]
    System(#[from] io::Error),
}

impl Refusal {
    /// What the client is told of a target.
    pub(super) fn to_failure(&self, target: &str) -> ChannelOpenFailure {
        let code = match self {
            Self::NotLoggedIn | Self::Prohibited => ADMINISTRATIVELY_PROHIBITED,
            Self::TooMany | Self::TooManyListeners => RESOURCE_SHORTAGE,
            Self::System(error) if is_shortage(error) => RESOURCE_SHORTAGE,
            _ => CONNECT_FAILED,
        };
        let reason = if code == CONNECT_FAILED { format!("connect to {target}: {self}") } else { self.to_string() };
        ChannelOpenFailure::Other { code, reason }
    }
}

/// Whether the system has no descriptor, or no memory, to give.
pub(super) fn is_shortage(error: &io::Error) -> bool {
    let short = [Errno::EMFILE, Errno::ENFILE, Errno::ENOMEM, Errno::ENOBUFS];
    error.raw_os_error().is_some_and(|number| short.contains(&Errno::from_raw(number)))
}

/// `connection refused` rather than `Connection refused (os error 111)`.
pub(super) fn in_words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(number) => Errno::from_raw(number).desc().to_lowercase(),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_learns_the_number_and_why() {
        let told = |refusal: Refusal| match refusal.to_failure("db:5432") {
            ChannelOpenFailure::Other { code, reason } => (code, reason),
            other => panic!("{other:?}"),
        };
        let system = |errno: Errno| Refusal::System(errno.into());
        let refused = "connect to db:5432: connection refused".to_owned();
        assert_eq!(told(system(Errno::ECONNREFUSED)), (CONNECT_FAILED, refused));
        assert_eq!(told(system(Errno::EMFILE)).0, RESOURCE_SHORTAGE);
        assert_eq!(told(Refusal::TooMany), (RESOURCE_SHORTAGE, "too many forwards at once".to_owned()));
        assert_eq!(told(Refusal::Prohibited).0, ADMINISTRATIVELY_PROHIBITED);
        assert_eq!(told(Refusal::NotAbsolute).1, "connect to db:5432: not an absolute path");
    }
}

//! How SFTP fails.

use ssh_flow::FlowError;

use super::reply::{Malformed, StatusCode};
use crate::ssh::SshError;

/// Why a request has no answer, or no good one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SftpError {
    /// There is no channel.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The server has no SFTP.
    #[error("the server has no SFTP subsystem")]
    NoSubsystem,
    /// The server speaks another version.
    #[error("the server speaks version {version} of SFTP, not 3")]
    Version {
        /// What it speaks.
        version: u32,
    },
    /// The server says no.
    #[error("{}", told(*code, message))]
    Status {
        /// Why.
        code: StatusCode,
        /// The server's words, without control characters.
        message: String,
    },
    /// The server's answer cannot be understood.
    #[error("the server broke the protocol: {0}")]
    Malformed(&'static str),
    /// The channel is closed.
    #[error("the server closed the SFTP channel")]
    Closed,
    /// The peer broke flow control.
    #[error("the SFTP channel failed: {0}")]
    Flow(String),
}

impl From<Malformed> for SftpError {
    fn from(Malformed(what): Malformed) -> Self {
        Self::Malformed(what)
    }
}

impl From<FlowError> for SftpError {
    fn from(error: FlowError) -> Self {
        match error {
            FlowError::Closed => Self::Closed,
            other => Self::Flow(other.to_string()),
        }
    }
}

impl SftpError {
    /// Passes over what only this request suffered from.
    pub(crate) fn unless_end(self) -> Result<(), Self> {
        if self.is_end() { Err(self) } else { Ok(()) }
    }

    /// Whether no further request will be answered.
    pub(crate) const fn is_end(&self) -> bool {
        !matches!(self, Self::Status { .. })
    }
}

fn told(code: StatusCode, message: &str) -> String {
    let known = match code {
        StatusCode::NoSuchFile => "no such file or directory",
        StatusCode::PermissionDenied => "permission denied",
        StatusCode::Unsupported => "the server cannot do that",
        StatusCode::Eof => "end of file",
        // OpenSSH's server says no more than "Failure" of a full disk, a name that is taken, a directory in the way.
        _ if message.is_empty() || message == "Failure" => {
            "the server failed (its disk may be full, or the name taken)"
        }
        _ => return message.to_owned(),
    };
    known.to_owned()
}

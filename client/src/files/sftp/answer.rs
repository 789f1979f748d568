//! An answer as its request needs it, or why it is another.

use bytes::Bytes;

use super::attributes::Attributes;
use super::error::SftpError;
use super::reply::{Name, Reply, StatusCode};

/// Longest handle (draft-ietf-secsh-filexfer-02, section 6.3).
const LONGEST_HANDLE: usize = 256;

impl Reply {
    pub(super) fn done(self) -> Result<(), SftpError> {
        match self {
            Self::Status { code: StatusCode::Ok, .. } => Ok(()),
            other => Err(other.instead()),
        }
    }

    pub(super) fn handle(self) -> Result<Bytes, SftpError> {
        match self {
            Self::Handle(handle) if handle.len() <= LONGEST_HANDLE => Ok(handle),
            other => Err(other.instead()),
        }
    }

    pub(super) fn data(self) -> Result<Bytes, SftpError> {
        if let Self::Data(data) = self { Ok(data) } else { Err(self.instead()) }
    }

    pub(super) fn names(self) -> Result<Vec<Name>, SftpError> {
        if let Self::Names(names) = self { Ok(names) } else { Err(self.instead()) }
    }

    pub(super) fn attributes(self) -> Result<Attributes, SftpError> {
        if let Self::Attributes(attributes) = self { Ok(attributes) } else { Err(self.instead()) }
    }

    pub(super) fn extended(self) -> Result<Bytes, SftpError> {
        if let Self::Extended(data) = self { Ok(data) } else { Err(self.instead()) }
    }

    /// What an answer that was not hoped for says.
    fn instead(self) -> SftpError {
        match self {
            Self::Status { code: StatusCode::Ok, .. } => SftpError::Malformed("success where a value belongs"),
            Self::Status { code, message } => SftpError::Status { code, message },
            _ => SftpError::Malformed("an answer to another request"),
        }
    }
}

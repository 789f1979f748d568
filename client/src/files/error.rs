//! How copying fails: each failure names its file.

use std::io;
use std::path::PathBuf;

use super::place::{shown, shown_local};
use super::sftp::{SftpError, StatusCode};
use crate::error::Advice;
use crate::ssh::SshError;

/// Why a copy as a whole did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is no SFTP, or none any more.
    #[error("cannot copy files: {cause}")]
    Sftp {
        /// Why.
        cause: String,
        /// What may help.
        hints: Vec<String>,
    },
    /// Something on this machine is in the way, and nothing was begun.
    #[error("{cause}")]
    Here {
        /// What.
        cause: String,
        /// What may help.
        hints: Vec<String>,
    },
    /// The connection was lost on the way.
    #[error("{cause}; the copy is not complete")]
    Lost {
        /// How.
        cause: SshError,
        /// Whether what came over can be gone on with.
        resume: bool,
    },
    /// Some files were not copied; each was told.
    #[error("{failed} of {all} files and directories were not copied")]
    Incomplete {
        /// How many failed.
        failed: u64,
        /// How many there were.
        all: u64,
    },
    /// We were told to stop.
    #[error("the copy was cancelled")]
    Cancelled,
}

impl From<SftpError> for CopyError {
    fn from(error: SftpError) -> Self {
        let hints = match &error {
            SftpError::Ssh(error) => error.hints(),
            SftpError::NoSubsystem => {
                vec![
                    "the image's SSH server must offer SFTP, as our init does; without it: -- tar c DIR >FILE"
                        .to_owned(),
                ]
            }
            _ => Vec::new(),
        };
        Self::Sftp { cause: error.to_string(), hints }
    }
}

impl Advice for CopyError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Sftp { hints, .. } | Self::Here { hints, .. } => hints.clone(),
            Self::Lost { resume: true, .. } => {
                vec!["the same command goes on where this one ended, with what still exists".to_owned()]
            }
            Self::Lost { cause, resume: false } => {
                let resume = "with --resume, a copy can be gone on with".to_owned();
                cause.hints().into_iter().chain([resume]).collect()
            }
            Self::Incomplete { .. } | Self::Cancelled => Vec::new(),
        }
    }
}

/// Why one file was not copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// Our own side.
    #[error("cannot {action} {}: {source}", shown_local(path))]
    Local {
        /// What was tried.
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// Our standard input or output.
    #[error("cannot {action}: {source}")]
    Stream { action: &'static str, source: io::Error },
    /// The task's side.
    #[error("cannot {action} {} in the task: {source}", shown(path))]
    Remote {
        /// What was tried.
        action: &'static str,
        path: Vec<u8>,
        source: SftpError,
    },
    #[error("{path} is a directory")]
    Directory { path: String },
    #[error("{path} is no directory")]
    NotADirectory { path: String },
    /// What was or is to be a file is something else.
    #[error("{path} is there, and is no file")]
    NotAFile { path: String },
    #[error("{path} is a symbolic link to a directory that it lies in")]
    Loop { path: String },
    #[error("{path} became shorter while it was copied")]
    Shorter { path: String },
    #[error("{path} is another file than was sent: its SHA-256 is {there}, not {here}")]
    Digest { path: String, here: String, there: String },
    /// A server must not choose where we write.
    #[error("the server lists {name} in {directory}, which is no name of a file: it is passed over")]
    Name { name: String, directory: String },
}

impl FileError {
    pub(super) fn local(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Local { action, path, source }
    }

    pub(super) fn remote(action: &'static str, path: &[u8]) -> impl FnOnce(SftpError) -> Self {
        move |source| Self::Remote { action, path: path.to_owned(), source }
    }

    /// Whether no other file can be copied either.
    pub(super) const fn is_end(&self) -> bool {
        matches!(self, Self::Remote { source, .. } if source.is_end())
    }
}

impl Advice for FileError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Directory { .. } => "directories are copied with -r",
            Self::NotAFile { .. } => "`-` is standard input or output",
            Self::Shorter { .. } | Self::Digest { .. } => "somebody may be writing it: copy it again",
            Self::Local { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                "nothing is left under its name; free some space and copy it again"
            }
            Self::Remote { source: SftpError::Status { code: StatusCode::PermissionDenied, .. }, .. } => {
                "the session's user may not: see --user"
            }
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

//! Which key the host has to show, or where it will be read once there is a task.

use super::{Given, PlanError};
use crate::announcement::{NoLog, Place};
use crate::options::HostKeyMode;
use crate::ssh::host_key::HostKey;

/// How the host is told from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpectedKey {
    /// It is known before there is a task.
    Known(HostKey),
    /// The container makes it and announces it in its log.
    Logged(Place),
}

impl ExpectedKey {
    /// What the mode means for this run.
    ///
    /// # Errors
    /// [`PlanError::NoLog`] when nobody has looked up where the log is.
    pub(super) fn new(mode: HostKeyMode, given: &Given) -> Result<Self, PlanError> {
        Ok(match mode {
            HostKeyMode::Pinned => Self::Known(HostKey::Pinned(given.host_seed.public_key())),
            HostKeyMode::AcceptNew => Self::Known(HostKey::AcceptNew),
            HostKeyMode::Logs => Self::Logged(given.log.clone().ok_or(NoLog::NotRead)?),
        })
    }

    /// Where the key will be read, if it will.
    #[must_use]
    pub const fn log(&self) -> Option<&Place> {
        match self {
            Self::Known(_) => None,
            Self::Logged(place) => Some(place),
        }
    }

    /// The value of `--host-key` that means it.
    #[must_use]
    pub const fn mode(&self) -> &'static str {
        match self {
            Self::Known(HostKey::Pinned(_)) => "pinned",
            Self::Known(HostKey::AcceptNew) => "accept-new",
            Self::Known(HostKey::Announced(_)) | Self::Logged(_) => "logs",
        }
    }
}

//! How a session's process ended, for the client, the log and the container's exit code.

use std::fmt;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use nix::sys::signal::Signal;
use russh::ChannelId;
use russh::server::{Handle, Msg};
use serde::{Deserialize, Serialize};
use ssh_flow::ChannelSender;

use super::signals;

/// What a shell adds to a signal's number.
const SIGNAL_BASE: i32 = 128;
/// Code of a session whose end nobody saw; OpenSSH's for its own failures.
const UNKNOWN: u8 = 255;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Exited(u8),
    Signaled {
        number: i32,
        core_dumped: bool,
    },
    /// It outlived its session.
    Unknown,
}

impl From<ExitStatus> for Outcome {
    fn from(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(u8::try_from(code).unwrap_or(UNKNOWN)),
            (None, Some(number)) => Self::Signaled { number, core_dumped: status.core_dumped() },
            (None, None) => Self::Unknown,
        }
    }
}

impl Outcome {
    /// The exit code; 128 + n for signal n.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled { number, .. } => u8::try_from(SIGNAL_BASE + number).unwrap_or(UNKNOWN),
            Self::Unknown => UNKNOWN,
        }
    }

    /// Whether the hang-up of its terminal ended it.
    pub(crate) fn is_hangup(self) -> bool {
        matches!(self, Self::Signaled { number, .. } if number == Signal::SIGHUP as i32)
    }

    /// Tells the client, as [`Outcome::announce`], then closes the channel.
    pub(super) async fn tell(self, sender: &ChannelSender<Msg>, handle: &Handle, channel: ChannelId) {
        self.announce(sender, handle, channel).await;
        let _ = sender.close().await;
    }

    /// Tells the client: end of data, then exit-status or exit-signal (RFC 4254, section 6.10), behind all output. A client that
    /// has gone need not be told.
    pub(super) async fn announce(self, sender: &ChannelSender<Msg>, handle: &Handle, channel: ChannelId) {
        let _ = sender.eof().await;
        match self {
            Self::Signaled { number, core_dumped } => {
                let name = signals::to_wire(number);
                let _ = handle.exit_signal_request(channel, name, core_dumped, String::new(), String::new()).await;
            }
            Self::Exited(_) | Self::Unknown => {
                let _ = sender.requests().exit_status(u32::from(self.code())).await;
            }
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(_) => f.write_str("exited"),
            Self::Signaled { number, .. } => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "killed by {signal}"),
                Err(_) => write!(f, "killed by signal {number}"),
            },
            Self::Unknown => f.write_str("left running"),
        }
    }
}

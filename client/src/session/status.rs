//! How the remote program ended, and what that is as an exit status of ours.

use std::str::FromStr as _;

use nix::sys::signal::Signal;

use crate::error::EXIT_FAILURE;

/// Shells report a death by signal n as 128 + n (POSIX, Shell Command Language, 2.8.2).
const SIGNAL_BASE: i32 = 128;

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    /// The remote program's own exit status.
    Code(u32),
    /// The remote program died of a signal.
    Signal {
        /// Without `SIG` (RFC 4254, section 6.10).
        name: String,
        /// Whether it left a core dump.
        core_dumped: bool,
        /// The server's words.
        message: String,
    },
    /// The user left with an escape; what the remote program does now, nobody knows.
    Left,
}

impl ExitStatus {
    /// As a program that wrote to a closed pipe ends.
    pub(super) fn broken_pipe() -> Self {
        Self::Signal { name: "PIPE".to_owned(), core_dumped: false, message: String::new() }
    }

    /// The exit status of this program: the remote's own (its low 8 bits), 128 + n for a signal, 255 when the user left.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Code(code) => (code & 0xff) as u8,
            Self::Signal { name, .. } => Signal::from_str(&format!("SIG{name}"))
                .ok()
                .and_then(|signal| u8::try_from(SIGNAL_BASE + signal as i32).ok())
                .unwrap_or(EXIT_FAILURE),
            Self::Left => EXIT_FAILURE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_the_remotes_own_and_signals_are_128_and_more() {
        let signal =
            |name: &str| ExitStatus::Signal { name: name.to_owned(), core_dumped: false, message: String::new() };
        for (status, code) in [
            (ExitStatus::Code(0), 0),
            (ExitStatus::Code(7), 7),
            (ExitStatus::Code(255), 255),
            (ExitStatus::Code(256 + 3), 3),
            (signal("TERM"), 143),
            (signal("KILL"), 137),
            (signal("USR1"), 138),
            (signal("SEGV"), 139),
            (signal("no such"), 255),
            (ExitStatus::broken_pipe(), 141),
            (ExitStatus::Left, 255),
        ] {
            assert_eq!(status.exit_code(), code, "{status:?}");
        }
    }
}

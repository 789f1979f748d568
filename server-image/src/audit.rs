//! How much of what users do is told in the log: what the image or the task definition says, not the grant.

use std::ffi::{OsStr, OsString};

use crate::engine::Engine;

/// The variable that says whether the text of commands is told: `on` (the default) or `off`.
pub const COMMANDS_VARIABLE: &str = "FARGATE_INIT_AUDIT_COMMANDS";
/// The variable that says whether what terminals show is sent to the log: `log`, or `off` (the default).
pub const RECORD_VARIABLE: &str = "FARGATE_INIT_RECORD";

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Whether `session_start` has the command's text.
    pub commands: bool,
    /// Whether sessions with a terminal are recorded.
    pub record: bool,
}

impl Default for Audit {
    fn default() -> Self {
        Self { commands: true, record: false }
    }
}

/// Why it is not known how much is to be told. Each says what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A variable holds another word.
    #[error("{name} is {found:?}: it may be {expected}")]
    Unknown {
        /// The variable.
        name: &'static str,
        /// What it holds.
        found: String,
        /// What it may hold.
        expected: &'static str,
    },
    /// Recording is asked for where the bytes do not pass through us.
    #[error(
        "{RECORD_VARIABLE} is `log`, but the engine `openssh` keeps what its sessions show to itself: choose the engine `russh`, or unset \
         {RECORD_VARIABLE}"
    )]
    NothingToRecord,
}

impl Audit {
    /// What the container's environment says; `lookup` answers a variable's value.
    ///
    /// # Errors
    /// [`AuditError`]: what was asked for and cannot be had is not passed over.
    pub fn from_variables(lookup: impl Fn(&str) -> Option<OsString>, engine: Engine) -> Result<Self, AuditError> {
        let word = |name| lookup(name).as_deref().map(OsStr::to_string_lossy).map(std::borrow::Cow::into_owned);
        let commands = match word(COMMANDS_VARIABLE) {
            None => true,
            Some(word) if word == "on" => true,
            Some(word) if word == "off" => false,
            Some(found) => {
                let expected = "`on` (the default) or `off`";
                return Err(AuditError::Unknown { name: COMMANDS_VARIABLE, found, expected });
            }
        };
        let record = match word(RECORD_VARIABLE) {
            None => false,
            Some(word) if word == "off" => false,
            Some(word) if word == "log" => true,
            Some(found) => {
                let expected = "`log` or `off` (the default)";
                return Err(AuditError::Unknown { name: RECORD_VARIABLE, found, expected });
            }
        };
        match (record, engine) {
            (true, Engine::OpenSsh) => Err(AuditError::NothingToRecord),
            _ => Ok(Self { commands, record }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)], engine: Engine) -> Result<Audit, AuditError> {
        let lookup = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        Audit::from_variables(lookup, engine)
    }

    #[test]
    fn commands_are_told_and_nothing_is_recorded_unless_said_otherwise() {
        assert_eq!(read(&[], Engine::Russh).expect("the default"), Audit::default());
        let both = [(COMMANDS_VARIABLE, "off"), (RECORD_VARIABLE, "log")];
        assert_eq!(read(&both, Engine::Russh).expect("words"), Audit { commands: false, record: true });
        let spelled_out = [(COMMANDS_VARIABLE, "on"), (RECORD_VARIABLE, "off")];
        assert_eq!(read(&spelled_out, Engine::OpenSsh).expect("words"), Audit::default());
    }

    #[test]
    fn what_cannot_be_had_is_refused() {
        for (name, value) in [(COMMANDS_VARIABLE, "no"), (COMMANDS_VARIABLE, ""), (RECORD_VARIABLE, "s3")] {
            let told = read(&[(name, value)], Engine::Russh).expect_err("no such word").to_string();
            assert!(told.contains(name) && told.contains("`off`"), "{told}");
        }
        let told = read(&[(RECORD_VARIABLE, "log")], Engine::OpenSsh).expect_err("no bytes").to_string();
        assert!(told.contains("unset FARGATE_INIT_RECORD"), "{told}");
    }
}

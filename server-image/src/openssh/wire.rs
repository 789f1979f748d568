//! What a session's attendant and the desk say to each other: a line of JSON each way, the environment, one byte to end, a line
//! to report.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::environment::Variables;

/// Longest line that either side reads, in bytes: a command as the log tells it, each byte of which JSON may escape with six.
pub(super) const LINE_MAX: u64 = 64 * 1024;

/// The desk asks for the session's end.
pub(super) const STOP: u8 = b's';
/// The desk has taken the report.
pub(super) const TAKEN: u8 = b'k';

/// The attendant's first line.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Hello {
    pub(super) kind: Kind,
    /// As the log tells it.
    pub(super) command: Option<String>,
    pub(super) command_bytes: usize,
    pub(super) terminal: bool,
}

/// What a session runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Shell,
    Exec,
    Subsystem,
}

impl Kind {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Shell => "shell",
            Self::Exec => "exec",
            Self::Subsystem => "subsystem",
        }
    }
}

/// The desk's first line; the environment follows it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Welcome {
    /// Soft and hard limit of core dumps, in bytes.
    pub(super) core_limit: (u64, u64),
    /// Where the session starts, if not in its home.
    pub(super) directory: Option<PathBuf>,
    pub(super) environment_bytes: usize,
}

/// The variables as `NAME=value` records, each ended by NUL: every byte that an environment can hold.
pub(super) fn encode(variables: &Variables) -> Vec<u8> {
    let mut records = Vec::new();
    for (name, value) in variables {
        records.extend_from_slice(name.as_bytes());
        records.push(b'=');
        records.extend_from_slice(value.as_bytes());
        records.push(0);
    }
    records
}

/// Reads what [`encode`] wrote.
pub(super) fn decode(records: &[u8]) -> Variables {
    let text = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    let records = records.split(|byte| *byte == 0).filter_map(|record| {
        let end = record.iter().position(|byte| *byte == b'=')?;
        Some((text(&record[..end]), text(&record[end + 1..])))
    });
    records.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_arrives() {
        let every: Vec<u8> = (1..=255).collect();
        let variables: Variables = vec![
            ("A".into(), OsString::from_vec(every)),
            ("EMPTY".into(), OsString::new()),
            ("B".into(), "x=y\n'\"".into()),
        ];
        assert_eq!(decode(&encode(&variables)), variables);
        assert_eq!(decode(b""), Variables::new());
    }
}

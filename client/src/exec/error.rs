//! Why there is no command in the container, or no status of it.

use crate::aws::ServiceError;
use crate::error::{Advice, EXIT_FAILURE, EXIT_USAGE};
use crate::listing::describe::DescribeError;
use crate::listing::tasks::NoService;
use crate::recording::RecordError;
use crate::session::SessionError;
use crate::ssm::SsmError;

use super::ask::Several;
use super::missing::Missing;

/// What is known of a session that nobody could join.
const AT_ONCE: &str = "its session was over at once";

/// What went wrong, in the order in which it can.
#[derive(Debug, thiserror::Error)]
pub(super) enum ExecError {
    /// AWS refuses a call.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// There is no recording.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The task that was named is not there.
    #[error(transparent)]
    Task(#[from] DescribeError),
    /// The service that was named is not there.
    #[error(transparent)]
    NoService(#[from] NoService),
    /// Nothing runs there.
    #[error("no task {of}runs {place}")]
    NothingRuns {
        /// `of service web `, or nothing.
        of: String,
        /// Where it was looked.
        place: String,
    },
    /// There is a choice, and nobody to make it.
    #[error(transparent)]
    Several(#[from] Several),
    /// The question was not answered.
    #[error("nothing was chosen")]
    NotChosen,
    /// ECS Exec cannot work there.
    #[error(transparent)]
    Missing(#[from] Missing),
    /// The session failed, or was ended.
    #[error(transparent)]
    Ssm(#[from] SsmError),
    /// The container cannot start the wrapper.
    #[error("the container has no shell to tell the command's exit status: {words}")]
    NoShell {
        /// The agent's words.
        words: String,
    },
    /// The container cannot start the bare command.
    #[error("the container cannot start the command: {words}")]
    NotStarted {
        /// The agent's words.
        words: String,
    },
    /// The wrapper ended before it began the command.
    #[error("the shell of the container did not run the command{}", said(.words))]
    NotBegun {
        /// What it said.
        words: String,
    },
    /// The session ended before the command was known to have.
    #[error("the session ended without the command's exit status")]
    NoStatus,
    /// Our own streams failed.
    #[error(transparent)]
    Streams(#[from] SessionError),
    /// A signal came.
    #[error("cancelled")]
    Cancelled,
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

impl ExecError {
    /// What a session means that ended before anything was printed. Fragments of the words with which an agent ends a session whose
    /// program it cannot start (amazon-ssm-agent, `agent/session/shell`: "Unable to start command: Failed to start pty: ..."), and Go's for
    /// why.
    pub(super) fn of_start(error: SsmError, bare: bool) -> Self {
        const NO_PROGRAM: [&str; 4] =
            ["unable to start", "failed to start pty", "no such file or directory", "executable file not found"];
        match error {
            SsmError::Ended { words } if NO_PROGRAM.iter().any(|part| words.to_ascii_lowercase().contains(part)) => {
                if bare {
                    Self::NotStarted { words }
                } else {
                    Self::NoShell { words }
                }
            }
            // The program was gone before we were there to hear why.
            SsmError::OverMeanwhile => {
                let words = AT_ONCE.to_owned();
                if bare { Self::NotStarted { words } } else { Self::NotBegun { words } }
            }
            other => Self::Ssm(other),
        }
    }

    /// Exit status of the program.
    pub(super) const fn exit_code(&self) -> u8 {
        match self {
            Self::Several(_) | Self::Record(_) => EXIT_USAGE,
            _ => EXIT_FAILURE,
        }
    }
}

impl Advice for ExecError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Service(error) => return error.hints(),
            Self::Record(RecordError::NoTerminal) => {
                "run it on a terminal, without `-T`; a command's output can be redirected"
            }
            Self::Record(error) => return error.hints(),
            Self::Task(error) => return error.hints(),
            Self::NoService(error) => return error.hints(),
            Self::Several(error) => return error.hints(),
            Self::Missing(error) => return error.hints(),
            Self::Ssm(error) => return error.hints(),
            Self::Streams(error) => return error.hints(),
            Self::NothingRuns { .. } => {
                "`fargate-login services` shows how services stand, `fargate-login tasks --stopped` why tasks have ended; `-cluster NAME` looks elsewhere"
            }
            Self::NotChosen => "name it with `--service`, `--task` or `--container`",
            Self::NoShell { .. } => {
                "`--no-shell -- PROGRAM [ARGUMENT]...` starts a program as it is; its exit status is not known then"
            }
            Self::NotStarted { .. } => "name a program that the container has, by its whole path",
            Self::NotBegun { .. } => "`--no-shell -- PROGRAM [ARGUMENT]...` goes without that shell",
            Self::NoStatus => {
                "the container may have ended, or was killed for want of memory: `fargate-login describe TASK` says how it stands"
            }
            Self::Cancelled => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_without_a_shell_is_told_from_a_session_that_ends() {
        let of = |words: &str, bare| ExecError::of_start(SsmError::from_closing(words).expect("words"), bare);
        for words in [
            "\n----------ERROR-------\nUnable to start command: Failed to start pty: fork/exec /bin/sh: no such file or directory\n\n",
            "Unable to start command: Failed to start pty: exec: \"sh\": executable file not found in $PATH",
        ] {
            let error = of(words, false);
            assert!(matches!(error, ExecError::NoShell { .. }), "{error}");
            assert!(error.hints()[0].contains("--no-shell"));
            assert!(matches!(of(words, true), ExecError::NotStarted { .. }), "{words}");
        }
        let gone = |bare| ExecError::of_start(SsmError::OverMeanwhile, bare).to_string();
        assert!(gone(false).contains("did not run the command: its session was over at once"), "{}", gone(false));
        assert!(gone(true).contains("cannot start the command: its session was over at once"), "{}", gone(true));
        let idle = of("Your session timed out due to inactivity and has been terminated.", false);
        assert!(matches!(idle, ExecError::Ssm(SsmError::Idle { .. })), "{idle}");
    }
}

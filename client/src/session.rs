//! One session: a shell, a command or a pipe on the remote, with our own standard streams, until its channel is closed.

mod ask;
pub mod command;
mod conversation;
pub(crate) mod drain;
pub mod escape;
pub(crate) mod feed;
pub mod input;
#[cfg(test)]
mod lost_connection;
pub mod modes;
pub mod output;
pub mod status;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod way_back;

use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use bytes::Bytes;
use ssh_flow::FlowError;
use tokio_util::sync::CancellationToken;

use crate::checkpoint::checkpoint;
use crate::error::Advice;
use crate::options::{EscapeChar, RemoteCommand, Tty};
use crate::recording::Recorder;
use crate::ssh::{Connection, SshError};
use conversation::Conversation;
use drain::Outputs;
use feed::{Keyboard, Typed};
use input::Input;
pub use status::ExitStatus;
use terminal::Terminal;
use way_back::WayBack;

/// Time for last words on the way out of a session that is not at its end: its channel or its output may be stuck.
const LAST_WORDS: Duration = Duration::from_millis(200);
/// What `-t` says when it can do nothing.
const NO_PTY: &str = "No terminal for the remote: standard input is none (-tt asks for one all the same)\n";

/// What to run, and how.
#[derive(Clone, Debug, Default)]
pub struct SessionRequest {
    /// The program, or the login shell.
    pub command: RemoteCommand,
    /// Whether the remote shall have a terminal.
    pub tty: Tty,
    /// Character that starts an escape, with a terminal; `None` is `~`.
    pub escape: Option<EscapeChar>,
    /// Variables for the remote, which may ignore them.
    pub set_env: Vec<(String, String)>,
    /// How long to try to come back to a session with a terminal whose connection was lost; zero never tries.
    pub reconnect_grace: Duration,
    /// No talk of our own about lost connections.
    pub quiet: bool,
    /// Where what is shown is recorded, if it is.
    pub recorder: Option<Recorder>,
    /// Whether the remote shall be told of our agent.
    pub agent: bool,
}

/// The standard streams of a session.
#[derive(Debug)]
pub struct Stdio {
    /// What the remote reads.
    pub stdin: OwnedFd,
    /// What the remote writes.
    pub stdout: OwnedFd,
    /// The remote's errors, and our own words about the session.
    pub stderr: OwnedFd,
}

impl Stdio {
    /// Our own streams.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn inherited() -> io::Result<Self> {
        Ok(Self {
            stdin: io::stdin().as_fd().try_clone_to_owned()?,
            stdout: io::stdout().as_fd().try_clone_to_owned()?,
            stderr: io::stderr().as_fd().try_clone_to_owned()?,
        })
    }
}

/// Why a session has no exit status.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The connection failed, or ended under the session.
    #[error(transparent)]
    Ssh(#[from] SshError),
    /// The connection was lost, and there was no way back in time.
    #[error("{cause}; no way back to the session within {} s", .after.as_secs_f64())]
    NotResumed {
        /// The limit.
        after: Duration,
        /// How the connection was lost.
        cause: SshError,
    },
    /// The connection was lost, and the server does not give the session back.
    #[error("the connection was lost, and the server has given the session up")]
    ResumeRefused,
    /// The peer broke flow control.
    #[error(transparent)]
    Flow(#[from] FlowError),
    /// No program's argument can hold a NUL.
    #[error("the command contains a NUL byte")]
    NulInCommand,
    /// The server gives no terminal.
    #[error("the server gives this session no terminal")]
    PtyRefused,
    /// The server does not run what was asked for.
    #[error("the server refuses to run the command")]
    CommandRefused,
    /// The server closed the channel and did not say how the program ended.
    #[error("the server closed the session without an exit status")]
    NoStatus,
    /// What is forwarded beside the session cannot be any more.
    #[error(transparent)]
    Forward(#[from] crate::forward::ForwardError),
    /// Our standard input cannot be read.
    #[error("cannot read standard input: {0}")]
    Input(io::Error),
    /// Our standard output cannot be written.
    #[error("cannot write standard output: {0}")]
    Output(io::Error),
    /// The streams cannot be set up.
    #[error("cannot set up the standard streams: {0}")]
    Stdio(io::Error),
    /// We were told to stop.
    #[error("the session was cancelled")]
    Cancelled,
}

impl Advice for SessionError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Ssh(error) => error.hints(),
            Self::Forward(error) => error.hints(),
            Self::NotResumed { .. } => {
                vec!["the container ends the session too; `--reconnect-grace` sets for how long both wait".to_owned()]
            }
            Self::ResumeRefused => vec!["its shell was hung up: log in again".to_owned()],
            Self::PtyRefused => vec!["run it without a terminal: -T".to_owned()],
            Self::CommandRefused => vec!["the image may have no shell: the container's log says more".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// Runs one session on our own standard streams. A session with a terminal that loses its connection goes on over another, which
/// `connection` is then.
///
/// When the reader of our standard output goes away, the session ends as if the remote had written to the closed pipe
/// itself: with SIGPIPE, that is exit status 141.
///
/// # Errors
/// [`SessionError`]; the terminal is restored in any case.
pub async fn run(
    connection: &mut Connection,
    request: SessionRequest,
    way: &impl WayBack,
    cancel: CancellationToken,
) -> Result<ExitStatus, SessionError> {
    run_on(connection, request, Stdio::inherited().map_err(SessionError::Stdio)?, way, cancel).await
}

/// [`run`], on any streams.
///
/// # Errors
/// See [`run`].
pub async fn run_on(
    connection: &mut Connection,
    request: SessionRequest,
    stdio: Stdio,
    way: &impl WayBack,
    cancel: CancellationToken,
) -> Result<ExitStatus, SessionError> {
    let line = command::line(&request.command)?;
    let terminal = Terminal::of(stdio.stdin.as_fd()).map_err(SessionError::Stdio)?;
    let pty = wants_pty(request.tty, line.is_none(), terminal.is_some());
    let outputs = Outputs::start(stdio.stdout, stdio.stderr, request.recorder.as_ref()).map_err(SessionError::Stdio)?;
    if request.tty == Tty::Request && !pty {
        // A closed stderr leaves nobody to tell.
        let _ = outputs.stderr.write(Bytes::from_static(NO_PTY.as_bytes())).await;
    }
    let (sender, receiver) = tokio::select! {
        opened = connection.open_session() => opened?,
        () = cancel.cancelled() => return Err(SessionError::Cancelled),
    };
    let (keyboard, changes) =
        Keyboard::open(terminal.filter(|_| pty), pty, request.escape).map_err(SessionError::Stdio)?;
    let keyboard = keyboard.recorded(request.recorder.clone().filter(|_| pty));
    checkpoint("after-raw-mode", &cancel).await;
    let input = Input::open(stdio.stdin).map_err(SessionError::Stdio)?;
    let id = (pty && !request.reconnect_grace.is_zero() && connection.is_to_our_init()).then(conversation::new_id);
    let (typed_tx, typed) = Typed::new(&keyboard, id.is_some());
    let mut conversation = Conversation::new(&keyboard, &outputs, changes, typed, sender, id);
    let visit = async {
        let pty = pty.then_some(keyboard.terminal());
        tokio::select! {
            ended = conversation.hold(connection, receiver, pty, &request, line, way) => ended,
            left = feed::read(input, &keyboard, typed_tx, &outputs.stderr) => left,
        }
    };
    let ended = tokio::select! {
        ended = visit => ended,
        () = cancel.cancelled() => Err(SessionError::Cancelled),
    };
    conversation.leave(matches!(ended, Ok(Ended::Closed(_)))).await;
    // The terminal is raw until the last byte is written: what the remote sent is meant for it.
    outputs.finish(ended, &cancel).await
}

/// As `ssh` decides it: a terminal for a shell, or on request, if we have one ourselves.
pub(crate) fn wants_pty(tty: Tty, shell: bool, on_terminal: bool) -> bool {
    match tty {
        Tty::Auto => shell && on_terminal,
        Tty::Request => on_terminal,
        Tty::Force => true,
        Tty::Never => false,
    }
}

/// How a visit ended that nothing went wrong with.
#[derive(Debug)]
pub(crate) enum Ended {
    /// The channel is closed, and everything it brought is queued for output.
    Closed(ExitStatus),
    /// Standard output cannot be written any more.
    OutputClosed,
    /// The user typed `~.`.
    Left,
}

#[cfg(test)]
mod decisions {
    use super::*;

    #[test]
    fn a_terminal_is_asked_for_as_ssh_does() {
        let table = [
            (Tty::Auto, true, true, true),
            (Tty::Auto, true, false, false),
            (Tty::Auto, false, true, false),
            (Tty::Request, false, true, true),
            (Tty::Request, true, false, false),
            (Tty::Force, false, false, true),
            (Tty::Never, true, true, false),
        ];
        for (tty, shell, on_terminal, expected) in table {
            assert_eq!(wants_pty(tty, shell, on_terminal), expected, "{tty:?}, shell {shell}, terminal {on_terminal}");
        }
    }
}

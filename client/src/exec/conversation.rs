//! One session: what is typed goes to the command, what it prints comes back, and its status is taken out of that.

use std::convert::Infallible;
use std::os::fd::AsFd as _;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::options::EscapeChar;
use crate::recording::Recorder;
use crate::session::drain::Outputs;
use crate::session::feed::Keyboard;
use crate::session::input::Input;
use crate::session::output::Closed;
use crate::session::terminal::{self, Terminal};
use crate::session::{Ended, ExitStatus, SessionError, Stdio};
use crate::signals::Stop;
use crate::ssm::shell::{self, Output, Shell};
use crate::ssm::{Services, Session, SsmError};
use crate::ui::Ui;

use super::canonical::{END_OF_FILE, NUDGE};
use super::error::ExecError;
use super::feeding::{Ends, NUDGE_FIRST, tell};
use super::marker::{Markers, Nonce, Piece};
use super::new_lines::NewLines;
use super::wrapper::Mode;

/// How long the beginning of a marker is held back from a terminal: longer than the two halves of one are apart.
const DOUBT: Duration = Duration::from_millis(100);
/// How long the wrapper may take to end once it may: a lost connection may have to come back for that.
const FAREWELL: Duration = Duration::from_secs(15);
/// What is kept of the words before the wrapper began.
const BEFORE_MAX: usize = 4096;

/// How a session is led.
#[derive(Debug)]
pub(super) struct Manner {
    pub(super) mode: Mode,
    /// Without the wrapper.
    pub(super) bare: bool,
    pub(super) escape: Option<EscapeChar>,
    pub(super) nonce: Nonce,
    /// Where what is shown is recorded, if it is.
    pub(super) recorder: Option<Recorder>,
}

/// How a session was left.
#[derive(Debug)]
pub(super) struct Left {
    /// What came of it.
    pub(super) status: Result<ExitStatus, ExecError>,
    /// Whether it is over; otherwise somebody has to end it.
    pub(super) is_over: bool,
}

/// How the command was heard to end.
enum Heard {
    Exit(u8),
    /// The session ended without a word about the command.
    Silence,
}

/// Leads a session on our own standard streams until the command ends, the user leaves, or a signal comes. The terminal is restored in
/// every case.
pub(super) async fn hold(session: Session, services: Services, manner: &Manner, ui: &Ui, stop: &Stop) -> Left {
    let streams = match Streams::open(manner) {
        Ok(streams) => streams,
        Err(error) => return Left { status: Err(SessionError::Stdio(error).into()), is_over: false },
    };
    let size = streams.terminal.as_ref().map(|terminal| {
        let size = terminal::size(Some(terminal));
        (u32::from(size.ws_col), u32::from(size.ws_row))
    });
    let started = tokio::select! {
        started = Shell::start(session, services, size) => started,
        () = stop.first.cancelled() => return Left { status: Err(ExecError::Cancelled), is_over: false },
    };
    let shell = match started {
        Ok(shell) => shell,
        Err(error) => {
            let is_over = has_ended(&error);
            return Left { status: Err(ExecError::of_start(error, manner.bare)), is_over };
        }
    };
    ui.clear();
    if let Some(greeting) = shell.greeting() {
        ui.note(greeting);
    }
    converse(shell, streams, manner, ui, stop).await
}

/// Whether the service has ended the session itself.
fn has_ended(error: &SsmError) -> bool {
    matches!(
        error,
        SsmError::Idle { .. }
            | SsmError::TooLong { .. }
            | SsmError::Terminated { .. }
            | SsmError::AgentEncryption { .. }
            | SsmError::Ended { .. }
            | SsmError::OverMeanwhile
            | SsmError::Over
    )
}

/// Our standard streams, and the terminal if the command shall have one.
struct Streams {
    stdio: Stdio,
    terminal: Option<Terminal>,
}

impl Streams {
    fn open(manner: &Manner) -> std::io::Result<Self> {
        let stdio = Stdio::inherited()?;
        let terminal = match manner.mode {
            Mode::Terminal => Terminal::of(stdio.stdin.as_fd())?,
            Mode::Pipes => None,
        };
        Ok(Self { stdio, terminal })
    }
}

async fn converse(mut shell: Shell, streams: Streams, manner: &Manner, ui: &Ui, stop: &Stop) -> Left {
    let failed = |error| Left { status: Err(SessionError::Stdio(error).into()), is_over: false };
    let Streams { stdio, terminal } = streams;
    let outputs = match Outputs::start(stdio.stdout, stdio.stderr, manner.recorder.as_ref()) {
        Ok(outputs) => outputs,
        Err(error) => return failed(error),
    };
    let (keyboard, changes) = match Keyboard::open(terminal, manner.mode == Mode::Terminal, manner.escape) {
        Ok((keyboard, changes)) => (keyboard.recorded(manner.recorder.clone()), changes),
        Err(error) => return failed(error),
    };
    let input = match Input::open(stdio.stdin) {
        Ok(input) => input,
        Err(error) => return failed(error),
    };
    let keys = shell.input();
    let ends = Ends { mode: manner.mode, keyboard: &keyboard, keys: &keys, outputs: &outputs, ui };
    let mut hearing = Hearing::new(manner, &outputs);
    let begun = hearing.begun.subscribe();
    let heard = tokio::select! {
        heard = hearing.hear(&mut shell) => heard.map_err(|Closed| Ok(Ended::OutputClosed)),
        left = tell((input, changes), begun, ends) => Err(left),
        () = stop.first.cancelled() => Err(Err(SessionError::Cancelled)),
    };
    let (ended, is_over) = match heard {
        Ok(Heard::Exit(status)) => {
            let piped = hearing.is_piped();
            let is_over = tokio::select! {
                is_over = acknowledge(shell, &keys, &manner.nonce, piped) => is_over,
                () = stop.first.cancelled() => false,
            };
            (Ok(Ended::Closed(ExitStatus::Code(status.into()))), is_over)
        }
        Ok(Heard::Silence) => {
            let status = hearing.without_status(shell.end().await.map(drop), manner.bare);
            if status.is_err() && manner.mode == Mode::Terminal {
                // Our words are not for the line of its prompt. A closed stderr leaves nobody to tell.
                let _ = outputs.stderr.write(Bytes::from_static(b"\r\n")).await;
            }
            // Its last words are written before ours.
            let flushed = outputs.finish(Ok(Ended::Closed(ExitStatus::Code(0))), &stop.first).await;
            let status = status.and_then(|status| flushed.map(|_| status).map_err(ExecError::from));
            drop(keyboard);
            let is_over = !matches!(&status, Err(ExecError::Ssm(error)) if !has_ended(error));
            return Left { status, is_over };
        }
        Err(left) => (left, false),
    };
    let status = match outputs.finish(ended, &stop.first).await {
        Err(SessionError::Cancelled) => Err(ExecError::Cancelled),
        finished => finished.map_err(ExecError::from),
    };
    drop(keyboard);
    Left { status, is_over }
}

/// What the session prints, and where it goes.
struct Hearing<'a> {
    markers: Markers,
    mode: Mode,
    outputs: &'a Outputs,
    /// Whether the command has pipes, once it has begun.
    begun: watch::Sender<Option<bool>>,
    before: Vec<u8>,
    new_lines: NewLines,
}

impl<'a> Hearing<'a> {
    fn new(manner: &Manner, outputs: &'a Outputs) -> Self {
        let markers = if manner.bare { Markers::none() } else { Markers::new(&manner.nonce) };
        let begun = watch::channel(manner.bare.then_some(false)).0;
        Self { markers, mode: manner.mode, outputs, begun, before: Vec::new(), new_lines: NewLines::default() }
    }

    fn is_piped(&self) -> bool {
        *self.begun.borrow() == Some(true)
    }

    /// Hands on what the session prints until the command has ended.
    ///
    /// # Errors
    /// [`Closed`]: the reader of our standard output is gone.
    async fn hear(&mut self, shell: &mut Shell) -> Result<Heard, Closed> {
        loop {
            let next = if self.mode == Mode::Terminal && self.markers.is_doubtful() {
                timeout(DOUBT, shell.next()).await
            } else {
                Ok(shell.next().await)
            };
            let (pieces, is_last) = match next {
                Ok(Some(Output::StdOut(bytes))) => (self.markers.take(&bytes), false),
                Ok(Some(Output::StdErr(bytes))) => (vec![Piece::Err(bytes)], false),
                Ok(None) => (self.markers.release(), true),
                Err(_elapsed) => (self.markers.release(), false),
            };
            for piece in pieces {
                if let Some(status) = self.hand_on(piece).await? {
                    return Ok(Heard::Exit(status));
                }
            }
            if is_last {
                return Ok(Heard::Silence);
            }
        }
    }

    async fn hand_on(&mut self, piece: Piece) -> Result<Option<u8>, Closed> {
        match piece {
            Piece::Before(text) => {
                let room = BEFORE_MAX.saturating_sub(self.before.len());
                self.before.extend_from_slice(&text[..text.len().min(room)]);
            }
            Piece::Begun { piped } => {
                let before = std::mem::take(&mut self.before);
                if !before.trim_ascii().is_empty() {
                    // Without a reader of its errors a program goes on.
                    let _ = self.outputs.stderr.write(before.into()).await;
                }
                self.begun.send_replace(Some(piped));
            }
            Piece::Out(text) if self.mode == Mode::Pipes && !self.is_piped() => {
                self.outputs.stdout.write(self.new_lines.take(&text)).await?;
            }
            Piece::Out(text) => self.outputs.stdout.write(text).await?,
            Piece::Err(text) => drop(self.outputs.stderr.write(text).await),
            Piece::Exit(status) => {
                let rest = self.new_lines.finish();
                self.outputs.stdout.write(rest).await?;
                return Ok(Some(status));
            }
        }
        Ok(None)
    }

    /// What a session comes to that ended like this before the command was known to have ended.
    fn without_status(&self, ended: Result<(), SsmError>, bare: bool) -> Result<ExitStatus, ExecError> {
        match ended {
            Err(error) if self.begun.borrow().is_none() => Err(ExecError::of_start(error, bare)),
            Err(error) => Err(error.into()),
            // There is nobody to tell it; the words about that are the caller's.
            Ok(()) if bare => Ok(ExitStatus::Code(0)),
            Ok(()) if self.begun.borrow().is_none() => {
                let words = String::from_utf8_lossy(&self.before);
                let words: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
                Err(ExecError::NotBegun { words: words.trim().to_owned() })
            }
            Ok(()) => Err(ExecError::NoStatus),
        }
    }
}

/// Lets the wrapper end, and waits for the session's end. Answers whether that came in time.
async fn acknowledge(mut shell: Shell, keys: &shell::Input, nonce: &Nonce, piped: bool) -> bool {
    let typing = async {
        let mut text = if piped { vec![END_OF_FILE] } else { Vec::new() };
        text.extend_from_slice(nonce.text().as_bytes());
        text.push(b'\n');
        // A session that has ended is told where it is heard.
        let _ = keys.send(text.into()).await;
        if !piped {
            return std::future::pending::<Infallible>().await;
        }
        loop {
            sleep(NUDGE_FIRST).await;
            let _ = keys.send(Bytes::from_static(&[NUDGE])).await;
        }
    };
    let ending = async {
        tokio::select! {
            () = async { while shell.next().await.is_some() {} } => {}
            never = typing => match never {},
        }
    };
    timeout(FAREWELL, ending).await.is_ok()
}

//! What a session with a terminal shows, kept in a file for `asciinema play`. What is typed is not: it may be a password.
//!
//! A thread of its own writes, so that no disk holds the session up, and writes whole lines at once, so that whatever ends this process
//! leaves a recording that can be played. When it cannot go on, it ends there, and that is said when the session is over: the
//! screen belongs to somebody else until then.

mod asciicast;

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

use crate::error::Advice;
use crate::options::{Errand, Options, RemoteCommand};
use crate::session::wants_pty;
use asciicast::{Encoder, Header};

/// Events that wait for the disk: of the largest packets 32 MiB. A recording that falls further behind has a gap, so it ends.
const QUEUE: usize = 1024;
/// Bytes after which lines that wait are written, however many follow.
const BATCH: usize = 256 * 1024;
/// How long the last lines may take on the way out.
const FINISH_TIMEOUT: Duration = Duration::from_secs(5);
/// Only its owner may read it: it shows what the session showed.
const MODE: u32 = 0o600;

/// Why there is no recording. All of these are wrong usage.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// An earlier recording, or something else.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// It cannot be made.
    #[error("cannot record to {}: {source}", file.display())]
    Create {
        /// Which.
        file: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Nothing will be shown.
    #[error("only a session with a terminal can be recorded")]
    NoTerminal,
}

impl Advice for RecordError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Exists(_) => {
                "a recording takes nothing's place: name another file with `--record`, or remove this one"
            }
            Self::Create { .. } => "name a file in a directory that you may write to",
            Self::NoTerminal => {
                "ask for one with `-t`, or with `-tt` where standard input is no terminal; a command's output can be redirected"
            }
        };
        vec![hint.to_owned()]
    }
}

/// What can be said before anything is asked for.
///
/// # Errors
/// [`RecordError::NoTerminal`], [`RecordError::Exists`].
pub fn check(options: &Options) -> Result<(), RecordError> {
    let Some(file) = &options.record else { return Ok(()) };
    let has_terminal = match &options.errand {
        Errand::Session(command) => wants_pty(options.tty, *command == RemoteCommand::Shell, io::stdin().is_terminal()),
        Errand::Hold(_) | Errand::Stdio(_) | Errand::Child(_) | Errand::Copy(_) | Errand::OpenSsh(_) => false,
    };
    if !has_terminal {
        return Err(RecordError::NoTerminal);
    }
    if file.symlink_metadata().is_ok() { Err(RecordError::Exists(file.clone())) } else { Ok(()) }
}

/// A file that a session will be recorded in.
#[derive(Debug)]
pub struct Recording {
    file: PathBuf,
    recorder: Recorder,
    written_rx: oneshot::Receiver<io::Result<()>>,
}

/// Where a session says what it shows. Clones record into the same file.
#[derive(Clone, Debug)]
pub struct Recorder {
    events_tx: mpsc::Sender<(Instant, Event)>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    begun: bool,
    overrun: bool,
}

#[derive(Debug)]
enum Event {
    Begin(Header),
    Output(Stream, Bytes),
    Resize { columns: u16, rows: u16 },
}

/// Which of our outputs shows something; each may break off within a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// The remote's.
    Stdout,
    /// Our own words, between the remote's.
    Stderr,
}

impl Recording {
    /// Makes the file, which nobody else may read, and the thread that will write it.
    ///
    /// # Errors
    /// [`RecordError::Exists`], [`RecordError::Create`].
    pub fn create(file: &Path) -> Result<Self, RecordError> {
        let made = OpenOptions::new().write(true).create_new(true).mode(MODE).open(file);
        let failed = |source: io::Error| match source.kind() {
            ErrorKind::AlreadyExists => RecordError::Exists(file.to_owned()),
            _ => RecordError::Create { file: file.to_owned(), source },
        };
        Self::on(file, made.map_err(failed)?).map_err(failed)
    }

    fn on(path: &Path, file: File) -> io::Result<Self> {
        let (events_tx, events_rx) = mpsc::channel(QUEUE);
        let (written_tx, written_rx) = oneshot::channel();
        std::thread::Builder::new().name("recording".to_owned()).spawn(move || {
            // Who has stopped waiting need not know.
            let _ = written_tx.send(write(file, events_rx));
        })?;
        let recorder = Recorder { events_tx, state: Arc::default() };
        Ok(Self { file: path.to_owned(), recorder, written_rx })
    }

    /// For the session.
    #[must_use]
    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// Waits until everything is written. Tells why the recording is not whole, if it is not. A file that no session came to is
    /// removed.
    pub async fn finish(self) -> Option<String> {
        let Self { file, recorder, written_rx } = self;
        let state = Arc::clone(&recorder.state);
        drop(recorder);
        let written = tokio::time::timeout(FINISH_TIMEOUT, written_rx).await;
        let State { begun, overrun } = *state.lock().unwrap_or_else(PoisonError::into_inner);
        if !begun {
            // It is empty and ours; where that fails it stays, which does no harm.
            let _ = std::fs::remove_file(&file);
            return None;
        }
        let cause = match written {
            Ok(Ok(Ok(()))) if !overrun => return None,
            Ok(Ok(Ok(()))) => "its disk was too slow".to_owned(),
            Ok(Ok(Err(error))) => error.to_string(),
            Ok(Err(_)) | Err(_) => "its disk takes no more".to_owned(),
        };
        Some(format!("the recording {} ends before the session did: {cause}", file.display()))
    }
}

impl Recorder {
    /// The session begins, on a terminal of this size.
    pub fn begin(&self, columns: u16, rows: u16) {
        self.lock().begun = true;
        self.record(Event::Begin(Header::of_now(columns, rows)));
    }

    /// Something is shown.
    pub fn output(&self, stream: Stream, shown: &Bytes) {
        self.record(Event::Output(stream, shown.clone()));
    }

    /// The terminal has another size.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.record(Event::Resize { columns, rows });
    }

    /// Never waits.
    fn record(&self, event: Event) {
        let mut state = self.lock();
        if !state.begun || state.overrun {
            return;
        }
        // A thread that has ended has said why.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events_tx.try_send((Instant::now(), event)) {
            state.overrun = true;
            tracing::warn!("the recording cannot keep up and ends here");
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes events until nobody records any more. What cannot be written ends the file at its last whole line.
fn write(mut file: File, mut events_rx: mpsc::Receiver<(Instant, Event)>) -> io::Result<()> {
    let (mut encoder, mut whole) = (Encoder::default(), 0_u64);
    while let Some(event) = events_rx.blocking_recv() {
        let mut lines = encode(&mut encoder, event);
        while lines.len() < BATCH {
            let Ok(event) = events_rx.try_recv() else { break };
            lines.push_str(&encode(&mut encoder, event));
        }
        append(&mut file, &lines, &mut whole)?;
    }
    append(&mut file, &encoder.rest(), &mut whole)
}

fn encode(encoder: &mut Encoder, (at, event): (Instant, Event)) -> String {
    match event {
        Event::Begin(header) => encoder.begin(at, &header),
        Event::Output(stream, shown) => encoder.output(at, stream, &shown),
        Event::Resize { columns, rows } => encoder.resize(at, columns, rows),
    }
}

fn append(file: &mut File, lines: &str, whole: &mut u64) -> io::Result<()> {
    match file.write_all(lines.as_bytes()) {
        Ok(()) => {
            *whole += lines.len() as u64;
            Ok(())
        }
        Err(error) => {
            // A full disk may have taken a part.
            let _ = file.set_len(*whole);
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests;

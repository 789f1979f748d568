//! The ProxyCommand: joins the host's keeper, or starts one, and moves bytes between OpenSSH and it.

use std::io::IsTerminal as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, Stdin};
use tokio::net::UnixStream;
use tokio::net::unix::OwnedWriteHalf;

use super::directory::{self, DirectoryError, KEEPER};
use super::frame::{self, Frame};
use crate::cli::KEEPER_FLAG;
use crate::error::{Advice, EXIT_FAILURE};
use crate::options::{Host, ProxyOptions};
use crate::signals::Stop;
use crate::ui::Ui;

/// Runs that are started for one connection: a second one when the first turned out to be over.
const ATTEMPTS: usize = 2;
/// Bytes that are read from OpenSSH at once.
const CHUNK: usize = 64 * 1024;
/// The keeper's last words after OpenSSH has hung up.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Why OpenSSH got no connection.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// There is no place for sockets.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// The keeper did not start.
    #[error("the keeper of the run does not start: {0}")]
    Start(std::io::Error),
    /// It cannot be reached.
    #[error("the keeper of the run cannot be reached: {0}")]
    Unreachable(std::io::Error),
    /// It ended without a word.
    #[error("the keeper of the run has ended")]
    Lost,
    /// OpenSSH takes no more bytes.
    #[error("standard output: {0}")]
    Output(std::io::Error),
    /// One run after the other ended before it could be reached.
    #[error("the run was over before the connection stood")]
    Over,
}

impl Advice for ProxyError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Directory(error) => error.hints(),
            Self::Lost => vec!["its task, if there is one, ends by itself; `fargate-login ps` shows it".to_owned()],
            Self::Over => vec!["try again".to_owned()],
            Self::Start(_) | Self::Unreachable(_) | Self::Output(_) => Vec::new(),
        }
    }
}

/// One connection, from the keeper to its end. Returns the exit status of the program.
pub async fn run(options: ProxyOptions, ui: &Ui, stop: &Stop) -> u8 {
    let outcome = tokio::select! {
        outcome = connect(&options.host, ui) => outcome,
        // OpenSSH has enough, or somebody else has.
        () = stop.first.cancelled() => return stop.exit_code().unwrap_or(EXIT_FAILURE),
    };
    ui.clear();
    outcome.unwrap_or_else(|error| {
        ui.error(&error);
        EXIT_FAILURE
    })
}

async fn connect(host: &Host, ui: &Ui) -> Result<u8, ProxyError> {
    let mut openssh = Input { stdin: tokio::io::stdin(), unanswered: Some(Vec::new()) };
    for _ in 0..ATTEMPTS {
        let found = tokio::task::spawn_blocking({
            let host = host.clone();
            move || join_or_start(&host)
        });
        // The closure does not panic.
        let Found { stream, left_over, started } = found.await.map_err(|_| ProxyError::Lost)??;
        if !left_over.is_empty() {
            ui.warn(&format!("an earlier run of {} ended when nobody was there, with:", host.name));
            left_over.lines().for_each(|line| ui.data(line));
        }
        if started {
            ui.note(&format!("fargate-login: starting a task for {}", host.name));
        }
        stream.set_nonblocking(true).map_err(ProxyError::Unreachable)?;
        let stream = UnixStream::from_std(stream).map_err(ProxyError::Unreachable)?;
        if let Some(code) = relay(stream, &mut openssh, ui).await? {
            return Ok(code);
        }
    }
    Err(ProxyError::Over)
}

/// What OpenSSH sends. It speaks first, and not again if the run turns out to be over: so that is kept until it is answered.
struct Input {
    stdin: Stdin,
    unanswered: Option<Vec<u8>>,
}

impl Input {
    /// Moves it to a keeper, from the beginning while that has not answered. Cancel-safe before the first answer.
    async fn copy(&mut self, to_keeper: &mut OwnedWriteHalf, answered: &AtomicBool) -> std::io::Result<()> {
        to_keeper.write_all(self.unanswered.as_deref().unwrap_or_default()).await?;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = self.stdin.read(&mut chunk).await?;
            let bytes = chunk.get(..read).unwrap_or_default();
            if bytes.is_empty() {
                return Ok(());
            }
            if answered.load(Ordering::Relaxed) {
                self.unanswered = None;
            }
            if let Some(unanswered) = &mut self.unanswered {
                // Little: OpenSSH waits for the answer to its first packet, and the keeper takes 64 KiB before there is one.
                unanswered.extend_from_slice(bytes);
            }
            to_keeper.write_all(bytes).await?;
        }
    }
}

struct Found {
    stream: std::os::unix::net::UnixStream,
    /// What the last keeper had to say to nobody.
    left_over: String,
    started: bool,
}

/// Connects to the keeper, starting it where there is none. Blocks, for as long as another proxy does the same.
fn join_or_start(host: &Host) -> Result<Found, ProxyError> {
    let place = &host.directory;
    let reach = || std::os::unix::net::UnixStream::connect(place.join(KEEPER));
    let lock = directory::lock(place)?;
    directory::private(place)?;
    if let Ok(stream) = reach() {
        return Ok(Found { stream, left_over: String::new(), started: false });
    }
    directory::sweep(place.parent().unwrap_or(place));
    directory::private(place)?;
    let left_over = start(place)?;
    let stream = reach().map_err(ProxyError::Unreachable)?;
    drop(lock);
    Ok(Found { stream, left_over, started: true })
}

/// Starts the keeper with our own flags, on a socket that is bound already.
fn start(place: &Path) -> Result<String, ProxyError> {
    let (log, left_over) = directory::open_log(place)?;
    let listener = directory::listen(place, KEEPER)?;
    let executable = std::env::current_exe().map_err(ProxyError::Start)?;
    let mut keeper = Command::new(executable);
    keeper.args(std::env::args_os().skip(1)).arg(KEEPER_FLAG);
    keeper.stdin(Stdio::from(OwnedFd::from(listener))).stdout(Stdio::null()).stderr(Stdio::from(log));
    // Nobody waits for it: it outlives us, or its end is heard on the socket.
    keeper.spawn().map_err(ProxyError::Start)?;
    Ok(left_over)
}

/// Moves bytes until either end has enough. Answers the exit status, or `None` when the run was over before anything came.
async fn relay(stream: UnixStream, openssh: &mut Input, ui: &Ui) -> Result<Option<u8>, ProxyError> {
    let (mut from_keeper, mut to_keeper) = stream.into_split();
    let (answered, hung_up) = (AtomicBool::new(false), AtomicBool::new(false));
    let up = async {
        // Whatever ends the input, OpenSSH has hung up: what it still hears comes soon.
        let _ = openssh.copy(&mut to_keeper, &answered).await;
        hung_up.store(true, Ordering::Relaxed);
        let _ = to_keeper.shutdown().await;
        tokio::time::sleep(LAST_WORDS).await;
    };
    let down = async {
        let mut stdout = tokio::io::stdout();
        let shows_phases = std::io::stderr().is_terminal();
        loop {
            match frame::read(&mut from_keeper).await {
                Ok(Some(Frame::Bytes(bytes))) => {
                    answered.store(true, Ordering::Relaxed);
                    ui.clear();
                    stdout.write_all(&bytes).await.map_err(ProxyError::Output)?;
                    stdout.flush().await.map_err(ProxyError::Output)?;
                }
                // Elsewhere each would be a line among what the user's program prints.
                Ok(Some(Frame::Phase(text))) if shows_phases => ui.phase(&text),
                Ok(Some(Frame::Phase(_))) => {}
                Ok(Some(Frame::Line(text))) => ui.data(&text),
                Ok(Some(Frame::Again)) => return Ok(None),
                Ok(Some(Frame::End(code))) => return Ok(Some(code)),
                // The keeper has no last word for whoever has left.
                Ok(None) | Err(_) if hung_up.load(Ordering::Relaxed) => return Ok(Some(0)),
                Ok(None) | Err(_) => return Err(ProxyError::Lost),
            }
        }
    };
    tokio::select! {
        () = up => Ok(Some(0)),
        ended = down => ended,
    }
}

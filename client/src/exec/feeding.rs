//! What goes to the command: keys and the terminal's size, or our standard input and its end.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use rustix::termios::Winsize;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::session::drain::Outputs;
use crate::session::feed::{self, Changes, Keyboard, TYPE_AHEAD};
use crate::session::input::Input;
use crate::session::{Ended, SessionError};
use crate::ssm::shell;
use crate::ui::Ui;

use super::canonical::{self, END_OF_FILE, FITS, NUDGE};
use super::wrapper::Mode;

/// The first nudge of a container's terminal; each further one comes after twice the time, up to the longest, until the last.
pub(super) const NUDGE_FIRST: Duration = Duration::from_millis(100);
const NUDGE_LONGEST: Duration = Duration::from_secs(30);
const NUDGE_LAST: Duration = Duration::from_secs(600);
const NO_INPUT: &str = "standard input does not reach the command: the container has no `stty` or no `cat`";

/// The ends between which the command stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends<'a> {
    pub(super) mode: Mode,
    pub(super) keyboard: &'a Keyboard,
    pub(super) keys: &'a shell::Input,
    pub(super) outputs: &'a Outputs,
    pub(super) ui: &'a Ui,
}

/// Tells the command what is typed or read, and its terminal its size; returns only when the user leaves.
///
/// # Errors
/// [`SessionError::Input`].
pub(super) async fn tell(
    (input, mut changes): (Input, Changes),
    mut begun: watch::Receiver<Option<bool>>,
    ends: Ends<'_>,
) -> Result<Ended, SessionError> {
    let Ends { mode, keyboard, keys, outputs, ui } = ends;
    // What is typed before could be taken for something else. The sender lives as long as this.
    let piped = begun.wait_for(Option::is_some).await.is_ok_and(|begun| *begun == Some(true));
    if mode == Mode::Pipes {
        return match feed_pipe(input, keys, piped, ui).await {
            Ok(never) => match never {},
            Err(error) => Err(SessionError::Input(error)),
        };
    }
    let (typed_tx, mut typed) = mpsc::channel::<Bytes>(TYPE_AHEAD);
    let typing = async {
        while let Some(bytes) = typed.recv().await {
            if let Some(size) = keyboard.news_of_size() {
                resize(keys, size).await;
            }
            // A session that has ended is told where it is heard.
            let _ = keys.send(bytes).await;
        }
        std::future::pending::<Infallible>().await
    };
    let resizing = async {
        loop {
            resize(keys, keyboard.changed(&mut changes).await).await;
        }
    };
    tokio::select! {
        left = feed::read(input, keyboard, typed_tx, &outputs.stderr) => left,
        never = typing => match never {},
        () = resizing => Ok(Ended::Left),
    }
}

async fn resize(keys: &shell::Input, size: Winsize) {
    // A session that has ended is told where it is heard.
    let _ = keys.resize(size.ws_col.into(), size.ws_row.into()).await;
}

/// Standard input for a command with pipes, and its end.
async fn feed_pipe(mut input: Input, keys: &shell::Input, piped: bool, ui: &Ui) -> std::io::Result<Infallible> {
    if !piped {
        if input.next().await?.is_some() {
            ui.warn(NO_INPUT);
        }
        return std::future::pending().await;
    }
    let (mut fed, mut ended, mut nudges) = (0_usize, false, Nudges::default());
    loop {
        let bytes = tokio::select! {
            chunk = input.next(), if !ended => {
                let chunk = chunk?.unwrap_or_default();
                ended = chunk.is_empty();
                fed = fed.saturating_add(chunk.len());
                nudges = Nudges::default();
                if ended { vec![END_OF_FILE] } else { canonical::typed(&chunk) }
            }
            () = nudges.next(), if fed >= FITS => vec![NUDGE],
            else => return std::future::pending().await,
        };
        // A session that has ended is told where it is heard.
        let _ = keys.send(bytes.into()).await;
    }
}

/// When a terminal that was full is nudged, counted from what was typed last.
#[derive(Debug)]
struct Nudges {
    began: Instant,
    pause: Duration,
    at: Instant,
}

impl Default for Nudges {
    fn default() -> Self {
        let began = Instant::now();
        Self { began, pause: NUDGE_FIRST, at: began + NUDGE_FIRST }
    }
}

impl Nudges {
    /// Waits for the next; for ever after the last. Cancel-safe.
    async fn next(&mut self) {
        if self.began.elapsed() >= NUDGE_LAST {
            return std::future::pending().await;
        }
        sleep_until(self.at).await;
        self.pause = (self.pause * 2).min(NUDGE_LONGEST);
        self.at = Instant::now() + self.pause;
    }
}

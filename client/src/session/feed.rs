//! From our keyboard, or whatever standard input is, to the remote.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use russh::ChannelWriteHalf;
use russh::client::Msg;
use ssh_flow::ChannelSender;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::escape::{Escape, Escapes};
use super::input::Input;
use super::output::Output;
use super::terminal::{RawMode, Terminal, size};
use super::{Ended, SessionError};
use crate::options::EscapeChar;

/// The escape character when the user chose none, as `ssh` has it.
const ESCAPE: EscapeChar = EscapeChar::Byte(b'~');
/// Chunks that may be typed ahead of a remote that takes none: `~.` must be read even then. A terminal gives at most 4 KiB
/// at once (n_tty's buffer), so this is bounded by 4 MiB.
const TYPE_AHEAD: usize = 1024;
/// Chunks that wait besides the one under way when nobody types.
const READ_AHEAD: usize = 1;
/// How often we look whether a shell has brought us to the front: it says nothing to a job that was already running.
const FOREGROUND_POLL: Duration = Duration::from_millis(250);
/// What `~.` says. The terminal is raw: lines need their carriage return.
const LEFT: &str = "\r\nSession left by escape.\r\n";

/// What a session has of our terminal: nothing, when the remote has none either.
#[derive(Debug)]
pub(super) struct Keyboard {
    raw: Option<RawMode>,
    escape: Option<EscapeChar>,
}

/// What may happen to our terminal: a new size, or that we are continued after a stop.
#[derive(Debug)]
pub(super) struct Changes {
    resized: Signal,
    resumed: Signal,
}

impl Keyboard {
    /// Makes `terminal` raw until dropped. Escapes are only for a remote with a terminal (`pty`). The changes are caught
    /// from here on: before anybody asks for the size.
    ///
    /// # Errors
    /// When signals cannot be caught.
    pub(super) fn open(
        terminal: Option<Terminal>,
        pty: bool,
        escape: Option<EscapeChar>,
    ) -> io::Result<(Self, Changes)> {
        let resumed = SignalKind::from_raw(nix::sys::signal::Signal::SIGCONT as i32);
        let changes = Changes { resized: signal(SignalKind::window_change())?, resumed: signal(resumed)? };
        let escape = pty.then(|| escape.unwrap_or(ESCAPE));
        Ok((Self { raw: terminal.map(Terminal::into_raw), escape }, changes))
    }

    /// The terminal, if there is one.
    pub(super) fn terminal(&self) -> Option<&Terminal> {
        self.raw.as_ref().map(RawMode::terminal)
    }

    /// Waits while we are in the background: a terminal that is read from there stops the process.
    async fn in_foreground(&self) {
        let Some(raw) = &self.raw else { return };
        if raw.in_foreground() {
            return;
        }
        while !raw.in_foreground() {
            tokio::time::sleep(FOREGROUND_POLL).await;
        }
        raw.enter();
    }

    /// Tells the remote each new size of the terminal, and makes the terminal raw again when we are continued.
    pub(super) async fn follow(&self, mut changes: Changes, requests: &ChannelWriteHalf<Msg>) -> Infallible {
        let Some(raw) = &self.raw else { return std::future::pending().await };
        loop {
            tokio::select! {
                _ = changes.resized.recv() => {}
                _ = changes.resumed.recv() => raw.enter(),
            }
            let size = size(Some(raw.terminal()));
            let (columns, rows) = (u32::from(size.ws_col), u32::from(size.ws_row));
            // A connection that has ended is told where the channel is read.
            let _ = requests.window_change(columns, rows, u32::from(size.ws_xpixel), u32::from(size.ws_ypixel)).await;
        }
    }
}

/// Sends what is read, then EOF; returns only when the user leaves.
///
/// # Errors
/// [`SessionError::Input`]: what cannot be read must not look like its end.
pub(super) async fn feed(
    input: Input,
    keyboard: &Keyboard,
    sender: &ChannelSender<Msg>,
    stderr: &Output,
) -> Result<Ended, SessionError> {
    let interactive = keyboard.escape.is_some();
    let (chunks_tx, chunks_rx) = mpsc::channel(if interactive { TYPE_AHEAD } else { READ_AHEAD });
    tokio::select! {
        left = read(input, keyboard, chunks_tx, stderr) => left,
        never = forward(chunks_rx, sender) => match never {},
    }
}

async fn forward(mut chunks_rx: mpsc::Receiver<Bytes>, sender: &ChannelSender<Msg>) -> Infallible {
    // A channel that is closed is told where it is read.
    while let Some(chunk) = chunks_rx.recv().await {
        if sender.data(chunk).await.is_err() {
            return std::future::pending().await;
        }
    }
    let _ = sender.eof().await;
    std::future::pending().await
}

async fn read(
    mut input: Input,
    keyboard: &Keyboard,
    chunks_tx: mpsc::Sender<Bytes>,
    stderr: &Output,
) -> Result<Ended, SessionError> {
    let mut escapes = keyboard.escape.map(Escapes::new);
    loop {
        keyboard.in_foreground().await;
        let Some(chunk) = input.next().await.map_err(SessionError::Input)? else { break };
        match &mut escapes {
            // Whoever would take the chunk goes only together with us.
            None => drop(chunks_tx.send(chunk).await),
            Some(escapes) => {
                if interpret(&chunk, escapes, keyboard, &chunks_tx, stderr).await {
                    return Ok(Ended::Left);
                }
            }
        }
    }
    if let Some(held) = escapes.and_then(Escapes::finish) {
        drop(chunks_tx.send(Bytes::copy_from_slice(&[held])).await);
    }
    // EOF follows the last chunk.
    drop(chunks_tx);
    std::future::pending().await
}

/// Sends what is typed and does what the escapes in it say. Answers whether the user leaves.
async fn interpret(
    mut typed: &[u8],
    escapes: &mut Escapes,
    keyboard: &Keyboard,
    chunks_tx: &mpsc::Sender<Bytes>,
    stderr: &Output,
) -> bool {
    loop {
        let mut remote = Vec::new();
        let escape = escapes.next(&mut typed, &mut remote);
        if !remote.is_empty() {
            drop(chunks_tx.send(remote.into()).await);
        }
        match escape {
            None => return false,
            Some(Escape::Leave) => {
                let _ = stderr.write(Bytes::from_static(LEFT.as_bytes())).await;
                return true;
            }
            Some(Escape::Help) => drop(stderr.write(escapes.help().into()).await),
            Some(Escape::Suspend) => {
                if let Some(Err(error)) = keyboard.raw.as_ref().map(RawMode::suspend) {
                    tracing::warn!(%error, "cannot suspend");
                }
            }
        }
    }
}

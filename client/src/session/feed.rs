//! From our keyboard, or whatever standard input is, to the remote.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use russh::ChannelWriteHalf;
use russh::client::Msg;
use rustix::termios::Winsize;
use ssh_flow::{ChannelSender, OutOfReach, Replay};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::escape::{Escape, Escapes};
use super::input::Input;
use super::output::Output;
use super::terminal::{RawMode, Terminal, size};
use super::{Ended, SessionError};
use crate::options::EscapeChar;
use crate::recording::Recorder;

/// The escape character when the user chose none, as `ssh` has it.
const ESCAPE: EscapeChar = EscapeChar::Byte(b'~');
/// Chunks that may be typed ahead of a remote that takes none: `~.` must be read even then. A terminal gives at most 4 KiB
/// at once (n_tty's buffer), so this is bounded by 4 MiB.
pub(crate) const TYPE_AHEAD: usize = 1024;
/// Chunks that wait besides the one under way when nobody types.
const READ_AHEAD: usize = 1;
/// How often we look whether a shell has brought us to the front: it says nothing to a job that was already running.
const FOREGROUND_POLL: Duration = Duration::from_millis(250);
/// What `~.` says. The terminal is raw: lines need their carriage return.
const LEFT: &str = "\r\nSession left by escape.\r\n";

/// What a session has of our terminal: nothing, when the remote has none either.
#[derive(Debug)]
pub(crate) struct Keyboard {
    raw: Option<RawMode>,
    escape: Option<EscapeChar>,
    recorder: Option<Recorder>,
    /// The size that the remote knows, as [`packed`].
    told: AtomicU32,
}

/// What may happen to our terminal: a new size, or that we are continued after a stop.
#[derive(Debug)]
pub(crate) struct Changes {
    resized: Signal,
    resumed: Signal,
}

impl Keyboard {
    /// Makes `terminal` raw until dropped. Escapes are only for a remote with a terminal (`pty`). The changes are caught
    /// from here on: before anybody asks for the size.
    ///
    /// # Errors
    /// When signals cannot be caught.
    pub(crate) fn open(
        terminal: Option<Terminal>,
        pty: bool,
        escape: Option<EscapeChar>,
    ) -> io::Result<(Self, Changes)> {
        let resumed = SignalKind::from_raw(nix::sys::signal::Signal::SIGCONT as i32);
        let changes = Changes { resized: signal(SignalKind::window_change())?, resumed: signal(resumed)? };
        let escape = pty.then(|| escape.unwrap_or(ESCAPE));
        let told = AtomicU32::new(packed(size(terminal.as_ref())));
        Ok((Self { raw: terminal.map(Terminal::into_raw), escape, recorder: None, told }, changes))
    }

    /// The recording begins, and is told each new size of the terminal.
    pub(crate) fn recorded(self, recorder: Option<Recorder>) -> Self {
        if let Some(recorder) = &recorder {
            let size = size(self.terminal());
            self.told.store(packed(size), Ordering::Relaxed);
            recorder.begin(size.ws_col, size.ws_row);
        }
        Self { recorder, ..self }
    }

    /// The terminal, if there is one.
    pub(crate) fn terminal(&self) -> Option<&Terminal> {
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

    /// Tells the remote each new size of the terminal, if it can be told, and makes the terminal raw again when we are continued.
    pub(super) async fn follow(&self, changes: &mut Changes, requests: Option<&ChannelWriteHalf<Msg>>) -> Infallible {
        loop {
            let size = self.changed(changes).await;
            if let Some(requests) = requests {
                change_window(requests, size).await;
            }
        }
    }

    /// Waits for a change of the terminal, and makes it raw again when we are continued. Answers its size now; for ever pending
    /// without a terminal. Cancel-safe.
    pub(crate) async fn changed(&self, changes: &mut Changes) -> Winsize {
        let Some(raw) = &self.raw else { return std::future::pending().await };
        tokio::select! {
            _ = changes.resized.recv() => {}
            _ = changes.resumed.recv() => raw.enter(),
        }
        self.note_size(raw).0
    }

    /// The terminal's size, where the remote knows another. What is typed after a change must not come before it, and the signal
    /// that tells of the change may be later than the keys: whoever is about to send keys asks here.
    pub(crate) fn news_of_size(&self) -> Option<Winsize> {
        let (size, is_news) = self.note_size(self.raw.as_ref()?);
        is_news.then_some(size)
    }

    /// The size now, which the remote is about to be told, and whether it is another than it knew.
    fn note_size(&self, raw: &RawMode) -> (Winsize, bool) {
        let size = size(Some(raw.terminal()));
        let is_news = self.told.swap(packed(size), Ordering::Relaxed) != packed(size);
        if let Some(recorder) = self.recorder.as_ref().filter(|_| is_news) {
            recorder.resize(size.ws_col, size.ws_row);
        }
        (size, is_news)
    }

    /// Tells the remote the size of the terminal, if there is one.
    pub(super) async fn tell_size(&self, requests: &ChannelWriteHalf<Msg>) {
        if let Some(raw) = &self.raw {
            change_window(requests, self.note_size(raw).0).await;
        }
    }

    /// Whether escapes are looked for.
    const fn is_interactive(&self) -> bool {
        self.escape.is_some()
    }

    /// The escape that ends the session, as the user types it. Nothing when there is none.
    pub(super) fn leaving(&self) -> Option<String> {
        self.escape.and_then(|escape| Escapes::new(escape).leaving())
    }
}

/// Columns and rows of a size, in one number.
const fn packed(size: Winsize) -> u32 {
    (size.ws_col as u32) << 16 | size.ws_row as u32
}

async fn change_window(requests: &ChannelWriteHalf<Msg>, size: Winsize) {
    let (columns, rows) = (u32::from(size.ws_col), u32::from(size.ws_row));
    // A connection that has ended is told where the channel is read.
    let _ = requests.window_change(columns, rows, u32::from(size.ws_xpixel), u32::from(size.ws_ypixel)).await;
}

/// What was read and waits for the remote, over all channels of a session.
#[derive(Debug)]
pub(super) struct Typed {
    chunks_rx: mpsc::Receiver<Bytes>,
    /// Present for a session that may outlive its connection.
    replay: Option<Replay>,
}

impl Typed {
    /// The queue, and where it is filled. With `kept`, what was sent is kept for as long as it may be missing.
    pub(super) fn new(keyboard: &Keyboard, kept: bool) -> (mpsc::Sender<Bytes>, Self) {
        let (chunks_tx, chunks_rx) = mpsc::channel(if keyboard.is_interactive() { TYPE_AHEAD } else { READ_AHEAD });
        (chunks_tx, Self { chunks_rx, replay: kept.then(Replay::default) })
    }

    /// Goes back to where the remote is.
    ///
    /// # Errors
    /// [`OutOfReach`]: it asks for what it cannot have missed.
    pub(super) fn rewind(&mut self, received: u64) -> Result<(), OutOfReach> {
        self.replay.as_mut().map_or(Ok(()), |replay| replay.rewind(received).map(drop))
    }

    /// Sends what is read, each chunk behind the size that the terminal has by then; then EOF. Cancel-safe for a session that is
    /// kept: nothing is lost that was taken out of the queue.
    pub(super) async fn forward(&mut self, sender: &ChannelSender<Msg>, keyboard: &Keyboard) -> Infallible {
        loop {
            if let Some(replay) = &mut self.replay {
                while let Some(packet) = replay.next() {
                    let len = packet.len();
                    if sender.data(packet).await.is_err() {
                        return std::future::pending().await;
                    }
                    replay.sent(len);
                }
            }
            let Some(chunk) = self.chunks_rx.recv().await else { break };
            let kept = self.replay.as_mut().map(|replay| replay.push(&chunk)).is_some();
            if let Some(size) = keyboard.news_of_size() {
                change_window(sender.requests(), size).await;
            }
            if kept {
                continue;
            }
            if sender.data(chunk).await.is_err() {
                // A channel that is closed is told where it is read.
                return std::future::pending().await;
            }
            sender.taken().await;
        }
        let _ = sender.eof().await;
        std::future::pending().await
    }
}

/// Reads and fills the queue; returns only when the user leaves.
///
/// # Errors
/// [`SessionError::Input`]: what cannot be read must not look like its end.
pub(crate) async fn read(
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

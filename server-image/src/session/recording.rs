//! What a session's terminal shows, on its way to the log as an asciicast v2 file in pieces: output and sizes, never what is typed,
//! for passwords are typed without an echo.
//!
//! The format: <https://docs.asciinema.org/manual/asciicast/v2/>, a header and then one event in each line.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::sleep;

use super::{TerminalRequest, WindowSize};
use crate::log::{Event, Log};

/// Bytes of the file in one line of the log. Escaped once more, the line stays below 16 KiB: container runtimes split longer ones,
/// and an event of CloudWatch Logs holds 256 KiB (CloudWatch Logs quotas).
const DATA_MAX: usize = 7 * 1024;

/// Bytes of output in one event: six times as much when every one of them is a control character, so it fits into [`DATA_MAX`].
const EVENT_MAX: usize = 1024;

/// Characters of the terminal's type that are told: terminfo's names are shorter.
const TERM_MAX: usize = 64;

/// Time that output may wait for company before it is sent.
const PATIENCE: Duration = Duration::from_secs(2);

/// A terminal of an unknown size, for players that need one.
const COLUMNS: u16 = 80;
const ROWS: u16 = 24;

/// One session's recording.
pub(super) struct Recording {
    log: Log,
    session: u64,
    began: Instant,
    state: Mutex<State>,
    /// There is something to send.
    grown: Notify,
}

struct State {
    /// The file's first line, until it is sent.
    header: String,
    /// Events that are not sent.
    data: String,
    /// Bytes of output in `data`.
    held: u64,
    /// The beginning of a character whose end has not come.
    partial: Vec<u8>,
    /// Of the next line.
    sequence: u64,
    /// Bytes of output that the log did not take since its last line.
    lost: u64,
}

impl Recording {
    /// Begins the file of a session with this terminal.
    pub(super) fn begin(log: Log, session: u64, terminal: &TerminalRequest) -> Self {
        let (columns, rows) = known(terminal.size);
        let header = json!({
            "version": 2,
            "width": columns,
            "height": rows,
            "timestamp": Timestamp::now().as_second(),
            "env": {"TERM": terminal.term.chars().take(TERM_MAX).collect::<String>()},
        });
        let state = State {
            header: format!("{header}\n"),
            data: String::new(),
            held: 0,
            partial: Vec::new(),
            sequence: 1,
            lost: 0,
        };
        Self { log, session, began: Instant::now(), state: Mutex::new(state), grown: Notify::new() }
    }

    /// The terminal shows this.
    pub(super) fn output(&self, output: &[u8]) {
        let time = self.began.elapsed();
        let mut state = self.lock();
        if !self.log.has_room() {
            // A flood is not even looked at.
            state.lose(output.len());
            return;
        }
        for piece in output.chunks(EVENT_MAX) {
            let text = state.decode(piece);
            if !text.is_empty() {
                self.append(&mut state, time, 'o', &text);
            }
            state.held += piece.len() as u64;
        }
        self.grown.notify_one();
    }

    /// The terminal has this size.
    pub(super) fn resized(&self, size: WindowSize) {
        let (columns, rows) = known(size);
        self.append(&mut self.lock(), self.began.elapsed(), 'r', &format!("{columns}x{rows}"));
        self.grown.notify_one();
    }

    /// Sends what has waited long enough. Never returns.
    pub(super) async fn keep_sending(&self) {
        loop {
            self.grown.notified().await;
            sleep(PATIENCE).await;
            self.send(&mut self.lock());
        }
    }

    /// Sends the rest.
    pub(super) fn end(&self) {
        let mut state = self.lock();
        if !std::mem::take(&mut state.partial).is_empty() {
            self.append(&mut state, self.began.elapsed(), 'o', "\u{fffd}");
        }
        self.send(&mut state);
        self.tell_lost(&mut state);
    }

    fn append(&self, state: &mut State, time: Duration, code: char, text: &str) {
        // Text always has a form in JSON.
        let text = serde_json::to_string(text).unwrap_or_default();
        let event = format!("[{}.{:06},\"{code}\",{text}]\n", time.as_secs(), time.subsec_micros());
        if state.header.len() + state.data.len() + event.len() > DATA_MAX {
            self.send(state);
        }
        state.data.push_str(&event);
    }

    /// Sends what there is, or gives it up.
    fn send(&self, state: &mut State) {
        if state.data.is_empty() && state.header.is_empty() {
            return;
        }
        if !self.log.has_room() {
            return state.lose(0);
        }
        self.tell_lost(state);
        let data = format!("{}{}", state.header, state.data);
        if self.log.offer(&Event::Record { session: self.session, sequence: state.sequence, data: &data }) {
            state.sequence += 1;
            state.header.clear();
            state.data.clear();
            state.held = 0;
        } else {
            state.lose(0);
        }
    }

    fn tell_lost(&self, state: &mut State) {
        let bytes = std::mem::take(&mut state.lost);
        if bytes > 0 {
            self.log.write(&Event::RecordLost { session: self.session, sequence: state.sequence, bytes });
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Gives up what waits, and as many bytes more.
    fn lose(&mut self, bytes: usize) {
        self.lost += std::mem::take(&mut self.held) + bytes as u64;
        self.data.clear();
        self.partial.clear();
    }

    /// The characters that are complete with this piece; what cannot be one is replaced.
    fn decode(&mut self, piece: &[u8]) -> String {
        self.partial.extend_from_slice(piece);
        let bytes = std::mem::take(&mut self.partial);
        let mut text = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let invalid = chunk.invalid();
            let may_go_on =
                chunks.peek().is_none() && std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
            if may_go_on {
                self.partial.extend_from_slice(invalid);
            } else if !invalid.is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }
}

fn known(size: WindowSize) -> (u16, u16) {
    let or = |number, default| if number == 0 { default } else { number };
    (or(size.columns(), COLUMNS), or(size.rows(), ROWS))
}

#[cfg(test)]
mod tests;

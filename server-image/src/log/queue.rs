//! The log behind a queue and a thread: whoever reads the log slowly holds up that thread, and not the sessions.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Bytes that may wait before a line that can be done without is not taken: many times what a busy terminal shows in a second.
const ROOM: usize = 512 * 1024;

/// Bytes that may wait before a line that must be written is waited with, and everybody with it, as without a queue.
const FULL: usize = 2 * ROOM;

/// Bytes that are written at once, where so many wait: what a pipe holds.
const AT_ONCE: usize = 64 * 1024;

/// Lines on their way to a stream. Clones are the same queue; its thread ends with the process.
#[derive(Clone)]
pub(super) struct Queue(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: VecDeque<Vec<u8>>,
    /// In `lines` and in the thread's hands.
    bytes: usize,
}

impl Queue {
    /// Starts the thread that writes.
    ///
    /// # Errors
    /// The system's, when it has no thread to give.
    pub(super) fn start(stream: Box<dyn Write + Send>) -> io::Result<Self> {
        let shared = Arc::new(Shared { state: Mutex::default(), changed: Condvar::new() });
        let written = Arc::clone(&shared);
        std::thread::Builder::new().name("log".to_owned()).spawn(move || written.write_to(stream))?;
        Ok(Self(shared))
    }

    /// Takes lines that must be written.
    pub(super) fn push(&self, lines: Vec<u8>) {
        let state = self.0.lock();
        let full = |state: &mut State| state.bytes >= FULL;
        let mut state = self.0.changed.wait_while(state, full).unwrap_or_else(PoisonError::into_inner);
        state.push(lines);
        self.0.changed.notify_all();
    }

    /// Whether [`Queue::offer`] would take a line.
    pub(super) fn has_room(&self) -> bool {
        self.0.lock().bytes < ROOM
    }

    /// Takes a line that can be done without, if there is room. Whether it did; never waits.
    pub(super) fn offer(&self, line: Vec<u8>) -> bool {
        let mut state = self.0.lock();
        let taken = state.bytes < ROOM;
        if taken {
            state.push(line);
            self.0.changed.notify_all();
        }
        taken
    }

    /// Waits until everything is written, or the time is up.
    pub(super) fn drain(&self, within: Duration) {
        let until = Instant::now() + within;
        let mut state = self.0.lock();
        while state.bytes > 0 {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl State {
    fn push(&mut self, lines: Vec<u8>) {
        self.bytes += lines.len();
        self.lines.push_back(lines);
    }

    /// The lines that come next, as many as are written at once.
    fn take(&mut self) -> Vec<u8> {
        let mut lines = self.lines.pop_front().unwrap_or_default();
        while let Some(more) = self.lines.pop_front_if(|more| lines.len() + more.len() <= AT_ONCE) {
            lines.extend_from_slice(&more);
        }
        lines
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_to(&self, mut stream: Box<dyn Write + Send>) {
        loop {
            let lines = {
                let empty = |state: &mut State| state.lines.is_empty();
                let state = self.changed.wait_while(self.lock(), empty);
                state.unwrap_or_else(PoisonError::into_inner).take()
            };
            // A log that nobody can take must not stop a session.
            let _ = stream.write_all(&lines).and_then(|()| stream.flush());
            self.lock().bytes -= lines.len();
            self.changed.notify_all();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_reader_that_takes_nothing_costs_what_can_be_done_without_and_no_more() {
        let (mut reader, writer) = io::pipe().expect("a pipe");
        let queue = Queue::start(Box::new(writer)).expect("a thread");
        let line = [vec![b'x'; 1023], vec![b'\n']].concat();
        let mut taken = 0;
        while queue.offer(line.clone()) {
            taken += 1;
        }
        assert!(taken * line.len() >= ROOM, "{taken} lines");
        assert!(!queue.has_room());
        queue.push(b"must\n".to_vec());
        queue.drain(Duration::ZERO);
        let mut read = vec![0; taken * line.len() + 5];
        reader.read_exact(&mut read).expect("all of it");
        assert!(read.ends_with(b"x\nmust\n"), "in order");
        queue.drain(Duration::from_secs(60));
        assert!(queue.has_room());
    }
}

//! The log: one line of JSON for each event, for people and for CloudWatch alike. `docs/audit.schema.json` describes the lines. What
//! users send and get is told by its length; the text of commands and what terminals show only as [`crate::audit`] says.

mod event;
mod queue;
mod quota;
#[cfg(test)]
mod schema;

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::Serialize;

pub use crate::sftp::report::Operation;
pub use event::Event;
use queue::Queue;
use quota::Quota;
pub use quota::{Withheld, name_of_account};

/// Bytes of a command that are told: a script's worth, and a line far from the 256 KiB that an event of CloudWatch Logs holds.
const COMMAND_MAX: usize = 8 * 1024;

/// Where events go. Clones write to the same place; a line is never mixed with another.
#[derive(Clone)]
pub struct Log {
    run: Option<Arc<str>>,
    out: Arc<Mutex<Out>>,
}

struct Out {
    sink: Sink,
    quota: Quota,
}

enum Sink {
    /// Whoever writes waits for the stream.
    Stream(Box<dyn Write + Send>),
    /// A thread does.
    Queue(Queue),
}

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<&'a str>,
    #[serde(flatten)]
    event: &'a Event<'a>,
}

impl Log {
    /// A log on the container's standard output; `run` is the run's name, repeated in each line.
    #[must_use]
    pub fn to_stdout(run: Option<&str>) -> Self {
        Self::new(run, Box::new(std::io::stdout()))
    }

    /// A log elsewhere.
    #[must_use]
    pub fn new(run: Option<&str>, out: Box<dyn Write + Send>) -> Self {
        Self::into_sink(run, Sink::Stream(out))
    }

    /// A log whose stream may take its time without holding up who writes, up to about a megabyte.
    ///
    /// # Errors
    /// The system's, when it has no thread to give.
    pub fn queued(run: Option<&str>, out: Box<dyn Write + Send>) -> io::Result<Self> {
        Ok(Self::into_sink(run, Sink::Queue(Queue::start(out)?)))
    }

    fn into_sink(run: Option<&str>, sink: Sink) -> Self {
        let out = Out { sink, quota: Quota::new(Instant::now()) };
        Self { run: run.map(Arc::from), out: Arc::new(Mutex::new(out)) }
    }

    /// Writes one line; of what strangers cause, no more than a few. A log that nobody can take must not stop a session, so
    /// failures are dropped.
    pub fn write(&self, event: &Event<'_>) {
        let mut out = self.lock();
        if !out.quota.admits(event, Instant::now()) {
            return;
        }
        let mut text = Vec::new();
        if let Some(withheld) = out.quota.withheld() {
            self.append(&mut text, &Event::Withheld(withheld));
        }
        self.append(&mut text, event);
        out.sink.write(text);
    }

    /// Writes a line that can be done without, if that takes no waiting. Whether it did.
    pub(crate) fn offer(&self, event: &Event<'_>) -> bool {
        let mut text = Vec::new();
        self.append(&mut text, event);
        match &mut self.lock().sink {
            Sink::Queue(queue) => queue.offer(text),
            stream @ Sink::Stream(_) => {
                stream.write(text);
                true
            }
        }
    }

    /// Whether [`Log::offer`] would write a line.
    pub(crate) fn has_room(&self) -> bool {
        match &self.lock().sink {
            Sink::Queue(queue) => queue.has_room(),
            Sink::Stream(_) => true,
        }
    }

    /// Waits until every line is written, or the time is up.
    pub(crate) fn drain(&self, within: Duration) {
        if let Sink::Queue(queue) = &self.lock().sink {
            queue.drain(within);
        }
    }

    fn append(&self, text: &mut Vec<u8>, event: &Event<'_>) {
        let line = Line { time: format!("{:.3}", Timestamp::now()), run: self.run.as_deref(), event };
        let Ok(line) = serde_json::to_vec(&line) else { return };
        text.extend(line);
        text.push(b'\n');
    }

    fn lock(&self) -> MutexGuard<'_, Out> {
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink {
    fn write(&mut self, text: Vec<u8>) {
        match self {
            Self::Stream(stream) => {
                let _ = stream.write_all(&text).and_then(|()| stream.flush());
            }
            Self::Queue(queue) => queue.push(text),
        }
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("run", &self.run).finish_non_exhaustive()
    }
}

/// A command as the log tells it: what is not UTF-8 is replaced, and what is longer than 8,192 bytes is cut.
pub(crate) fn text_of_command(command: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&command[..command.len().min(COMMAND_MAX)])
}

/// A time as the log counts it.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_time_run_and_fields() {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let log = Log::new(Some("r-1"), Box::new(writer));
        log.write(&Event::Exit { reason: "it was \"time\"\n".to_owned(), code: 3 });
        drop(log);
        let mut text = String::new();
        std::io::Read::read_to_string(&mut reader, &mut text).expect("text");
        assert_eq!(text.matches('\n').count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!((&line["event"], &line["run"], &line["code"]), (&"exit".into(), &"r-1".into(), &3.into()));
        let time = line["time"].as_str().expect("a time");
        assert_eq!((time.len(), time.ends_with('Z')), ("2026-01-02T03:04:05.678Z".len(), true), "{time}");
    }
}

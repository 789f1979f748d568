//! The log: one line of JSON for each event, for people and for CloudWatch alike. Lengths and names, never payload or secrets.

mod quota;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use jiff::Timestamp;
use serde::Serialize;

use quota::Quota;
pub use quota::{Withheld, name_of_account};

/// What is worth a line.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A role begins.
    Start {
        /// `init` or `serve`.
        role: &'a str,
        /// Version of this crate.
        version: &'a str,
        /// Own process id.
        pid: u32,
    },
    /// Nothing can be served: the grant or the command line is wrong.
    Refused {
        /// Why.
        error: String,
    },
    /// The server cannot go on, for a reason of its own.
    Failed {
        /// Why.
        error: String,
    },
    /// Connections are accepted from now on.
    Listen {
        /// Where.
        address: SocketAddr,
        /// The host key's public half, in OpenSSH form: what a client that reads this log pins.
        host_key: String,
        /// Its SHA-256 fingerprint.
        fingerprint: String,
    },
    /// A TCP connection came.
    Accept {
        /// From where.
        peer: SocketAddr,
    },
    /// A TCP connection was closed before it authenticated.
    Dropped {
        /// From where.
        peer: SocketAddr,
        /// Why.
        reason: &'a str,
    },
    /// A login was refused.
    AuthRefused {
        /// From where.
        peer: SocketAddr,
        /// The user asked for.
        user: &'a str,
        /// The key offered, if any.
        fingerprint: Option<String>,
        /// Why.
        reason: &'a str,
    },
    /// A login succeeded.
    AuthOk {
        /// From where.
        peer: SocketAddr,
        /// The user asked for.
        user: &'a str,
        /// The key used.
        fingerprint: String,
    },
    /// An authenticated connection ended.
    Disconnect {
        /// From where it was.
        peer: SocketAddr,
    },
    /// A shell or command was started.
    SessionStart {
        /// Counts from 1 over the container's life.
        session: u64,
        /// `shell`, `exec` or, with OpenSSH's engine, `subsystem`.
        kind: &'a str,
        /// Bytes of the command's text.
        command_bytes: usize,
        /// Whether it has a terminal.
        terminal: bool,
        /// As which user.
        user: &'a str,
    },
    /// A session lost its connection and is kept for its client.
    SessionKept {
        /// As in `session_start`.
        session: u64,
        /// For how long, in milliseconds.
        grace_ms: u64,
    },
    /// A session is connected again.
    SessionResumed {
        /// As in `session_start`.
        session: u64,
        /// From where.
        peer: SocketAddr,
        /// Bytes of output that are sent again.
        again: u64,
    },
    /// Somebody asked for a session back and does not get it.
    ResumeRefused {
        /// From where.
        peer: SocketAddr,
        /// Why.
        reason: &'a str,
    },
    /// A shell or command ended.
    SessionEnd {
        /// As in `session_start`.
        session: u64,
        /// Its exit code, 128 + n when a signal ended it.
        code: u8,
        /// How it ended.
        reason: String,
    },
    /// A line of the log of an `sshd` that serves a connection.
    Sshd {
        /// Whose connection.
        peer: SocketAddr,
        /// Its words.
        message: &'a str,
        /// Whether the connection is a user's.
        #[serde(skip)]
        authenticated: bool,
    },
    /// Strangers caused more lines than are written: how many of each kind were left out since the last such line.
    Withheld(Withheld),
    /// The idle limit cannot be kept by this engine.
    NoIdleLimit {
        /// Why.
        reason: &'a str,
    },
    /// We were started with words that are not for us: the CMD of an image that was made for another program.
    WordsIgnored {
        /// How many.
        count: usize,
    },
    /// The executable was copied.
    Installed {
        /// Where.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// The container's environment was written for other logins.
    EnvironmentWritten {
        /// The files.
        paths: Vec<String>,
    },
    /// The container's environment could not be written there, which harms no session of ours.
    EnvironmentNotWritten {
        /// The files.
        paths: Vec<String>,
        /// Why, for the first of them.
        error: String,
    },
    /// A signal announces the end, and whoever is logged in is told.
    Notice {
        /// How long sessions may go on.
        seconds: u64,
    },
    /// The container ends.
    Exit {
        /// Why.
        reason: String,
        /// With which code.
        code: u8,
    },
}

/// Where events go. Clones write to the same place; a line is never mixed with another.
#[derive(Clone)]
pub struct Log {
    run: Option<Arc<str>>,
    out: Arc<Mutex<Out>>,
}

struct Out {
    stream: Box<dyn Write + Send>,
    quota: Quota,
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
        let out = Out { stream: out, quota: Quota::new(Instant::now()) };
        Self { run: run.map(Arc::from), out: Arc::new(Mutex::new(out)) }
    }

    /// Writes one line; of what strangers cause, no more than a few. A log that nobody can take must not stop a session, so
    /// failures are dropped.
    pub fn write(&self, event: &Event<'_>) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        if !out.quota.admits(event, Instant::now()) {
            return;
        }
        let mut text = Vec::new();
        if let Some(withheld) = out.quota.withheld() {
            self.append(&mut text, &Event::Withheld(withheld));
        }
        self.append(&mut text, event);
        let _ = out.stream.write_all(&text).and_then(|()| out.stream.flush());
    }

    fn append(&self, text: &mut Vec<u8>, event: &Event<'_>) {
        let line = Line { time: format!("{:.3}", Timestamp::now()), run: self.run.as_deref(), event };
        let Ok(line) = serde_json::to_vec(&line) else { return };
        text.extend(line);
        text.push(b'\n');
    }
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log").field("run", &self.run).finish_non_exhaustive()
    }
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

//! What the log tells of one session: how it began, its bytes and its time, how it ended, and what its terminal showed where that
//! is recorded.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use super::recording::Recording;
use super::{Outcome, Program, TerminalRequest, WindowSize};
use crate::accounts::User;
use crate::log::{Event, milliseconds, text_of_command};
use crate::serve::Server;

/// One session, counted while it runs.
pub(super) struct Meter<'a> {
    server: &'a Server,
    /// Its number.
    pub(super) session: u64,
    began: Instant,
    received: AtomicU64,
    sent: AtomicU64,
    recording: Option<Recording>,
}

impl<'a> Meter<'a> {
    /// Gives a session that is about to start its number, and tells of it.
    pub(super) fn begin(
        server: &'a Server,
        user: &User,
        peer: SocketAddr,
        program: &Program,
        terminal: Option<&TerminalRequest>,
    ) -> Self {
        let session = server.next_session();
        let (kind, command) = match program {
            Program::Shell => ("shell", None),
            Program::Command(command) => ("exec", Some(command.as_slice())),
            Program::Sftp => ("subsystem", None),
        };
        server.log.write(&Event::SessionStart {
            session,
            kind,
            command: command.filter(|_| server.audit.commands).map(text_of_command),
            command_bytes: command.map_or(0, <[u8]>::len),
            terminal: terminal.is_some(),
            user: &user.name,
            peer,
            caller: server.caller.as_deref(),
        });
        let recorded = terminal.filter(|_| server.audit.record);
        Self {
            server,
            session,
            began: Instant::now(),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            recording: recorded.map(|terminal| Recording::begin(server.log.clone(), session, terminal)),
        }
    }

    /// Bytes came for the session to read.
    pub(super) fn received(&self, bytes: usize) {
        self.server.activity.touch();
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Bytes that came for the session so far.
    pub(super) fn received_so_far(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// The session wrote something.
    pub(super) fn sent(&self, output: &[u8]) {
        self.server.activity.touch();
        self.sent.fetch_add(output.len() as u64, Ordering::Relaxed);
        if let Some(recording) = &self.recording {
            recording.output(output);
        }
    }

    /// The session's terminal has another size.
    pub(super) fn resized(&self, size: WindowSize) {
        if let Some(recording) = &self.recording {
            recording.resized(size);
        }
    }

    /// Sends what is recorded to the log while the session runs. Never returns.
    pub(super) async fn keep_record(&self) {
        match &self.recording {
            Some(recording) => recording.keep_sending().await,
            None => std::future::pending().await,
        }
    }

    /// Tells of the end; to be called before the client learns of it.
    pub(super) fn ended(&self, outcome: Outcome) {
        if let Some(recording) = &self.recording {
            recording.end();
        }
        let code = outcome.code();
        self.server.session_ended(code);
        self.server.log.write(&Event::SessionEnd {
            session: self.session,
            code,
            reason: outcome.to_string(),
            duration_ms: milliseconds(self.began.elapsed()),
            received: Some(self.received_so_far()),
            sent: Some(self.sent.load(Ordering::Relaxed)),
        });
    }
}

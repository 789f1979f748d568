//! The kinds of lines and their fields, as `docs/audit.schema.json` has them.

use std::borrow::Cow;
use std::net::SocketAddr;

use serde::Serialize;

use super::{Operation, Withheld};

/// What is worth a line.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
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
    /// A TCP connection is another link of an SSH connection: it carries a part of its bytes, and ends with it.
    Joined {
        /// From where.
        peer: SocketAddr,
        /// Its number; the first link, which stands for the connection, has 0.
        link: u8,
        /// From where the first link came.
        first: SocketAddr,
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
        /// Who called, as the client says in the grant.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, serde(borrow))]
        caller: Option<&'a str>,
    },
    /// An authenticated connection ended.
    Disconnect {
        /// From where it was.
        peer: SocketAddr,
        /// Milliseconds since it came.
        duration_ms: u64,
        /// How it ended.
        reason: &'a str,
    },
    /// A shell or command was started.
    SessionStart {
        /// Counts from 1 over the container's life.
        session: u64,
        /// `shell`, `exec` or `subsystem`, which is sftp.
        kind: &'a str,
        /// The command's text, the first 8,192 bytes of it, unless it is left out.
        #[serde(skip_serializing_if = "Option::is_none")]
        command: Option<Cow<'a, str>>,
        /// Bytes of the command's text.
        command_bytes: usize,
        /// Whether it has a terminal.
        terminal: bool,
        /// As which user.
        user: &'a str,
        /// From where.
        peer: SocketAddr,
        /// As in `auth_ok`.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, serde(borrow))]
        caller: Option<&'a str>,
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
    /// A session of sftp opened, closed or changed a file, or tried to.
    Sftp {
        /// As in `session_start`.
        session: u64,
        /// What it did.
        operation: Operation,
        /// To which file: from the root, neither resolved nor shortened.
        path: &'a str,
        /// The other path, of what has two; of a symbolic link, what it holds.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, serde(borrow))]
        to: Option<&'a str>,
        /// With `close`: bytes read and written since it was opened.
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
        /// Why it was not done.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[cfg_attr(test, serde(borrow))]
        error: Option<&'a str>,
    },
    /// A shell or command ended.
    SessionEnd {
        /// As in `session_start`.
        session: u64,
        /// Its exit code, 128 + n when a signal ended it.
        code: u8,
        /// How it ended.
        reason: String,
        /// Milliseconds since it began.
        duration_ms: u64,
        /// Bytes that it was sent to read. Not known of OpenSSH's sessions.
        #[serde(skip_serializing_if = "Option::is_none")]
        received: Option<u64>,
        /// Bytes that it wrote, standard error included. Not known of OpenSSH's sessions.
        #[serde(skip_serializing_if = "Option::is_none")]
        sent: Option<u64>,
    },
    /// A part of what a session's terminal showed.
    Record {
        /// As in `session_start`.
        session: u64,
        /// Counts from 1 in each session.
        sequence: u64,
        /// Lines of an asciicast v2 file: put together in their order, they are that file.
        data: &'a str,
    },
    /// What a session's terminal showed came faster than the log took it: some of it is missing.
    RecordLost {
        /// As in `session_start`.
        session: u64,
        /// Of the `record` line before which it is missing, whether that comes or not.
        sequence: u64,
        /// Bytes of output that are missing.
        bytes: u64,
    },
    /// Bytes move between the client and something that the container reaches.
    ForwardStart {
        /// Counts from 1 over the container's life.
        forward: u64,
        /// `direct-tcpip`, `direct-streamlocal`, `forwarded-tcpip`, `forwarded-streamlocal` or `agent`.
        kind: &'a str,
        /// What the client named: whom to connect to, or where it has the container listen.
        target: &'a str,
        /// Where the connection came from: at the client, in its own words, or in the container.
        origin: &'a str,
        /// The client.
        peer: SocketAddr,
    },
    /// A forward ended.
    ForwardEnd {
        /// As in `forward_start`.
        forward: u64,
        /// Bytes from the client.
        received: u64,
        /// Bytes to the client.
        sent: u64,
        /// For how long it stood, in milliseconds.
        duration_ms: u64,
        /// Why.
        reason: &'a str,
    },
    /// Something was not forwarded.
    ForwardRefused {
        /// As in `forward_start`.
        kind: &'a str,
        /// As in `forward_start`.
        target: &'a str,
        /// The client.
        peer: SocketAddr,
        /// Why.
        reason: &'a str,
    },
    /// The container listens for its client.
    ForwardListen {
        /// `forwarded-tcpip` or `forwarded-streamlocal`.
        kind: &'a str,
        /// Where.
        address: &'a str,
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
    /// Strangers, or a client's refused forwards, caused more lines than are written: how many of each kind were left out since the
    /// last such line.
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

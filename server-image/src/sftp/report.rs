//! What is worth a line in the log, from the process that works on files to `serve`, which writes the log: lines of JSON on the
//! process's standard error. The process waits for room there before it looks for
//! more requests, so nobody gets ahead of the log.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::ChildStderr;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::log::{Event, Log};

/// Longest path that is reported whole, in bytes. The system takes none that is as long (PATH_MAX), so every one that worked is
/// whole.
const PATH_MAX: usize = 4096;

/// Longest line, in bytes: two such paths with all their characters escaped, and the rest.
const LINE_MAX: usize = 64 * 1024;

/// How long reports gather. Shorter than what a log's reader sees, and long enough for several round trips of a near client; a pipe
/// holds the reports of several thousand files a second for so long.
const GATHERING: Duration = Duration::from_millis(4);

/// Most of a line that is no report, in characters, that is repeated in the log.
const STRAY_MAX: usize = 200;

/// What was done, or was to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// A file was opened to be read.
    OpenRead,
    /// A file that exists was opened to be written.
    OpenWrite,
    /// A file was opened to be written, and made if there was none.
    OpenCreate,
    /// An open file was closed, by the client or with its connection.
    Close,
    /// A file was removed.
    Remove,
    /// A file or directory was renamed.
    Rename,
    /// A directory was made.
    Mkdir,
    /// A directory was removed.
    Rmdir,
    /// A symbolic link was made.
    Symlink,
    /// A hard link was made.
    Link,
    /// Attributes were changed.
    Setstat,
    /// The client cannot be understood any further.
    Protocol,
}

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Report<'a> {
    pub(crate) operation: Operation,
    /// From the root, but neither resolved nor shortened.
    pub(crate) path: Cow<'a, str>,
    /// The other path, of what has two. That of a symbolic link is as the link holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<Cow<'a, str>>,
    /// Read and written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) bytes: Option<u64>,
    /// Why it was not done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Cow<'a, str>>,
}

impl<'a> Report<'a> {
    pub(super) fn new(operation: Operation, path: &'a [u8]) -> Self {
        Self { operation, path: text(path), to: None, bytes: None, error: None }
    }

    pub(super) fn to(self, to: Option<&'a [u8]>) -> Self {
        Self { to: to.map(text), ..self }
    }

    pub(super) fn bytes(self, bytes: u64) -> Self {
        Self { bytes: Some(bytes), ..self }
    }

    pub(super) fn error(self, error: Option<impl Into<Cow<'a, str>>>) -> Self {
        Self { error: error.map(Into::into), ..self }
    }

    fn log(&self, log: &Log, session: u64) {
        log.write(&Event::Sftp {
            session,
            operation: self.operation,
            path: &self.path,
            to: self.to.as_deref(),
            bytes: self.bytes,
            error: self.error.as_deref(),
        });
    }
}

/// What is not UTF-8 is told by replacement characters.
fn text(path: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(&path[..path.len().min(PATH_MAX)])
}

/// The reports of one session's process.
#[derive(Debug)]
pub(crate) struct Reports {
    pub(crate) pipe: ChildStderr,
    pub(crate) log: Log,
    /// As in `session_start`.
    pub(crate) session: u64,
}

impl Reports {
    /// Writes each into the log until the process has ended. The process belongs to the session's user, so its lines are what
    /// that user would have them be. While there are replies, reports are left to gather for a moment: a client that waits for
    /// each reply before its next request would have us wake up for every one of them.
    pub(crate) async fn write_to_log(self, no_more_replies: &CancellationToken) {
        let Self { pipe, log, session } = self;
        let (mut lines, mut line) = (BufReader::with_capacity(LINE_MAX, pipe), Vec::new());
        loop {
            if lines.buffer().is_empty() {
                // Cancelled, it is over at once: the session does not end later for it.
                let _ = timeout(GATHERING, no_more_replies.cancelled()).await;
            }
            line.clear();
            match (&mut lines).take(LINE_MAX as u64).read_until(b'\n', &mut line).await {
                Ok(0) | Err(_) => return,
                Ok(_) => write(&line, &log, session),
            }
        }
    }
}

fn write(line: &[u8], log: &Log, session: u64) {
    match serde_json::from_slice::<Report<'_>>(line) {
        Ok(report) => report.log(log, session),
        // The last words of a process that failed.
        Err(_) => {
            let stray: String = String::from_utf8_lossy(line).trim_end().chars().take(STRAY_MAX).collect();
            Report::new(Operation::Protocol, b"").error(Some(stray)).log(log, session);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    fn logged(line: &[u8]) -> serde_json::Value {
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let log = Log::new(None, Box::new(writer));
        write(line, &log, 7);
        drop(log);
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("text");
        let mut event: serde_json::Value = serde_json::from_str(&text).expect("one line of JSON");
        event.as_object_mut().expect("an object").remove("time");
        event
    }

    #[test]
    fn a_report_becomes_a_line_and_so_does_anything_else() {
        let report = Report::new(Operation::Rename, b"/a\n\xff").to(Some(b"/b")).error(Some("No space left on device"));
        let event = logged(&serde_json::to_vec(&report).expect("JSON"));
        assert_eq!(
            event,
            serde_json::json!({"event": "sftp", "session": 7, "operation": "rename", "path": "/a\n\u{fffd}", "to": "/b",
                "error": "No space left on device"})
        );
        let event = logged(b"thread panicked at \"x\"\n");
        assert_eq!(
            event,
            serde_json::json!({"event": "sftp", "session": 7, "operation": "protocol", "path": "",
                "error": "thread panicked at \"x\""})
        );
        assert_eq!(logged(&[b'x'; 1000])["error"].as_str().map(str::len), Some(STRAY_MAX));
    }

    #[test]
    fn the_longest_report_is_one_line() {
        let path = vec![1; 2 * PATH_MAX];
        let report =
            Report::new(Operation::Symlink, &path).to(Some(&path)).bytes(u64::MAX).error(Some("e".repeat(200)));
        let line = serde_json::to_vec(&report).expect("JSON");
        assert!(line.len() < LINE_MAX, "{} bytes", line.len());
        assert_eq!(serde_json::from_slice::<Report<'_>>(&line).expect("a report"), report);
    }
}

//! What a container writes to its standard output and error: the last lines of it, and all of it for its log stream.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::sync::watch;

use crate::logs::Writer;

/// Lines kept for each container.
const LINES_MAX: usize = 1000;
/// Bytes after which a line is cut in two, as container runtimes do it.
const LINE_MAX: usize = 16 * 1024;
/// Bytes read at once.
const CHUNK: usize = 4096;

/// A ring of lines that everybody who looks at the container shares.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    lines: Arc<Mutex<VecDeque<String>>>,
    /// Changes with every line.
    changed: Arc<watch::Sender<()>>,
    stream: Option<Writer>,
}

impl Log {
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// Waits until this line has been written; for ever, if it never is.
    pub(crate) async fn until(&self, line: &str) {
        let mut changes = self.changed.subscribe();
        while self.lines().iter().all(|known| known != line) {
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    /// The same lines, which a log stream gets as well.
    pub(crate) fn into_stream(self, stream: Writer) -> Self {
        Self { stream: Some(stream), ..self }
    }

    /// Keeps what comes until nobody can write any more.
    pub(crate) async fn keep(self, mut output: impl AsyncRead + Unpin) {
        let (mut chunk, mut line) = ([0; CHUNK], Vec::new());
        // A pipe that cannot be read has nothing more to say.
        while let Ok(read @ 1..) = output.read(&mut chunk).await {
            for byte in chunk.iter().take(read) {
                if *byte != b'\n' {
                    line.push(*byte);
                }
                if *byte == b'\n' || line.len() == LINE_MAX {
                    self.push(&line);
                    line.clear();
                }
            }
        }
        if !line.is_empty() {
            self.push(&line);
        }
    }

    fn push(&self, line: &[u8]) {
        let line = String::from_utf8_lossy(line).into_owned();
        if let Some(stream) = &self.stream {
            stream.push(&line);
        }
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(line);
        drop(lines);
        self.changed.send_replace(());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn kept(bytes: &[u8]) -> Vec<String> {
        let log = Log::default();
        log.clone().keep(bytes).await;
        log.lines()
    }

    #[tokio::test]
    async fn lines_are_kept_whatever_is_in_them() {
        assert_eq!(kept(b"a\n\n\xffb\nlast").await, ["a", "", "\u{fffd}b", "last"]);
    }

    #[tokio::test]
    async fn endless_lines_and_endless_output_are_bounded() {
        let long = kept(&vec![b'x'; LINE_MAX + 1]).await;
        assert_eq!(long.iter().map(String::len).collect::<Vec<_>>(), [LINE_MAX, 1]);
        let many: String = (0..=LINES_MAX).map(|number| format!("{number}\n")).collect();
        let kept = kept(many.as_bytes()).await;
        assert_eq!((kept.len(), kept[0].as_str()), (LINES_MAX, "1"));
    }
}

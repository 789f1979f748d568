//! Data whose every byte is known, and services for much of it.

use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

pub(crate) const MIB: usize = 1024 * 1024;

/// Long enough for a machine that is busy with everything else; a test that takes it hangs.
const PATIENCE: Duration = Duration::from_secs(240);

/// Prime, so that it fits no buffer.
const TABLE: usize = 1_000_003;

static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[2]
    };
    (0..TABLE).map(|_| byte()).collect()
});

/// One stream of known bytes.
pub(crate) struct Pattern {
    offset: usize,
    pub(crate) seen: usize,
}

impl Pattern {
    pub(crate) fn new(seed: usize) -> Self {
        Self { offset: seed * 3571, seen: 0 }
    }

    /// The next bytes, at most `most`.
    pub(crate) fn next(&mut self, most: usize) -> &'static [u8] {
        let at = (self.offset + self.seen) % TABLE;
        let length = most.min(TABLE - at);
        self.seen += length;
        &BYTES[at..at + length]
    }

    /// Fails unless these are the next bytes.
    pub(crate) fn check(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            let from = self.seen;
            let expected = self.next(data.len());
            assert!(data[..expected.len()] == *expected, "bytes differ after {from}");
            data = &data[expected.len()..];
        }
    }
}

/// Full sizes with `FARGATE_LOGIN_FLOW=full`, a sixteenth of them otherwise: every cell still moves many times its windows.
pub(crate) fn size(full: usize) -> usize {
    if std::env::var_os("FARGATE_LOGIN_FLOW").is_some_and(|word| word == "full") { full } else { full / 16 }
}

/// Sends back what comes, on every connection, each direction to its own end.
pub(crate) async fn echo_service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            tokio::spawn(async move {
                let (mut read, mut write) = stream.into_split();
                // Who goes in between need not be told.
                drop(tokio::io::copy(&mut read, &mut write).await);
            });
        }
    });
    address
}

/// Writes known bytes and ends its half; reads them back at once.
pub(crate) async fn round_trip(stream: impl AsyncRead + AsyncWrite, seed: usize, size: usize) {
    let (mut read, mut write) = tokio::io::split(stream);
    let writing = async {
        let mut pattern = Pattern::new(seed);
        while pattern.seen < size {
            let left = size - pattern.seen;
            write.write_all(pattern.next(left.min(100_000))).await.expect("a reader");
        }
        write.shutdown().await.expect("a stream");
    };
    let reading = async {
        let mut pattern = Pattern::new(seed);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match read.read(&mut buffer).await.expect("an answer") {
                0 => break,
                length => pattern.check(&buffer[..length]),
            }
        }
        assert_eq!(pattern.seen, size);
    };
    tokio::join!(writing, reading);
}

pub(crate) async fn patiently<F: Future>(test: F) -> F::Output {
    tokio::time::timeout(PATIENCE, test).await.expect("hangs")
}

/// Peak and present size of a process in memory, in KiB.
pub(crate) fn memory(pid: i64) -> (u64, u64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process that lives");
    let field = |name: &str| -> u64 {
        let value = status.lines().find_map(|line| line.strip_prefix(name)).expect("a size");
        value.trim().trim_end_matches(" kB").parse().expect("a number")
    };
    (field("VmHWM:"), field("VmRSS:"))
}

/// A figure for who looks at the test's output: nothing depends on it.
pub(crate) fn report(what: &str, began: Instant) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{what}: {} ms", began.elapsed().as_millis());
}

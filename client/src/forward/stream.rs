//! A local connection, TCP or Unix: bytes in and out without a buffer that an idle one would hold.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use nix::sys::socket::Shutdown;
use tokio::net::{TcpStream, UnixStream};

use super::spec::Target;

/// Most that is read at once: a few SSH packets.
const CHUNK: usize = 128 * 1024;
/// Below this a chunk is copied out of its buffer, so that a keystroke does not hold all of it while it waits.
const COPY_BELOW: usize = CHUNK / 4;
/// Time for a connection of ours to a local target: beyond it nobody is there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A local connection.
#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects to a target of this machine's.
    ///
    /// # Errors
    /// What connecting failed with.
    pub(super) async fn connect(target: &Target) -> io::Result<Self> {
        let connecting = async {
            Ok::<_, io::Error>(match target {
                Target::Tcp { host, port } => Self::Tcp(TcpStream::connect((&host[..], *port)).await?),
                Target::Unix(path) => Self::unix(path).await?,
            })
        };
        let connected = tokio::time::timeout(CONNECT_TIMEOUT, connecting).await;
        let stream = connected.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into()))?;
        stream.send_at_once();
        Ok(stream)
    }

    /// Connects to a Unix socket.
    ///
    /// # Errors
    /// What connecting failed with.
    pub(super) async fn unix(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).await.map(Self::Unix)
    }

    /// Lets no small write wait for an acknowledgement.
    pub(super) fn send_at_once(&self) {
        if let Self::Tcp(stream) = self {
            // Without it the connection is slower, and nothing else.
            let _ = stream.set_nodelay(true);
        }
    }

    /// The next bytes; `None` at the end. Cancel-safe.
    ///
    /// # Errors
    /// What reading failed with.
    pub(super) async fn read(&self) -> io::Result<Option<Bytes>> {
        loop {
            match self {
                Self::Tcp(stream) => stream.readable().await?,
                Self::Unix(stream) => stream.readable().await?,
            }
            let mut buffer = Vec::with_capacity(CHUNK);
            let read = match self {
                Self::Tcp(stream) => stream.try_read_buf(&mut buffer),
                Self::Unix(stream) => stream.try_read_buf(&mut buffer),
            };
            return match read {
                Ok(0) => Ok(None),
                Ok(read) if read < COPY_BELOW => Ok(Some(Bytes::copy_from_slice(&buffer))),
                Ok(_) => Ok(Some(Bytes::from(buffer))),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => continue,
                Err(error) => Err(error),
            };
        }
    }

    /// Writes everything.
    ///
    /// # Errors
    /// What writing failed with.
    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match self {
                Self::Tcp(stream) => {
                    stream.writable().await?;
                    stream.try_write(bytes)
                }
                Self::Unix(stream) => {
                    stream.writable().await?;
                    stream.try_write(bytes)
                }
            };
            match written {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Says that nothing more is written; reading goes on.
    pub(super) fn finish(&self) {
        let fd = match self {
            Self::Tcp(stream) => stream.as_fd().as_raw_fd(),
            Self::Unix(stream) => stream.as_fd().as_raw_fd(),
        };
        // A peer that has gone needs no end.
        let _ = nix::sys::socket::shutdown(fd, Shutdown::Write);
    }

    /// Ends it so that its other end knows that something is missing: with a reset, where there is such a thing.
    pub(super) fn abort(self) {
        if let Self::Tcp(stream) = &self {
            // Without it the other end sees a plain end, which is all that a Unix socket has.
            let _ = stream.set_zero_linger();
        }
    }
}

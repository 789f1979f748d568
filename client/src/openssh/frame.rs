//! What a keeper sends to a proxy: SSH's bytes and its own talk, in frames. The other direction is SSH's bytes alone.
//!
//! A frame is a byte for its kind, the payload's length as 32 bits in network order, and the payload. Both ends are the same
//! executable or nearly so: a kind that is not known ends the connection.

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Longest payload that is sent or taken, in bytes: a few SSH packets.
pub const PAYLOAD_MAX: usize = 128 * 1024;

const BYTES: u8 = b'B';
const PHASE: u8 = b'P';
const LINE: u8 = b'L';
const AGAIN: u8 = b'A';
const END: u8 = b'E';

/// One frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Bytes from the task, for standard output.
    Bytes(Bytes),
    /// The phase that the start is in.
    Phase(String),
    /// A line that stays, with colours that the terminal may not want.
    Line(String),
    /// The run was over before this connection had anything from it: another may be started.
    Again,
    /// Nothing follows; the exit status of the proxy.
    End(u8),
}

/// Sends a frame.
///
/// # Errors
/// The stream's own.
pub async fn write<W: AsyncWrite + Unpin>(stream: &mut W, frame: &Frame) -> std::io::Result<()> {
    let (kind, payload) = match frame {
        Frame::Bytes(bytes) => (BYTES, bytes.as_ref()),
        Frame::Phase(text) => (PHASE, cut(text)),
        Frame::Line(text) => (LINE, cut(text)),
        Frame::Again => (AGAIN, &[][..]),
        Frame::End(code) => (END, std::slice::from_ref(code)),
    };
    let length = u32::try_from(payload.len()).map_err(std::io::Error::other)?;
    let mut head = [kind, 0, 0, 0, 0];
    head[1..].copy_from_slice(&length.to_be_bytes());
    stream.write_all(&head).await?;
    stream.write_all(payload).await
}

/// Reads a frame; `None` at the stream's end. Not cancel-safe.
///
/// # Errors
/// The stream's own, and `InvalidData` for what is no frame.
pub async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> std::io::Result<Option<Frame>> {
    let mut head = [0; 5];
    if stream.read(&mut head[..1]).await? == 0 {
        return Ok(None);
    }
    stream.read_exact(&mut head[1..]).await?;
    let [kind, length @ ..] = head;
    let length = usize::try_from(u32::from_be_bytes(length)).map_err(|_| invalid())?;
    if length > PAYLOAD_MAX {
        return Err(invalid());
    }
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await?;
    let text = |payload: &[u8]| String::from_utf8_lossy(payload).into_owned();
    match (kind, payload.as_slice()) {
        (BYTES, _) => Ok(Some(Frame::Bytes(payload.into()))),
        (PHASE, text_bytes) => Ok(Some(Frame::Phase(text(text_bytes)))),
        (LINE, text_bytes) => Ok(Some(Frame::Line(text(text_bytes)))),
        (AGAIN, []) => Ok(Some(Frame::Again)),
        (END, [code]) => Ok(Some(Frame::End(*code))),
        _ => Err(invalid()),
    }
}

fn invalid() -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::InvalidData, "not a frame of fargate-login's")
}

/// Text that is longer than anything that we say is not ours.
fn cut(text: &str) -> &[u8] {
    text.as_bytes().get(..PAYLOAD_MAX).unwrap_or(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read_back() {
        let frames = [
            Frame::Bytes(Bytes::from(vec![7; PAYLOAD_MAX])),
            Frame::Bytes(Bytes::new()),
            Frame::Phase("RunTask".to_owned()),
            Frame::Line("a line\nof two".to_owned()),
            Frame::Again,
            Frame::End(255),
        ];
        let mut stream = Vec::new();
        for frame in &frames {
            write(&mut stream, frame).await.expect("memory");
        }
        let mut rest = stream.as_slice();
        for frame in frames {
            assert_eq!(read(&mut rest).await.expect("a frame"), Some(frame));
        }
        assert_eq!(read(&mut rest).await.expect("the end"), None);
    }

    #[tokio::test]
    async fn anything_else_is_refused() {
        for bytes in [&b"X\0\0\0\0"[..], b"B\0\xff\0\0", b"E\0\0\0\0", b"A\0\0\0\x01x", b"B\0\0\0\x02x", b"B\0"] {
            let mut rest = bytes;
            assert!(read(&mut rest).await.is_err(), "{bytes:?}");
        }
    }
}

//! The frames of smux version 1: eight bytes of header, little-endian, and content.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::SmuxError;

/// Bytes of a header.
pub(crate) const HEADER: usize = 8;
const VERSION: u8 = 1;

/// What a frame does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// Opens a stream.
    Syn,
    /// Closes a stream.
    Fin,
    /// Carries bytes.
    Psh,
    /// Keeps the session alive.
    Nop,
}

/// The beginning of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) command: Command,
    pub(crate) length: usize,
    pub(crate) id: u32,
}

/// A frame. The content is at most 65535 bytes; more is left out.
pub(crate) fn encode(command: Command, id: u32, content: &[u8]) -> Bytes {
    let length = u16::try_from(content.len()).unwrap_or(u16::MAX);
    let mut frame = BytesMut::with_capacity(HEADER + content.len());
    frame.put_u8(VERSION);
    frame.put_u8(match command {
        Command::Syn => 0,
        Command::Fin => 1,
        Command::Psh => 2,
        Command::Nop => 3,
    });
    frame.put_u16_le(length);
    frame.put_u32_le(id);
    frame.put_slice(&content[..length.into()]);
    frame.freeze()
}

/// The header at the beginning of `bytes`; `None` while it is not all there.
pub(crate) fn header(bytes: &[u8]) -> Result<Option<Header>, SmuxError> {
    let Some(&[version, command, low, high, a, b, c, d]) = bytes.first_chunk::<HEADER>() else { return Ok(None) };
    if version != VERSION {
        return Err(SmuxError::Version(version));
    }
    let command = match command {
        0 => Command::Syn,
        1 => Command::Fin,
        2 => Command::Psh,
        3 => Command::Nop,
        other => return Err(SmuxError::Command(other)),
    };
    Ok(Some(Header { command, length: u16::from_le_bytes([low, high]).into(), id: u32::from_le_bytes([a, b, c, d]) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_little_endian() {
        assert_eq!(encode(Command::Syn, 3, &[]).as_ref(), b"\x01\x00\x00\x00\x03\x00\x00\x00");
        assert_eq!(encode(Command::Psh, 0x0102, b"hi").as_ref(), b"\x01\x02\x02\x00\x02\x01\x00\x00hi");
        assert_eq!(encode(Command::Fin, 5, &[]).as_ref(), b"\x01\x01\x00\x00\x05\x00\x00\x00");
        let header = header(b"\x01\x03\x02\x01\x07\x00\x00\x00rest");
        assert_eq!(header, Ok(Some(Header { command: Command::Nop, length: 0x0102, id: 7 })));
    }

    #[test]
    fn what_is_not_smux_is_told_apart() {
        assert_eq!(header(b"\x01\x02\x00"), Ok(None));
        assert_eq!(header(b"\x02\x00\x00\x00\x03\x00\x00\x00"), Err(SmuxError::Version(2)));
        assert_eq!(header(b"\x01\x04\x00\x00\x03\x00\x00\x00"), Err(SmuxError::Command(4)));
    }
}

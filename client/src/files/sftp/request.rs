//! Requests as bytes (draft-ietf-secsh-filexfer-02, section 6), each with the length in front.

use bytes::{BufMut as _, Bytes, BytesMut};

use super::Attributes;

const INIT: u8 = 1;
const OPEN: u8 = 3;
pub(super) const CLOSE: u8 = 4;
const READ: u8 = 5;
const WRITE: u8 = 6;
pub(super) const FSTAT: u8 = 8;
pub(super) const SETSTAT: u8 = 9;
pub(super) const FSETSTAT: u8 = 10;
pub(super) const OPENDIR: u8 = 11;
pub(super) const READDIR: u8 = 12;
pub(super) const REMOVE: u8 = 13;
pub(super) const MKDIR: u8 = 14;
pub(super) const REALPATH: u8 = 16;
pub(super) const STAT: u8 = 17;
const RENAME: u8 = 18;
const EXTENDED: u8 = 200;

/// The version that everybody speaks.
pub(super) const VERSION: u32 = 3;
/// Bytes of the length in front of a packet.
const LENGTH: usize = 4;

/// How a file is opened (section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OpenFlags(u32);

impl OpenFlags {
    pub(crate) const READ: Self = Self(0x1);
    /// A file that nobody else has: it is made, for writing and for reading back.
    pub(crate) const NEW: Self = Self(0x1 | 0x2 | 0x8 | 0x20);
    /// A file to go on with: it is made if need be, for writing and for reading back.
    pub(crate) const CONTINUED: Self = Self(0x1 | 0x2 | 0x8);
}

/// Content on its way into a WRITE: room for the header is left in front, so that it is not copied again.
#[derive(Debug)]
pub(crate) struct WriteBuffer {
    packet: BytesMut,
    header: usize,
}

impl WriteBuffer {
    /// For up to `length` bytes of content of the file with this handle.
    pub(crate) fn new(handle: &[u8], length: usize) -> Self {
        // Length, type, id, handle, offset, length of the content.
        let header = LENGTH + 1 + 4 + (4 + handle.len()) + 8 + 4;
        let mut packet = BytesMut::with_capacity(header + length);
        packet.put_u32(0);
        packet.put_u8(WRITE);
        packet.put_u32(0);
        put_string(&mut packet, handle);
        packet.put_u64(0);
        packet.put_u32(0);
        packet.resize(header + length, 0);
        Self { packet, header }
    }

    /// Where the content goes.
    pub(crate) fn content(&mut self) -> &mut [u8] {
        self.packet.get_mut(self.header..).unwrap_or_default()
    }

    /// Keeps the first `length` bytes of the content.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.packet.truncate(self.header + length);
    }

    pub(crate) fn content_len(&self) -> usize {
        self.packet.len() - self.header
    }

    pub(super) fn into_packet(mut self, id: u32, offset: u64) -> Bytes {
        let content = length_of(self.content_len());
        let length = length_of(self.packet.len() - LENGTH);
        let header = self.header;
        let mut put = |at: usize, bytes: &[u8]| {
            if let Some(place) = self.packet.get_mut(at..at + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        put(0, &length.to_be_bytes());
        put(LENGTH + 1, &id.to_be_bytes());
        put(header - 12, &offset.to_be_bytes());
        put(header - 4, &content.to_be_bytes());
        self.packet.freeze()
    }
}

pub(super) fn init() -> Bytes {
    let mut packet = BytesMut::new();
    packet.put_u32(5);
    packet.put_u8(INIT);
    packet.put_u32(VERSION);
    packet.freeze()
}

pub(super) fn open(id: u32, path: &[u8], flags: OpenFlags, attributes: &Attributes) -> Bytes {
    packet(OPEN, id, |packet| {
        put_string(packet, path);
        packet.put_u32(flags.0);
        attributes.encode(packet);
    })
}

/// A request about a handle alone.
pub(super) fn handle(kind: u8, id: u32, handle: &[u8]) -> Bytes {
    packet(kind, id, |packet| put_string(packet, handle))
}

/// A request about a path alone.
pub(super) fn path(kind: u8, id: u32, path: &[u8]) -> Bytes {
    packet(kind, id, |packet| put_string(packet, path))
}

/// A request about a path or a handle, and attributes for it.
pub(super) fn setstat(kind: u8, id: u32, of: &[u8], attributes: &Attributes) -> Bytes {
    packet(kind, id, |packet| {
        put_string(packet, of);
        attributes.encode(packet);
    })
}

pub(super) fn read(id: u32, handle: &[u8], offset: u64, length: u32) -> Bytes {
    packet(READ, id, |packet| {
        put_string(packet, handle);
        packet.put_u64(offset);
        packet.put_u32(length);
    })
}

pub(super) fn rename(id: u32, from: &[u8], to: &[u8]) -> Bytes {
    packet(RENAME, id, |packet| {
        put_string(packet, from);
        put_string(packet, to);
    })
}

pub(super) fn extended(id: u32, name: &str, strings: &[&[u8]]) -> Bytes {
    packet(EXTENDED, id, |packet| {
        put_string(packet, name.as_bytes());
        for string in strings {
            put_string(packet, string);
        }
    })
}

pub(super) fn sha256(id: u32, name: &str, handle: &[u8], offset: u64, length: u64) -> Bytes {
    packet(EXTENDED, id, |packet| {
        put_string(packet, name.as_bytes());
        put_string(packet, handle);
        packet.put_u64(offset);
        packet.put_u64(length);
    })
}

fn packet(kind: u8, id: u32, rest: impl FnOnce(&mut BytesMut)) -> Bytes {
    let mut packet = BytesMut::with_capacity(64);
    packet.put_u32(0);
    packet.put_u8(kind);
    packet.put_u32(id);
    rest(&mut packet);
    let length = length_of(packet.len() - LENGTH).to_be_bytes();
    if let Some(place) = packet.get_mut(..LENGTH) {
        place.copy_from_slice(&length);
    }
    packet.freeze()
}

fn put_string(packet: &mut BytesMut, string: &[u8]) {
    packet.put_u32(length_of(string.len()));
    packet.put_slice(string);
}

/// Nothing that we put into a packet comes near 4 GiB: paths are arguments, content is at most 255 KiB.
fn length_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_as_the_draft_has_them() {
        assert_eq!(init().as_ref(), b"\0\0\0\x05\x01\0\0\0\x03");
        assert_eq!(path(STAT, 7, b"/a").as_ref(), b"\0\0\0\x0b\x11\0\0\0\x07\0\0\0\x02/a");
        assert_eq!(read(1, b"h", 2, 3).as_ref(), b"\0\0\0\x16\x05\0\0\0\x01\0\0\0\x01h\0\0\0\0\0\0\0\x02\0\0\0\x03");
        let attributes = Attributes { permissions: Some(0o600), times: Some((1, 2)), ..Attributes::default() };
        assert_eq!(
            open(1, b"a", OpenFlags::NEW, &attributes).as_ref(),
            b"\0\0\0\x1e\x03\0\0\0\x01\0\0\0\x01a\0\0\0\x2b\0\0\0\x0c\0\0\x01\x80\0\0\0\x01\0\0\0\x02"
        );
    }

    #[test]
    fn content_is_written_where_it_was_read_to() {
        let mut buffer = WriteBuffer::new(b"h", 8);
        buffer.content()[..3].copy_from_slice(b"abc");
        buffer.truncate(3);
        assert_eq!(buffer.content_len(), 3);
        let packet = buffer.into_packet(9, 5);
        assert_eq!(packet.as_ref(), b"\0\0\0\x19\x06\0\0\0\x09\0\0\0\x01h\0\0\0\0\0\0\0\x05\0\0\0\x03abc");
    }
}

//! The overflow file: what a foreign peer sent and nobody has taken, past what memory may hold. Unlinked from the start, used as
//! a ring, so that it never grows beyond its limit and leaves nothing behind.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::{Buf as _, Bytes, BytesMut};
use russh::ChannelMsg;

use crate::settings::OVERFLOW_READ;

/// Bytes before each record's data: whether it is extended data, its type code, its length.
const HEADER: usize = 1 + 4 + 4;

/// A ring of records in a temporary file. Positions only grow; the file's offset is the position modulo the capacity.
#[derive(Debug, Clone)]
pub(crate) struct Overflow {
    file: Arc<File>,
    capacity: u64,
    written: u64,
    read: u64,
}

/// Messages read back, and how many bytes of the ring they were.
#[derive(Debug)]
pub(crate) struct ReadBack {
    pub(crate) messages: Vec<ChannelMsg>,
    pub(crate) bytes: u64,
}

/// What a record of `len` bytes takes in the file.
pub(crate) const fn record_len(len: usize) -> u64 {
    (HEADER + len) as u64
}

impl Overflow {
    /// Makes the file, in the directory for temporary files. Blocks.
    pub(crate) fn create(capacity: u64) -> io::Result<Self> {
        Ok(Self { file: Arc::new(tempfile::tempfile()?), capacity, written: 0, read: 0 })
    }

    /// Whether a record of `len` bytes still fits.
    pub(crate) const fn fits(&self, len: usize) -> bool {
        self.written - self.read + record_len(len) <= self.capacity
    }

    /// Whether all that was written has been read.
    pub(crate) const fn is_drained(&self) -> bool {
        self.written == self.read
    }

    /// Bytes that were written and not read.
    pub(crate) const fn backlog(&self) -> u64 {
        self.written - self.read
    }

    /// Counts a record that [`Overflow::write`] has stored.
    pub(crate) const fn advance_written(&mut self, len: usize) {
        self.written += record_len(len);
    }

    /// Counts what [`Overflow::read`] has answered.
    pub(crate) const fn advance_read(&mut self, bytes: u64) {
        self.read += bytes;
    }

    /// Stores a record behind the others. Blocks; counts nothing.
    pub(crate) fn write(&self, code: Option<u32>, data: &Bytes) -> io::Result<()> {
        let len = u32::try_from(data.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut header = [0; HEADER];
        header[0] = u8::from(code.is_some());
        header[1..5].copy_from_slice(&code.unwrap_or_default().to_be_bytes());
        header[5..].copy_from_slice(&len.to_be_bytes());
        self.write_at(self.written, &header)?;
        self.write_at(self.written + HEADER as u64, data)
    }

    /// Reads the next records, at most `most` of them and about [`OVERFLOW_READ`] bytes. Blocks; counts nothing.
    pub(crate) fn read(&self, most: u64) -> io::Result<ReadBack> {
        let mut buffer = self.read_at(self.read, OVERFLOW_READ.min(self.backlog()))?;
        let mut back = ReadBack { messages: Vec::new(), bytes: 0 };
        while (back.messages.len() as u64) < most && buffer.len() >= HEADER {
            let extended = buffer[0] != 0;
            let code = (&buffer[1..5]).get_u32();
            let len = (&buffer[5..HEADER]).get_u32() as usize;
            if buffer.len() < HEADER + len {
                if !back.messages.is_empty() {
                    break;
                }
                buffer = self.read_at(self.read, record_len(len))?;
            }
            buffer.advance(HEADER);
            let data = buffer.split_to(len);
            back.bytes += record_len(len);
            back.messages.push(if extended {
                ChannelMsg::ExtendedData { data, ext: code }
            } else {
                ChannelMsg::Data { data }
            });
        }
        Ok(back)
    }

    fn write_at(&self, position: u64, data: &[u8]) -> io::Result<()> {
        let (offset, until_wrap) = self.place(position);
        let (first, rest) = data.split_at(data.len().min(until_wrap));
        self.file.write_all_at(first, offset)?;
        self.file.write_all_at(rest, 0)
    }

    fn read_at(&self, position: u64, len: u64) -> io::Result<Bytes> {
        let mut data = BytesMut::zeroed(usize::try_from(len).map_err(|_| io::ErrorKind::InvalidInput)?);
        let (offset, until_wrap) = self.place(position);
        let first = data.len().min(until_wrap);
        self.file.read_exact_at(&mut data[..first], offset)?;
        self.file.read_exact_at(&mut data[first..], 0)?;
        Ok(data.freeze())
    }

    /// A position's offset in the file, and the bytes from there to the end of the ring.
    fn place(&self, position: u64) -> (u64, usize) {
        let offset = position % self.capacity;
        (offset, usize::try_from(self.capacity - offset).unwrap_or(usize::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(message: &ChannelMsg) -> (Option<u32>, Bytes) {
        match message {
            ChannelMsg::Data { data } => (None, data.clone()),
            ChannelMsg::ExtendedData { data, ext } => (Some(*ext), data.clone()),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn records_come_back_in_order_around_the_ring() {
        let mut overflow = Overflow::create(100).expect("a temporary file");
        for round in 0_u8..50 {
            let (first, second) = (Bytes::from(vec![round; 20]), Bytes::from(vec![!round; 31]));
            for (code, record) in [(None, &first), (Some(u32::MAX), &second)] {
                assert!(overflow.fits(record.len()));
                overflow.write(code, record).expect("write");
                overflow.advance_written(record.len());
            }
            assert!(!overflow.fits(30));
            let back = overflow.read(10).expect("read");
            overflow.advance_read(back.bytes);
            let back: Vec<_> = back.messages.iter().map(data).collect();
            assert_eq!(back, [(None, first), (Some(u32::MAX), second)]);
            assert!(overflow.is_drained());
        }
        assert!(overflow.file.metadata().expect("metadata").len() <= 100);
    }

    #[test]
    fn a_record_longer_than_one_read_is_whole() {
        let long = Bytes::from(vec![7; 3 * usize::try_from(OVERFLOW_READ).expect("small")]);
        let mut overflow = Overflow::create(1024 * 1024).expect("a temporary file");
        overflow.write(None, &long).expect("write");
        overflow.advance_written(long.len());
        let back = overflow.read(1).expect("read");
        assert_eq!(back.messages.iter().map(data).collect::<Vec<_>>(), [(None, long)]);
    }
}

//! Where one packet ends and the next begins.

use std::io::{self, Read};

use super::request::Malformed;

/// Longest packet that is taken, in bytes, without its length field: OpenSSH's own limit, and room for what stands before the data
/// of a client that counts only these.
pub(super) const PACKET_MAX: usize = 256 * 1024 + 1024;

/// Length of the length field.
const LENGTH: usize = 4;

/// Bytes kept: several of the longest packets, so that the beginning of one is seldom moved to make room for its rest.
const BUFFER: usize = 4 * (LENGTH + PACKET_MAX);

/// Packets out of a stream.
pub(super) struct Packets<R> {
    stream: R,
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
}

impl<R: Read> Packets<R> {
    pub(super) fn new(stream: R) -> Self {
        Self { stream, buffer: vec![0; BUFFER].into_boxed_slice(), start: 0, end: 0 }
    }

    /// The next packet without its length, if all of it is here.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Malformed> {
        let here = &self.buffer[self.start..self.end];
        let Some((length, rest)) = here.split_first_chunk::<LENGTH>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length);
        let bytes = usize::try_from(length).ok().filter(|bytes| (1..=PACKET_MAX).contains(bytes));
        let bytes = bytes.ok_or(Malformed::Length { length })?;
        let Some(packet) = rest.get(..bytes) else { return Ok(None) };
        self.start += LENGTH + bytes;
        Ok(Some(packet))
    }

    /// Reads more from the stream: how many bytes, 0 at its end.
    pub(super) fn read(&mut self) -> io::Result<usize> {
        if self.buffer.len() - self.end < LENGTH + PACKET_MAX {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        loop {
            match self.stream.read(&mut self.buffer[self.end..]) {
                Ok(count) => {
                    self.end += count;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives out so many bytes at a time.
    struct Dribble<'a>(&'a [u8], usize);

    impl Read for Dribble<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    #[test]
    fn packets_are_the_same_however_they_come() {
        let packets: Vec<Vec<u8>> =
            (1..60_u8).map(|index| vec![index; 1 + usize::from(index) * 4000 % PACKET_MAX]).collect();
        let stream: Vec<u8> = packets
            .iter()
            .flat_map(|packet| {
                let length = u32::try_from(packet.len()).expect("a short packet").to_be_bytes();
                length.into_iter().chain(packet.iter().copied()).collect::<Vec<_>>()
            })
            .collect();
        for at_once in [1, 3, 4096, 65_536, usize::MAX] {
            let mut input = Packets::new(Dribble(&stream, at_once));
            let mut found = Vec::new();
            loop {
                while let Some(packet) = input.next().expect("a length") {
                    found.push(packet.to_vec());
                }
                if input.read().expect("bytes") == 0 {
                    break;
                }
            }
            assert!(found == packets, "{at_once} bytes at a time: {} packets", found.len());
        }
    }

    #[test]
    fn lengths_are_bounded() {
        let most = u32::try_from(PACKET_MAX).expect("a length");
        for (length, taken) in [(0, false), (1, true), (most, true), (most + 1, false), (u32::MAX, false)] {
            let bytes = length.to_be_bytes();
            let mut input = Packets::new(&bytes[..]);
            input.read().expect("four bytes");
            assert_eq!(input.next().is_ok(), taken, "{length}");
        }
    }
}

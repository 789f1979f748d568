//! The frames of a bundle: eight bytes of number, two of length, both big-endian as in SSH, and the payload. Each link ends with a
//! frame of length 0, whose number is that of all frames.

/// Bytes before the payload.
pub(super) const HEADER: usize = 10;
/// Longest payload, in bytes: a hundredth of a second of what an agent of Systems Manager sends.
pub(super) const PAYLOAD_MAX: usize = 8 * 1024;
/// Longest frame.
pub(crate) const FRAME_MAX: usize = HEADER + PAYLOAD_MAX;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// A payload of `length` bytes follows, 1 to [`PAYLOAD_MAX`]; frames count from 0 over all links.
    Data { number: u64, length: usize },
    /// The link carries no more, and all links together have carried so many frames.
    End { frames: u64 },
}

/// What no end of ours sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFrame {
    /// It would not fit.
    #[error("a frame of {0} bytes, and {PAYLOAD_MAX} are the most")]
    TooLong(usize),
    /// Numbers rise on each link.
    #[error("frame {number} behind frame {after}")]
    OutOfOrder {
        /// Its number.
        number: u64,
        /// The last number on the same link, or the last that was read.
        after: u64,
    },
    /// All links end at the same frame, and behind all frames.
    #[error("an end at frame {frames}, which cannot be")]
    WrongEnd {
        /// Where it is said to be.
        frames: u64,
    },
    /// All links have ended, and the frame has come on none.
    #[error("frame {0} is missing")]
    Missing(u64),
}

impl Head {
    /// The header in bytes.
    pub(super) fn encode(self) -> [u8; HEADER] {
        let (number, length) = match self {
            Self::Data { number, length } => (number, length),
            Self::End { frames } => (frames, 0),
        };
        // A payload that is longer is cut into frames by whoever writes it.
        let length = u16::try_from(length).unwrap_or(u16::MAX);
        let mut bytes = [0; HEADER];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        bytes[8..].copy_from_slice(&length.to_be_bytes());
        bytes
    }

    /// Reads what [`Head::encode`] wrote.
    pub(super) fn decode(bytes: [u8; HEADER]) -> Result<Self, BadFrame> {
        let [n0, n1, n2, n3, n4, n5, n6, n7, l0, l1] = bytes;
        let number = u64::from_be_bytes([n0, n1, n2, n3, n4, n5, n6, n7]);
        match usize::from(u16::from_be_bytes([l0, l1])) {
            0 => Ok(Self::End { frames: number }),
            length @ 1..=PAYLOAD_MAX => Ok(Self::Data { number, length }),
            length => Err(BadFrame::TooLong(length)),
        }
    }
}

/// What one link has received: cuts it into frames, and holds a frame's bytes at most.
#[derive(Debug)]
pub(crate) struct Incoming {
    bytes: Box<[u8]>,
    /// Where the next byte is, and where the next one goes.
    taken: usize,
    filled: usize,
    /// The frame that has begun, with what is left of its payload.
    head: Option<Head>,
    /// The last frame's number.
    last: Option<u64>,
}

impl Incoming {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; FRAME_MAX].into(), taken: 0, filled: 0, head: None, last: None }
    }

    /// Where received bytes go; [`Incoming::arrived`] is to be told how many. Never empty while [`Incoming::head`] has none.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        self.bytes.copy_within(self.taken..self.filled, 0);
        self.filled -= self.taken;
        self.taken = 0;
        &mut self.bytes[self.filled..]
    }

    pub(crate) fn arrived(&mut self, length: usize) {
        self.filled += length;
    }

    /// The frame that has begun, once its header is there. An end stays.
    pub(crate) fn head(&mut self) -> Result<Option<Head>, BadFrame> {
        if self.head.is_none()
            && let Some((header, _)) = self.bytes[self.taken..self.filled].split_first_chunk()
        {
            let head = Head::decode(*header)?;
            let (Head::Data { number, .. } | Head::End { frames: number }) = head;
            match self.last.replace(number) {
                Some(after) if number <= after => return Err(BadFrame::OutOfOrder { number, after }),
                _ => self.head = Some(head),
            }
            self.taken += HEADER;
        }
        Ok(self.head)
    }

    /// What there is of the payload of the frame that has begun.
    pub(crate) fn payload(&self) -> &[u8] {
        match self.head {
            Some(Head::Data { length, .. }) => &self.bytes[self.taken..self.filled.min(self.taken + length)],
            _ => &[],
        }
    }

    /// Takes bytes of that payload. Whether they were the last of the frame.
    pub(crate) fn take(&mut self, count: usize) -> bool {
        self.taken += count;
        if let Some(Head::Data { length, .. }) = &mut self.head {
            *length -= count;
            if *length > 0 {
                return false;
            }
            self.head = None;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        for head in [
            Head::Data { number: 0, length: 1 },
            Head::Data { number: u64::MAX, length: PAYLOAD_MAX },
            Head::End { frames: 0 },
            Head::End { frames: 1 << 40 },
        ] {
            assert_eq!(Head::decode(head.encode()), Ok(head));
        }
    }

    #[test]
    fn no_length_is_more_than_a_frame_holds() {
        let too_long = Head::Data { number: 1, length: PAYLOAD_MAX + 1 };
        assert_eq!(Head::decode(too_long.encode()), Err(BadFrame::TooLong(PAYLOAD_MAX + 1)));
    }
}

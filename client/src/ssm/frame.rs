//! One message of the data channel as it stands on the wire: a header of fixed length, and a payload with its digest.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::payload::PayloadType;

/// Value of the first field: where the payload's length stands. It does not count itself.
const HEADER_LENGTH: usize = 116;
/// Where the payload begins.
const PAYLOAD: usize = HEADER_LENGTH + 4;
/// Length of the message type, which is padded with spaces.
const TYPE_LENGTH: usize = 32;
/// The only version of the format that there is.
const SCHEMA_VERSION: u32 = 1;
/// Flags SYN and FIN together, as messages that are no stream data carry them.
const CONTROL_FLAGS: u64 = 3;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Stream data from the client to the agent.
    Input,
    /// Stream data from the agent to the client.
    Output,
    /// Says which message has arrived.
    Acknowledge,
    /// The service ends the channel.
    ChannelClosed,
    /// The service has the agent on the line.
    StartPublication,
    /// The service has lost the agent.
    PausePublication,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Input, "input_stream_data"),
    (Kind::Output, "output_stream_data"),
    (Kind::Acknowledge, "acknowledge"),
    (Kind::ChannelClosed, "channel_closed"),
    (Kind::StartPublication, "start_publication"),
    (Kind::PausePublication, "pause_publication"),
];

impl Kind {
    /// The message type as the wire spells it.
    pub(crate) fn name(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    fn named(name: &[u8]) -> Option<Self> {
        KINDS.iter().find(|(_, known)| known.as_bytes() == name).map(|(kind, _)| *kind)
    }
}

/// A message. Integers are big-endian on the wire (`agentmessage.go` of amazon-ssm-agent, `clientmessage.go` of
/// session-manager-plugin).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// Milliseconds since 1970; both ends refuse zero.
    pub(crate) created_ms: u64,
    /// Counts stream data only, from 0 in each direction.
    pub(crate) sequence: i64,
    pub(crate) flags: u64,
    pub(crate) id: Uuid,
    pub(crate) payload_type: PayloadType,
    pub(crate) payload: Bytes,
}

/// Why bytes are no message, or none for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameError {
    #[error("a message of {0} bytes is shorter than its header")]
    Short(usize),
    #[error("a header of {0} bytes, which the message does not have or which is too short")]
    HeaderLength(u32),
    #[error("an unknown message type")]
    UnknownKind,
    #[error("no date")]
    NoDate,
    #[error("a payload whose digest is not the one that is announced")]
    Digest,
}

impl Frame {
    /// Stream data for the agent.
    pub(crate) fn input(sequence: i64, payload_type: PayloadType, payload: Bytes) -> Self {
        Self { kind: Kind::Input, created_ms: now_ms(), sequence, flags: 0, id: Uuid::new_v4(), payload_type, payload }
    }

    /// An acknowledgement with this JSON.
    pub(crate) fn acknowledge(payload: Bytes) -> Self {
        Self {
            kind: Kind::Acknowledge,
            created_ms: now_ms(),
            sequence: 0,
            flags: CONTROL_FLAGS,
            id: Uuid::new_v4(),
            payload_type: PayloadType::None,
            payload,
        }
    }

    /// The message on the wire.
    pub(crate) fn encode(&self) -> Bytes {
        let mut wire = BytesMut::with_capacity(PAYLOAD + self.payload.len());
        // HEADER_LENGTH fits in a u32.
        wire.put_u32(116);
        let name = self.kind.name().as_bytes();
        wire.put_slice(name);
        wire.put_bytes(b' ', TYPE_LENGTH - name.len());
        wire.put_u32(SCHEMA_VERSION);
        wire.put_u64(self.created_ms);
        wire.put_i64(self.sequence);
        wire.put_u64(self.flags);
        let (first, second) = self.id.as_bytes().split_at(8);
        wire.put_slice(second);
        wire.put_slice(first);
        wire.put_slice(&Sha256::digest(&self.payload));
        wire.put_u32(self.payload_type.into());
        // What is sent is cut into pieces long before 4 GiB.
        wire.put_u32(u32::try_from(self.payload.len()).unwrap_or(u32::MAX));
        wire.put_slice(&self.payload);
        wire.freeze()
    }

    /// Reads a message. The payload shares the memory of `wire`, and is what stands behind the header and its own length, which
    /// need not agree with it: the digest tells. The two messages about publication are not checked any further than their
    /// type. Both as AWS's own client has it.
    pub(crate) fn decode(wire: Bytes) -> Result<Self, FrameError> {
        let length = wire.len();
        let mut rest = wire;
        if length < PAYLOAD {
            return Err(FrameError::Short(length));
        }
        let header = rest.get_u32();
        let name = rest.split_to(TYPE_LENGTH);
        let kind = Kind::named(trim(&name)).ok_or(FrameError::UnknownKind)?;
        rest.advance(4);
        let created_ms = rest.get_u64();
        let sequence = rest.get_i64();
        let flags = rest.get_u64();
        let mut id = [0; 16];
        rest.copy_to_slice(&mut id[8..]);
        rest.copy_to_slice(&mut id[..8]);
        let digest = rest.split_to(32);
        let payload_type = PayloadType::from(rest.get_u32());
        rest.advance(4);
        let mut frame =
            Self { kind, created_ms, sequence, flags, id: Uuid::from_bytes(id), payload_type, payload: rest };
        if matches!(kind, Kind::StartPublication | Kind::PausePublication) {
            return Ok(frame);
        }
        // A longer header has what was added to the format since.
        let added = usize::try_from(header).ok().and_then(|header| header.checked_sub(HEADER_LENGTH));
        let added = added.filter(|added| *added <= frame.payload.len()).ok_or(FrameError::HeaderLength(header))?;
        frame.payload.advance(added);
        if created_ms == 0 {
            return Err(FrameError::NoDate);
        }
        if !frame.payload.is_empty() && Sha256::digest(&frame.payload).as_slice() != digest.as_ref() {
            return Err(FrameError::Digest);
        }
        Ok(frame)
    }
}

/// The message type without its padding, which is spaces, and NUL from the service.
fn trim(name: &[u8]) -> &[u8] {
    let padding = |byte: &u8| *byte == 0 || byte.is_ascii_whitespace();
    let start = name.iter().position(|byte| !padding(byte)).unwrap_or(name.len());
    let end = name.iter().rposition(|byte| !padding(byte)).map_or(start, |last| last + 1);
    &name[start..end]
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Laid out by hand from the field table; the digest is that of `hello` in FIPS 180's algorithm.
    const GOLDEN: &[u8] = b"\x00\x00\x00\x74input_stream_data               \x00\x00\x00\x01\
        \x00\x00\x01\x8f\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00\x01\
        \x88\x99\xaa\xbb\xcc\xdd\xee\xff\x00\x11\x22\x33\x44\x55\x66\x77\
        \x2c\xf2\x4d\xba\x5f\xb0\xa3\x0e\x26\xe8\x3b\x2a\xc5\xb9\xe2\x9e\
        \x1b\x16\x1e\x5c\x1f\xa7\x42\x5e\x73\x04\x33\x62\x93\x8b\x98\x24\
        \x00\x00\x00\x01\x00\x00\x00\x05hello";

    fn golden() -> Frame {
        Frame {
            kind: Kind::Input,
            created_ms: 0x018f_0000_0002,
            sequence: 5,
            flags: 1,
            id: "00112233-4455-6677-8899-aabbccddeeff".parse().expect("an id"),
            payload_type: PayloadType::Output,
            payload: Bytes::from_static(b"hello"),
        }
    }

    #[test]
    fn a_message_is_laid_out_as_the_table_says() {
        assert_eq!(golden().encode().as_ref(), GOLDEN);
        assert_eq!(Frame::decode(Bytes::from_static(GOLDEN)), Ok(golden()));
    }

    #[test]
    fn padding_may_be_nul() {
        let mut wire = GOLDEN.to_vec();
        wire[21..36].fill(0);
        assert_eq!(Frame::decode(wire.into()), Ok(golden()));
    }

    #[test]
    fn what_is_wrong_with_a_message_is_told_apart() {
        let with = |at: usize, byte: u8| {
            let mut wire = GOLDEN.to_vec();
            wire[at] = byte;
            Frame::decode(wire.into())
        };
        assert_eq!(Frame::decode(Bytes::from_static(&GOLDEN[..119])), Err(FrameError::Short(119)));
        assert_eq!(with(3, 0x70), Err(FrameError::HeaderLength(0x70)));
        assert_eq!(with(3, 0x7a), Err(FrameError::HeaderLength(0x7a)));
        assert_eq!(with(0, 0xff), Err(FrameError::HeaderLength(0xff00_0074)));
        assert_eq!(with(4, b'x'), Err(FrameError::UnknownKind));
        assert_eq!(with(120, b'j'), Err(FrameError::Digest));
        assert_eq!(with(80, 0), Err(FrameError::Digest));
        let mut dateless = GOLDEN.to_vec();
        dateless[40..48].fill(0);
        assert_eq!(Frame::decode(dateless.into()), Err(FrameError::NoDate));
    }

    #[test]
    fn a_longer_header_is_passed_over() {
        let mut wire = GOLDEN.to_vec();
        wire[3] += 2;
        wire.splice(120..120, *b"??");
        assert_eq!(Frame::decode(wire.into()), Ok(golden()));
    }

    #[test]
    fn messages_about_publication_are_taken_as_they_come() {
        let mut wire = GOLDEN.to_vec();
        wire[4..36].copy_from_slice(format!("{:<32}", "pause_publication").as_bytes());
        wire[40..48].fill(0);
        wire[80] = 0;
        let frame = Frame::decode(wire.into()).expect("a message");
        assert_eq!(frame.kind, Kind::PausePublication);
    }

    proptest! {
        #[test]
        fn whatever_is_written_is_read_back(sequence: i64, flags: u64, id: u128, kind: u32, payload: Vec<u8>) {
            let frame = Frame {
                sequence, flags, id: Uuid::from_u128(id), payload_type: kind.into(), payload: payload.into(), ..golden()
            };
            prop_assert_eq!(Frame::decode(frame.encode()), Ok(frame));
        }

        #[test]
        fn no_bytes_are_too_odd_to_be_refused(wire: Vec<u8>) {
            let _ = Frame::decode(wire.into());
        }
    }
}

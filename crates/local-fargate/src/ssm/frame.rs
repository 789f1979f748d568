//! The data channel's frame as the service and its agents write and read it: 120 bytes of header in network order, then the payload.
//!
//! Layout after amazon-ssm-agent, `agent/session/contracts/agentmessage.go`, whose reader decides what is legible: it trusts the header's
//! own length, takes everything behind it, and wants at least one byte there.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// What the header-length field says: the offset of the payload length.
const HEADER: usize = 116;
/// Where the payload begins.
const PAYLOAD: usize = HEADER + 4;
/// Bytes of the message type, padded with spaces.
const KIND: usize = 32;
const SCHEMA_VERSION: u32 = 1;

/// The first message of a stream.
pub(crate) const SYN: u64 = 1;
/// What acknowledgements carry.
pub(crate) const SYN_FIN: u64 = 3;

/// Message types that mean something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    InputStreamData,
    OutputStreamData,
    Acknowledge,
    ChannelClosed,
    StartPublication,
    PausePublication,
    AgentSessionState,
    Unknown,
}

/// One message.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: Kind,
    /// Milliseconds since the epoch.
    pub(crate) created: u64,
    pub(crate) sequence: i64,
    pub(crate) flags: u64,
    pub(crate) id: Uuid,
    pub(crate) payload_type: u32,
    pub(crate) payload: Bytes,
}

/// Why bytes are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("it is shorter than a header")]
    Short,
    #[error("its header length is {0}, past its end or zero")]
    HeaderLength(u32),
    #[error("it has no payload")]
    Empty,
    #[error("it has no message type")]
    NoKind,
    #[error("it has no date")]
    NoDate,
}

impl Kind {
    const NAMED: [(Self, &'static str); 7] = [
        (Self::InputStreamData, "input_stream_data"),
        (Self::OutputStreamData, "output_stream_data"),
        (Self::Acknowledge, "acknowledge"),
        (Self::ChannelClosed, "channel_closed"),
        (Self::StartPublication, "start_publication"),
        (Self::PausePublication, "pause_publication"),
        (Self::AgentSessionState, "agent_session_state"),
    ];

    pub(crate) fn as_str(self) -> &'static str {
        Self::NAMED.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name)
    }

    fn parse(field: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(field);
        let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace());
        let found = Self::NAMED.iter().find(|(_, name)| *name == text).map_or(Self::Unknown, |(kind, _)| *kind);
        (!text.is_empty()).then_some(found)
    }
}

impl Frame {
    /// A message made now.
    pub(crate) fn new(kind: Kind, sequence: i64, flags: u64, payload_type: u32, payload: impl Into<Bytes>) -> Self {
        let created = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let created = u64::try_from(created).unwrap_or(u64::MAX);
        Self { kind, created, sequence, flags, id: Uuid::new_v4(), payload_type, payload: payload.into() }
    }

    /// A message of the service itself: neither numbered nor acknowledged.
    pub(crate) fn control(kind: Kind, payload: impl Into<Bytes>) -> Self {
        Self::new(kind, 0, SYN_FIN, 0, payload)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(PAYLOAD + self.payload.len());
        let length = u32::try_from(self.payload.len()).unwrap_or(u32::MAX);
        out.extend(u32::try_from(HEADER).unwrap_or_default().to_be_bytes());
        out.extend(self.kind.as_str().bytes().chain(std::iter::repeat(b' ')).take(KIND));
        out.extend(SCHEMA_VERSION.to_be_bytes());
        out.extend(self.created.to_be_bytes());
        out.extend(self.sequence.to_be_bytes());
        out.extend(self.flags.to_be_bytes());
        // The halves of the id change places.
        let (high, low) = self.id.as_u64_pair();
        out.extend(low.to_be_bytes());
        out.extend(high.to_be_bytes());
        out.extend(Sha256::digest(&self.payload));
        out.extend(self.payload_type.to_be_bytes());
        out.extend(length.to_be_bytes());
        out.extend_from_slice(&self.payload);
        out.into()
    }

    /// Reads a message as the agent does: neither digest nor payload length is looked at.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, Malformed> {
        let header = word(bytes, 0).ok_or(Malformed::Short)?;
        let begin = usize::try_from(header).unwrap_or(usize::MAX).saturating_add(4);
        if bytes.len() < PAYLOAD {
            return Err(Malformed::Short);
        }
        if header == 0 || begin > bytes.len() {
            return Err(Malformed::HeaderLength(header));
        }
        if begin == bytes.len() {
            return Err(Malformed::Empty);
        }
        let kind = bytes.get(4..4 + KIND).and_then(Kind::parse).ok_or(Malformed::NoKind)?;
        let long = |at: usize| long(bytes, at).ok_or(Malformed::Short);
        let created = long(40)?;
        if created == 0 {
            return Err(Malformed::NoDate);
        }
        Ok(Self {
            kind,
            created,
            sequence: i64::from_be_bytes(long(48)?.to_be_bytes()),
            flags: long(56)?,
            id: Uuid::from_u64_pair(long(72)?, long(64)?),
            payload_type: word(bytes, 112).ok_or(Malformed::Short)?,
            payload: bytes.slice(begin..),
        })
    }
}

/// What is wrong with a message that the agent would take all the same.
pub(crate) fn irregularities(bytes: &Bytes, frame: &Frame) -> Vec<&'static str> {
    let digest = Sha256::digest(&frame.payload);
    let length = word(bytes, 116).and_then(|length| usize::try_from(length).ok());
    let checks = [
        ("the header length is not 116", word(bytes, 0) == u32::try_from(HEADER).ok()),
        ("the message type is not padded with spaces", !bytes.iter().skip(4).take(KIND).any(|byte| *byte == 0)),
        ("the schema version is not 1", word(bytes, 36) == Some(SCHEMA_VERSION)),
        ("the digest is not that of the payload", bytes.get(80..112) == Some(digest.as_slice())),
        ("the payload length is not that of the payload", length == Some(frame.payload.len())),
        ("the message id is nil", !frame.id.is_nil()),
    ];
    checks.into_iter().filter(|(_, holds)| !holds).map(|(what, _)| what).collect()
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

impl std::fmt::Debug for Frame {
    /// Without the payload: it is what people type.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { kind, sequence, flags, payload_type, payload, .. } = self;
        write!(f, "{kind:?} {sequence} flags {flags} type {payload_type}, {} bytes", payload.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by `tests/golden/make.py`, which knows nothing of this file.
    const OUTPUT: &str = include_str!("../../tests/golden/output.hex");
    const INPUT: &str = include_str!("../../tests/golden/input.hex");
    const ACKNOWLEDGE: &str = include_str!("../../tests/golden/acknowledge.hex");

    fn golden(text: &str) -> Bytes {
        let digits: Vec<_> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("a byte")).collect()
    }

    fn frame(kind: Kind, sequence: i64, flags: u64, payload_type: u32, payload: &'static str) -> Frame {
        let id = Uuid::parse_str("00112233-4455-6677-8899-aabbccddeeff").expect("a UUID");
        Frame { created: 1_700_000_000_123, id, ..Frame::new(kind, sequence, flags, payload_type, payload) }
    }

    #[test]
    fn frames_are_the_golden_bytes_both_ways() {
        let acknowledged = r#"{"AcknowledgedMessageType":"output_stream_data","AcknowledgedMessageId":"00112233-4455-6677-8899-aabbccddeeff","AcknowledgedMessageSequenceNumber":7,"IsSequentialMessage":true}"#;
        for (text, expected) in [
            (OUTPUT, frame(Kind::OutputStreamData, 0, SYN, 1, "hello\r\n")),
            (INPUT, frame(Kind::InputStreamData, 258, 0, 3, r#"{"cols":80,"rows":24}"#)),
            (ACKNOWLEDGE, frame(Kind::Acknowledge, 0, SYN_FIN, 0, acknowledged)),
        ] {
            assert_eq!(expected.encode(), golden(text), "{expected:?}");
            assert_eq!(Frame::decode(&golden(text)), Ok(expected));
            let read = Frame::decode(&golden(text)).expect("a frame");
            assert_eq!(irregularities(&golden(text), &read), Vec::<&str>::new());
        }
    }

    #[test]
    fn what_the_agent_cannot_read_is_not_read() {
        let with = |change: fn(&mut Vec<u8>)| {
            let mut bytes = golden(OUTPUT).to_vec();
            change(&mut bytes);
            Frame::decode(&bytes.into()).map_err(|error| error.to_string())
        };
        let message = |change| with(change).expect_err("refused");
        assert_eq!(message(|bytes| bytes.truncate(119)), Malformed::Short.to_string());
        assert_eq!(message(|bytes| bytes.truncate(120)), Malformed::Empty.to_string());
        assert_eq!(message(|bytes| bytes[2] = 1), Malformed::HeaderLength(372).to_string());
        assert_eq!(message(|bytes| bytes[4..36].fill(b' ')), Malformed::NoKind.to_string());
        assert_eq!(message(|bytes| bytes[40..48].fill(0)), Malformed::NoDate.to_string());
    }

    #[test]
    fn what_the_agent_lets_pass_is_noticed() {
        let noticed = |change: fn(&mut Vec<u8>)| {
            let mut bytes = golden(OUTPUT).to_vec();
            change(&mut bytes);
            let bytes = bytes.into();
            irregularities(&bytes, &Frame::decode(&bytes).expect("the agent takes it"))
        };
        assert_eq!(noticed(|bytes| bytes[80] ^= 1), ["the digest is not that of the payload"]);
        assert_eq!(noticed(|bytes| bytes[119] = 9), ["the payload length is not that of the payload"]);
        assert_eq!(noticed(|bytes| bytes[22..36].fill(0)), ["the message type is not padded with spaces"]);
        assert_eq!(noticed(|bytes| bytes[39] = 2), ["the schema version is not 1"]);
        assert_eq!(noticed(|bytes| bytes[64..80].fill(0)), ["the message id is nil"]);
    }
}

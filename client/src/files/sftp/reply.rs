//! Answers from bytes (draft-ietf-secsh-filexfer-02, section 7).

use bytes::{Buf as _, Bytes};

use super::attributes::Attributes;

const VERSION: u8 = 2;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const EXTENDED_REPLY: u8 = 201;

/// Bytes that a name takes at least: two lengths and the flags of its attributes.
pub(super) const SMALLEST_NAME: usize = 12;

/// What is wrong with bytes that are no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed(pub(super) &'static str);

/// What a server says of itself first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) version: u32,
    /// Name and data of each.
    pub(super) extensions: Vec<(Bytes, Bytes)>,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    Status { code: StatusCode, message: String },
    Handle(Bytes),
    Data(Bytes),
    Names(Vec<Name>),
    Attributes(Attributes),
    Extended(Bytes),
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Name {
    pub(crate) name: Bytes,
    /// Of the entry itself: a symbolic link is told as one.
    pub(crate) attributes: Attributes,
}

/// Section 7 of the draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StatusCode {
    Ok,
    Eof,
    NoSuchFile,
    PermissionDenied,
    Failure,
    BadMessage,
    NoConnection,
    ConnectionLost,
    Unsupported,
    /// One that version 3 does not have.
    Other(u32),
}

impl From<u32> for StatusCode {
    fn from(code: u32) -> Self {
        match code {
            0 => Self::Ok,
            1 => Self::Eof,
            2 => Self::NoSuchFile,
            3 => Self::PermissionDenied,
            4 => Self::Failure,
            5 => Self::BadMessage,
            6 => Self::NoConnection,
            7 => Self::ConnectionLost,
            8 => Self::Unsupported,
            other => Self::Other(other),
        }
    }
}

impl Version {
    pub(super) fn decode(mut packet: Bytes) -> Result<Self, Malformed> {
        const SHORT: Malformed = Malformed("the version is cut short");
        if packet.try_get_u8().map_err(|_| SHORT)? != VERSION {
            return Err(Malformed("the first answer is not the version"));
        }
        let version = packet.try_get_u32().map_err(|_| SHORT)?;
        let mut extensions = Vec::new();
        while packet.has_remaining() {
            extensions.push((string(&mut packet)?, string(&mut packet)?));
        }
        Ok(Self { version, extensions })
    }
}

impl Reply {
    /// The id of the request, and the answer to it.
    pub(super) fn decode(mut packet: Bytes) -> Result<(u32, Self), Malformed> {
        const SHORT: Malformed = Malformed("an answer is cut short");
        let kind = packet.try_get_u8().map_err(|_| SHORT)?;
        let id = packet.try_get_u32().map_err(|_| SHORT)?;
        let reply = match kind {
            STATUS => {
                let code = packet.try_get_u32().map_err(|_| SHORT)?.into();
                // Servers of the first drafts leave the words out.
                let message = if packet.has_remaining() { string(&mut packet)? } else { Bytes::new() };
                Self::Status { code, message: words(&message) }
            }
            HANDLE => Self::Handle(string(&mut packet)?),
            DATA => Self::Data(string(&mut packet)?),
            NAME => Self::Names(names(&mut packet)?),
            ATTRS => Self::Attributes(Attributes::decode(&mut packet)?),
            EXTENDED_REPLY => Self::Extended(packet),
            _ => return Err(Malformed("an answer of no known type")),
        };
        Ok((id, reply))
    }
}

/// A length and as many bytes.
pub(super) fn string(rest: &mut Bytes) -> Result<Bytes, Malformed> {
    const SHORT: Malformed = Malformed("a string is cut short");
    let length = rest.try_get_u32().map_err(|_| SHORT)? as usize;
    if length > rest.len() { Err(SHORT) } else { Ok(rest.split_to(length)) }
}

fn names(rest: &mut Bytes) -> Result<Vec<Name>, Malformed> {
    let count = rest.try_get_u32().map_err(|_| Malformed("names are cut short"))? as usize;
    let mut names = Vec::with_capacity(count.min(rest.len() / SMALLEST_NAME));
    for _ in 0..count {
        let name = string(rest)?;
        let _line_for_people = string(rest)?;
        names.push(Name { name, attributes: Attributes::decode(rest)? });
    }
    Ok(names)
}

/// Words of the peer as they may be shown: nothing in them may reach the terminal as a command.
fn words(message: &[u8]) -> String {
    String::from_utf8_lossy(message).chars().filter(|character| !character.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt as _, SeedableRng as _};

    const SAMPLES: [&[u8]; 6] = [
        b"\x65\0\0\0\x01\0\0\0\x03\0\0\0\x06denied\0\0\0\x02en",
        b"\x66\0\0\0\x02\0\0\0\x04\0\0\0\xff",
        b"\x67\0\0\0\x03\0\0\0\x03abc",
        b"\x68\0\0\0\x04\0\0\0\x01\0\0\0\x02\xff\n\0\0\0\x01-\0\0\0\x0d\0\0\0\0\0\0\0\x09\0\0\x81\xa4\0\0\0\x01\0\0\0\x02",
        b"\x69\0\0\0\x05\x80\0\0\x02\0\0\0\x07\0\0\0\x08\0\0\0\x01\0\0\0\x01a\0\0\0\x01b",
        b"\xc9\0\0\0\x06rest",
    ];

    fn decoded(sample: &'static [u8]) -> (u32, Reply) {
        Reply::decode(Bytes::from_static(sample)).expect("a sample")
    }

    #[test]
    fn every_answer_is_read() {
        let denied = Reply::Status { code: StatusCode::PermissionDenied, message: "denied".to_owned() };
        assert_eq!(decoded(SAMPLES[0]), (1, denied));
        assert_eq!(decoded(SAMPLES[1]), (2, Reply::Handle(Bytes::from_static(b"\0\0\0\xff"))), "any bytes");
        assert_eq!(decoded(SAMPLES[2]), (3, Reply::Data(Bytes::from_static(b"abc"))));
        let attributes =
            Attributes { size: Some(9), permissions: Some(0o100_644), times: Some((1, 2)), ..Attributes::default() };
        let name = Name { name: Bytes::from_static(b"\xff\n"), attributes };
        assert_eq!(decoded(SAMPLES[3]), (4, Reply::Names(vec![name])), "names are bytes");
        let owned = Attributes { owner: Some((7, 8)), ..Attributes::default() };
        assert_eq!(decoded(SAMPLES[4]), (5, Reply::Attributes(owned)));
        assert_eq!(decoded(SAMPLES[5]), (6, Reply::Extended(Bytes::from_static(b"rest"))));
    }

    #[test]
    fn whatever_a_server_sends_is_an_answer_or_an_error() {
        let mut rng = rand::rngs::StdRng::seed_from_u64(3);
        for round in 0..50_000 {
            let mut bytes = SAMPLES[round % SAMPLES.len()].to_vec();
            for _ in 0..rng.random_range(1..4) {
                let at = rng.random_range(0..bytes.len());
                bytes[at] = rng.random();
            }
            bytes.truncate(rng.random_range(0..=bytes.len()));
            crate::fuzz::sftp_reply(&bytes);
        }
    }

    #[test]
    fn the_words_of_a_server_command_no_terminal() {
        assert_eq!(words(b"no\x1b[2J space\r\n\xff"), "no[2J space\u{fffd}");
    }
}

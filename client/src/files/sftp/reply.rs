//! Answers from bytes (draft-ietf-secsh-filexfer-02, section 7).

use bytes::{Buf as _, Bytes};

use super::{Attributes, SftpError, StatusCode};

const VERSION: u8 = 2;
const STATUS: u8 = 101;
const HANDLE: u8 = 102;
const DATA: u8 = 103;
const NAME: u8 = 104;
const ATTRS: u8 = 105;
const EXTENDED_REPLY: u8 = 201;

/// Longest handle (section 6.3).
const LONGEST_HANDLE: usize = 256;
/// Bytes that a name takes at least: two lengths and the flags of its attributes.
pub(super) const SMALLEST_NAME: usize = 12;

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

impl Version {
    pub(super) fn decode(mut packet: Bytes) -> Result<Self, SftpError> {
        const SHORT: SftpError = SftpError::Malformed("the version is cut short");
        if packet.try_get_u8().map_err(|_| SHORT)? != VERSION {
            return Err(SftpError::Malformed("the first answer is not the version"));
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
    pub(super) fn decode(mut packet: Bytes) -> Result<(u32, Self), SftpError> {
        const SHORT: SftpError = SftpError::Malformed("an answer is cut short");
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
            _ => return Err(SftpError::Malformed("an answer of no known type")),
        };
        Ok((id, reply))
    }

    pub(super) fn done(self) -> Result<(), SftpError> {
        match self {
            Self::Status { code: StatusCode::Ok, .. } => Ok(()),
            other => Err(other.instead()),
        }
    }

    pub(super) fn handle(self) -> Result<Bytes, SftpError> {
        match self {
            Self::Handle(handle) if handle.len() <= LONGEST_HANDLE => Ok(handle),
            other => Err(other.instead()),
        }
    }

    pub(super) fn data(self) -> Result<Bytes, SftpError> {
        if let Self::Data(data) = self { Ok(data) } else { Err(self.instead()) }
    }

    pub(super) fn names(self) -> Result<Vec<Name>, SftpError> {
        if let Self::Names(names) = self { Ok(names) } else { Err(self.instead()) }
    }

    pub(super) fn attributes(self) -> Result<Attributes, SftpError> {
        if let Self::Attributes(attributes) = self { Ok(attributes) } else { Err(self.instead()) }
    }

    pub(super) fn extended(self) -> Result<Bytes, SftpError> {
        if let Self::Extended(data) = self { Ok(data) } else { Err(self.instead()) }
    }

    /// What an answer that was not hoped for says.
    fn instead(self) -> SftpError {
        match self {
            Self::Status { code: StatusCode::Ok, .. } => SftpError::Malformed("success where a value belongs"),
            Self::Status { code, message } => SftpError::Status { code, message },
            _ => SftpError::Malformed("an answer to another request"),
        }
    }
}

/// A length and as many bytes.
pub(super) fn string(rest: &mut Bytes) -> Result<Bytes, SftpError> {
    const SHORT: SftpError = SftpError::Malformed("a string is cut short");
    let length = rest.try_get_u32().map_err(|_| SHORT)? as usize;
    if length > rest.len() { Err(SHORT) } else { Ok(rest.split_to(length)) }
}

/// Four numbers of 64 bits each.
pub(super) fn four_numbers(reply: &Bytes) -> Result<[u64; 4], SftpError> {
    let mut rest = reply.clone();
    let mut numbers = [0; 4];
    for number in &mut numbers {
        *number = rest.try_get_u64().map_err(|_| SftpError::Malformed("limits are cut short"))?;
    }
    Ok(numbers)
}

fn names(rest: &mut Bytes) -> Result<Vec<Name>, SftpError> {
    let count = rest.try_get_u32().map_err(|_| SftpError::Malformed("names are cut short"))? as usize;
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

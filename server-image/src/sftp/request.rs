//! What clients ask for: the packets of version 3 of the protocol, and OpenSSH's extensions of it.

use bytes::Buf as _;

use super::attributes::Attributes;

/// Length of our handles in bytes.
pub(super) const HANDLE: usize = 8;

/// Numbers of the packets that clients send (draft-ietf-secsh-filexfer-02, section 3).
mod number {
    pub(super) const INIT: u8 = 1;
    pub(super) const OPEN: u8 = 3;
    pub(super) const CLOSE: u8 = 4;
    pub(super) const READ: u8 = 5;
    pub(super) const WRITE: u8 = 6;
    pub(super) const LSTAT: u8 = 7;
    pub(super) const FSTAT: u8 = 8;
    pub(super) const SETSTAT: u8 = 9;
    pub(super) const FSETSTAT: u8 = 10;
    pub(super) const OPENDIR: u8 = 11;
    pub(super) const READDIR: u8 = 12;
    pub(super) const REMOVE: u8 = 13;
    pub(super) const MKDIR: u8 = 14;
    pub(super) const RMDIR: u8 = 15;
    pub(super) const REALPATH: u8 = 16;
    pub(super) const STAT: u8 = 17;
    pub(super) const RENAME: u8 = 18;
    pub(super) const READLINK: u8 = 19;
    pub(super) const SYMLINK: u8 = 20;
    pub(super) const EXTENDED: u8 = 200;
}

/// Why the stream cannot be followed any further.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Malformed {
    #[error("a packet of {length} bytes")]
    Length { length: u32 },
    #[error("a packet that ends within a field")]
    Short,
    #[error("the beginning of the protocol is not where it belongs")]
    Order,
}

/// One packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    /// The client's version is of no interest: 3 is the lowest, and what is answered.
    Init,
    Request {
        id: u32,
        request: Request<'a>,
    },
}

/// What a client calls something open by; `None`, where no handle of ours looks like that.
pub(super) type HandleId = Option<u64>;

/// A request. Paths are bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request<'a> {
    Open {
        path: &'a [u8],
        flags: u32,
        attributes: Attributes,
    },
    Close(HandleId),
    Read {
        handle: HandleId,
        offset: u64,
        length: u32,
    },
    Write {
        handle: HandleId,
        offset: u64,
        data: &'a [u8],
    },
    LStat(&'a [u8]),
    FStat(HandleId),
    SetStat {
        path: &'a [u8],
        attributes: Attributes,
    },
    FSetStat {
        handle: HandleId,
        attributes: Attributes,
    },
    OpenDir(&'a [u8]),
    ReadDir(HandleId),
    Remove(&'a [u8]),
    MkDir {
        path: &'a [u8],
        attributes: Attributes,
    },
    RmDir(&'a [u8]),
    RealPath(&'a [u8]),
    Stat(&'a [u8]),
    Rename {
        from: &'a [u8],
        to: &'a [u8],
    },
    ReadLink(&'a [u8]),
    /// In the order in which OpenSSH sends them, which is not the draft's, and which everybody has followed.
    SymLink {
        target: &'a [u8],
        link: &'a [u8],
    },
    Extended(Extended<'a>),
    /// One that this version does not have.
    Unknown,
}

/// A request by name (OpenSSH's file PROTOCOL, section 4; draft-ietf-secsh-filexfer-extensions for the last three but one).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Extended<'a> {
    PosixRename {
        from: &'a [u8],
        to: &'a [u8],
    },
    StatVfs(&'a [u8]),
    FStatVfs(HandleId),
    HardLink {
        from: &'a [u8],
        to: &'a [u8],
    },
    FSync(HandleId),
    LSetStat {
        path: &'a [u8],
        attributes: Attributes,
    },
    Limits,
    ExpandPath(&'a [u8]),
    CopyData(CopyData),
    HomeDirectory(&'a [u8]),
    /// Each a sequence of uint32.
    UsersGroups {
        users: &'a [u8],
        groups: &'a [u8],
    },
    /// Our own: the SHA-256 of a part of a file.
    Sha256 {
        handle: HandleId,
        offset: u64,
        /// In bytes; 0 is to the end of the file.
        length: u64,
    },
    /// Our own: such a digest will be asked for of what passes from now on.
    FollowSha256(HandleId),
    Unknown,
}

/// A copy from file to file that does not pass the client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CopyData {
    pub(super) from: HandleId,
    pub(super) from_offset: u64,
    /// In bytes; 0 is to the end of the file.
    pub(super) length: u64,
    pub(super) to: HandleId,
    pub(super) to_offset: u64,
}

impl<'a> Packet<'a> {
    /// Reads a packet. What stands behind its last field is passed over, as OpenSSH does.
    pub(super) fn parse(packet: &'a [u8]) -> Result<Self, Malformed> {
        let mut fields = Fields(packet);
        let number = fields.byte()?;
        // The version, in the first packet.
        let id = fields.uint32()?;
        if number == number::INIT {
            return Ok(Self::Init);
        }
        Ok(Self::Request { id, request: Request::parse(number, &mut fields)? })
    }
}

impl<'a> Request<'a> {
    fn parse(number: u8, fields: &mut Fields<'a>) -> Result<Self, Malformed> {
        Ok(match number {
            number::OPEN => {
                Self::Open { path: fields.string()?, flags: fields.uint32()?, attributes: fields.attributes()? }
            }
            number::CLOSE => Self::Close(fields.handle()?),
            number::READ => Self::Read { handle: fields.handle()?, offset: fields.uint64()?, length: fields.uint32()? },
            number::WRITE => Self::Write { handle: fields.handle()?, offset: fields.uint64()?, data: fields.string()? },
            number::LSTAT => Self::LStat(fields.string()?),
            number::FSTAT => Self::FStat(fields.handle()?),
            number::SETSTAT => Self::SetStat { path: fields.string()?, attributes: fields.attributes()? },
            number::FSETSTAT => Self::FSetStat { handle: fields.handle()?, attributes: fields.attributes()? },
            number::OPENDIR => Self::OpenDir(fields.string()?),
            number::READDIR => Self::ReadDir(fields.handle()?),
            number::REMOVE => Self::Remove(fields.string()?),
            number::MKDIR => Self::MkDir { path: fields.string()?, attributes: fields.attributes()? },
            number::RMDIR => Self::RmDir(fields.string()?),
            number::REALPATH => Self::RealPath(fields.string()?),
            number::STAT => Self::Stat(fields.string()?),
            number::RENAME => Self::Rename { from: fields.string()?, to: fields.string()? },
            number::READLINK => Self::ReadLink(fields.string()?),
            number::SYMLINK => Self::SymLink { target: fields.string()?, link: fields.string()? },
            number::EXTENDED => Self::Extended(Extended::parse(fields)?),
            _ => Self::Unknown,
        })
    }
}

impl<'a> Extended<'a> {
    fn parse(fields: &mut Fields<'a>) -> Result<Self, Malformed> {
        Ok(match fields.string()? {
            b"posix-rename@openssh.com" => Self::PosixRename { from: fields.string()?, to: fields.string()? },
            b"statvfs@openssh.com" => Self::StatVfs(fields.string()?),
            b"fstatvfs@openssh.com" => Self::FStatVfs(fields.handle()?),
            b"hardlink@openssh.com" => Self::HardLink { from: fields.string()?, to: fields.string()? },
            b"fsync@openssh.com" => Self::FSync(fields.handle()?),
            b"lsetstat@openssh.com" => Self::LSetStat { path: fields.string()?, attributes: fields.attributes()? },
            b"limits@openssh.com" => Self::Limits,
            b"expand-path@openssh.com" => Self::ExpandPath(fields.string()?),
            b"copy-data" => Self::CopyData(CopyData {
                from: fields.handle()?,
                from_offset: fields.uint64()?,
                length: fields.uint64()?,
                to: fields.handle()?,
                to_offset: fields.uint64()?,
            }),
            b"home-directory" => Self::HomeDirectory(fields.string()?),
            b"users-groups-by-id@openssh.com" => {
                Self::UsersGroups { users: fields.string()?, groups: fields.string()? }
            }
            b"sha256@fargate-login" => {
                Self::Sha256 { handle: fields.handle()?, offset: fields.uint64()?, length: fields.uint64()? }
            }
            b"follow-sha256@fargate-login" => Self::FollowSha256(fields.handle()?),
            _ => Self::Unknown,
        })
    }
}

/// The fields of a packet, in their order (RFC 4251, section 5).
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    fn byte(&mut self) -> Result<u8, Malformed> {
        self.0.try_get_u8().map_err(|_| Malformed::Short)
    }

    pub(super) fn uint32(&mut self) -> Result<u32, Malformed> {
        self.0.try_get_u32().map_err(|_| Malformed::Short)
    }

    pub(super) fn uint64(&mut self) -> Result<u64, Malformed> {
        self.0.try_get_u64().map_err(|_| Malformed::Short)
    }

    pub(super) fn string(&mut self) -> Result<&'a [u8], Malformed> {
        let length = usize::try_from(self.uint32()?).map_err(|_| Malformed::Short)?;
        let (string, rest) = self.0.split_at_checked(length).ok_or(Malformed::Short)?;
        self.0 = rest;
        Ok(string)
    }

    fn handle(&mut self) -> Result<HandleId, Malformed> {
        Ok(<[u8; HANDLE]>::try_from(self.string()?).ok().map(u64::from_be_bytes))
    }

    fn attributes(&mut self) -> Result<Attributes, Malformed> {
        Attributes::parse(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(text: &[u8]) -> Vec<u8> {
        [&u32::try_from(text.len()).expect("short").to_be_bytes()[..], text].concat()
    }

    #[test]
    fn fields_stand_in_openssh_s_order() {
        let packet = [&[20, 0, 0, 0, 7][..], &string(b"target\xff"), &string(b"li\nnk")].concat();
        let request = Request::SymLink { target: b"target\xff", link: b"li\nnk" };
        assert_eq!(Packet::parse(&packet), Ok(Packet::Request { id: 7, request }));
        let packet = [&[200, 0, 0, 0, 8][..], &string(b"hardlink@openssh.com"), &string(b"a"), &string(b"b")].concat();
        let request = Request::Extended(Extended::HardLink { from: b"a", to: b"b" });
        assert_eq!(Packet::parse(&packet), Ok(Packet::Request { id: 8, request }));
    }

    #[test]
    fn what_is_not_whole_is_malformed_and_what_is_unknown_is_not() {
        let whole = [&[3, 0, 0, 0, 1][..], &string(b"/x"), &[0, 0, 0, 1], &[0, 0, 0, 4], &[0, 0, 1, 0xa4]].concat();
        assert!(matches!(Packet::parse(&whole), Ok(Packet::Request { request: Request::Open { .. }, .. })));
        for length in 0..whole.len() {
            assert_eq!(Packet::parse(&whole[..length]), Err(Malformed::Short), "{length}");
        }
        let unknown = Packet::Request { id: 2, request: Request::Unknown };
        assert_eq!(Packet::parse(&[99, 0, 0, 0, 2, 1, 2]), Ok(unknown));
        let named = [&[200, 0, 0, 0, 3][..], &string(b"no-such@example.com"), b"rest"].concat();
        let unknown = Packet::Request { id: 3, request: Request::Extended(Extended::Unknown) };
        assert_eq!(Packet::parse(&named), Ok(unknown));
        let odd = [&[4, 0, 0, 0, 4][..], &string(b"123")].concat();
        assert_eq!(Packet::parse(&odd), Ok(Packet::Request { id: 4, request: Request::Close(None) }));
    }
}

//! The attributes of a file (draft-ietf-secsh-filexfer-02, section 5).

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};

use super::reply::{Malformed, string};

const SIZE: u32 = 0x1;
const UIDGID: u32 = 0x2;
const PERMISSIONS: u32 = 0x4;
const ACMODTIME: u32 = 0x8;
const EXTENDED: u32 = 0x8000_0000;

/// Bits of the permissions that say what it is (POSIX, `S_IFMT`).
const FORMAT: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;
/// Permissions that are kept: those of owner, group and others. What runs with another's rights is for its new owner to say.
const KEPT: u32 = 0o777;

/// What is known, or to be set, of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    /// In bytes.
    pub(crate) size: Option<u64>,
    /// User and group.
    pub(crate) owner: Option<(u32, u32)>,
    /// As `st_mode`, with the bits that say what it is.
    pub(crate) permissions: Option<u32>,
    /// Last access and last change, in seconds since 1970.
    pub(crate) times: Option<(u32, u32)>,
}

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    Symlink,
    /// A socket, a pipe, a device.
    Special,
}

impl Attributes {
    /// What it is. A server that does not tell permissions has files only.
    pub(crate) fn kind(&self) -> Kind {
        match self.permissions.map(|permissions| permissions & FORMAT) {
            None | Some(0 | REGULAR) => Kind::File,
            Some(DIRECTORY) => Kind::Directory,
            Some(SYMLINK) => Kind::Symlink,
            Some(_) => Kind::Special,
        }
    }

    /// The permissions that a copy has.
    pub(crate) fn mode(&self) -> Option<u32> {
        self.permissions.map(|permissions| permissions & KEPT)
    }

    pub(super) fn encode(&self, packet: &mut BytesMut) {
        let flag = |given: bool, flag: u32| if given { flag } else { 0 };
        packet.put_u32(
            flag(self.size.is_some(), SIZE)
                | flag(self.owner.is_some(), UIDGID)
                | flag(self.permissions.is_some(), PERMISSIONS)
                | flag(self.times.is_some(), ACMODTIME),
        );
        if let Some(size) = self.size {
            packet.put_u64(size);
        }
        if let Some((user, group)) = self.owner {
            packet.put_u32(user);
            packet.put_u32(group);
        }
        if let Some(permissions) = self.permissions {
            packet.put_u32(permissions);
        }
        if let Some((access, change)) = self.times {
            packet.put_u32(access);
            packet.put_u32(change);
        }
    }

    pub(super) fn decode(rest: &mut Bytes) -> Result<Self, Malformed> {
        let short = |_| Malformed("attributes are cut short");
        let flags = rest.try_get_u32().map_err(short)?;
        let mut attributes = Self::default();
        if flags & SIZE != 0 {
            attributes.size = Some(rest.try_get_u64().map_err(short)?);
        }
        if flags & UIDGID != 0 {
            attributes.owner = Some((rest.try_get_u32().map_err(short)?, rest.try_get_u32().map_err(short)?));
        }
        if flags & PERMISSIONS != 0 {
            attributes.permissions = Some(rest.try_get_u32().map_err(short)?);
        }
        if flags & ACMODTIME != 0 {
            attributes.times = Some((rest.try_get_u32().map_err(short)?, rest.try_get_u32().map_err(short)?));
        }
        if flags & EXTENDED != 0 {
            for _ in 0..rest.try_get_u32().map_err(short)? {
                string(rest)?;
                string(rest)?;
            }
        }
        Ok(attributes)
    }
}

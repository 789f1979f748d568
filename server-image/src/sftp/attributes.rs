//! What is known of a file, or to be changed about it.

use bytes::BufMut as _;
use rustix::fs::Stat;

use super::request::{Fields, Malformed};

/// Which fields follow (draft-ietf-secsh-filexfer-02, section 5).
const SIZE: u32 = 1;
const OWNER: u32 = 2;
const MODE: u32 = 4;
const TIMES: u32 = 8;
const EXTENDED: u32 = 0x8000_0000;

/// Bits of a mode that are permissions.
pub(super) const PERMISSIONS: u32 = 0o7777;

/// A file's attributes, as far as they are given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attributes {
    /// In bytes.
    pub(super) size: Option<u64>,
    /// User and group.
    pub(super) owner: Option<(u32, u32)>,
    /// Type and permissions.
    pub(super) mode: Option<u32>,
    /// Last access and last modification, in seconds since 1970.
    pub(super) times: Option<(u32, u32)>,
}

impl Attributes {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, Malformed> {
        let flags = fields.uint32()?;
        let size = (flags & SIZE != 0).then(|| fields.uint64()).transpose()?;
        let owner = (flags & OWNER != 0).then(|| pair(fields)).transpose()?;
        let mode = (flags & MODE != 0).then(|| fields.uint32()).transpose()?;
        let times = (flags & TIMES != 0).then(|| pair(fields)).transpose()?;
        if flags & EXTENDED != 0 {
            // Nobody has defined any: their names and values are passed over.
            for _ in 0..fields.uint32()? {
                fields.string()?;
                fields.string()?;
            }
        }
        Ok(Self { size, owner, mode, times })
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        let flag = |present, flag| if present { flag } else { 0 };
        out.put_u32(
            flag(self.size.is_some(), SIZE)
                | flag(self.owner.is_some(), OWNER)
                | flag(self.mode.is_some(), MODE)
                | flag(self.times.is_some(), TIMES),
        );
        self.size.into_iter().for_each(|size| out.put_u64(size));
        if let Some(owner) = self.owner {
            put_pair(out, owner);
        }
        self.mode.into_iter().for_each(|mode| out.put_u32(mode));
        if let Some(times) = self.times {
            put_pair(out, times);
        }
    }

    /// The permissions that a new file is to have, before the umask.
    pub(super) fn permissions_or(&self, otherwise: u32) -> u32 {
        self.mode.map_or(otherwise, |mode| mode & PERMISSIONS)
    }
}

fn pair(fields: &mut Fields<'_>) -> Result<(u32, u32), Malformed> {
    Ok((fields.uint32()?, fields.uint32()?))
}

fn put_pair(out: &mut Vec<u8>, (one, other): (u32, u32)) {
    out.put_u32(one);
    out.put_u32(other);
}

impl From<&Stat> for Attributes {
    fn from(stat: &Stat) -> Self {
        // Outside of what the protocol can tell, the nearest that it can.
        let seconds = |time: i64| u32::try_from(time.max(0)).unwrap_or(u32::MAX);
        Self {
            size: u64::try_from(stat.st_size).ok(),
            owner: Some((stat.st_uid, stat.st_gid)),
            mode: Some(stat.st_mode),
            times: Some((seconds(stat.st_atime), seconds(stat.st_mtime))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_absent_stays_absent() {
        let all =
            Attributes { size: Some(1 << 40), owner: Some((1, 2)), mode: Some(0o100_644), times: Some((3, u32::MAX)) };
        for attributes in [
            Attributes::default(),
            all,
            Attributes { size: None, ..all },
            Attributes { owner: None, ..all },
            Attributes { times: None, ..Attributes { mode: None, ..all } },
        ] {
            let mut bytes = Vec::new();
            attributes.put(&mut bytes);
            let mut fields = Fields(&bytes);
            assert_eq!(Attributes::parse(&mut fields), Ok(attributes));
            assert!(fields.0.is_empty());
        }
    }

    #[test]
    fn extended_attributes_are_passed_over_within_the_packet() {
        let bytes = [&EXTENDED.to_be_bytes()[..], &[0, 0, 0, 1], &[0, 0, 0, 1, b'a'], &[0, 0, 0, 0], b"x"].concat();
        let mut fields = Fields(&bytes);
        assert_eq!(Attributes::parse(&mut fields), Ok(Attributes::default()));
        assert_eq!(fields.0, b"x");
        let many = [&EXTENDED.to_be_bytes()[..], &u32::MAX.to_be_bytes()].concat();
        assert_eq!(Attributes::parse(&mut Fields(&many)), Err(Malformed::Short));
    }
}

//! Names of users and groups by their numbers, and home directories, as `/etc/passwd` and `/etc/group` have them.

use std::collections::HashMap;
use std::fs;

/// Everything that the two files say. Absent ones are empty ones.
#[derive(Debug, Default)]
pub(super) struct Identities {
    users: HashMap<u32, Vec<u8>>,
    groups: HashMap<u32, Vec<u8>>,
    homes: HashMap<Vec<u8>, Vec<u8>>,
}

impl Identities {
    pub(super) fn read() -> Self {
        let bytes = |path| fs::read(path).unwrap_or_default();
        Self::new(&bytes("/etc/passwd"), &bytes("/etc/group"))
    }

    fn new(passwd: &[u8], group: &[u8]) -> Self {
        let mut identities = Self::default();
        for fields in lines(passwd) {
            let &[name, _, uid, _, _, home, _] = &fields[..] else { continue };
            // The first line counts, as getpwuid(3) has it.
            number(uid).map(|uid| identities.users.entry(uid).or_insert_with(|| name.to_vec()));
            identities.homes.entry(name.to_vec()).or_insert_with(|| home.to_vec());
        }
        for fields in lines(group) {
            let &[name, _, gid, _] = &fields[..] else { continue };
            number(gid).map(|gid| identities.groups.entry(gid).or_insert_with(|| name.to_vec()));
        }
        identities
    }

    pub(super) fn user(&self, uid: u32) -> Option<&[u8]> {
        self.users.get(&uid).map(Vec::as_slice)
    }

    pub(super) fn group(&self, gid: u32) -> Option<&[u8]> {
        self.groups.get(&gid).map(Vec::as_slice)
    }

    /// Where a user of that name is at home.
    pub(super) fn home(&self, name: &[u8]) -> Option<&[u8]> {
        self.homes.get(name).map(Vec::as_slice)
    }
}

fn lines(file: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    file.split(|byte| *byte == b'\n').map(|line| line.split(|byte| *byte == b':').collect())
}

fn number(field: &[u8]) -> Option<u32> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_counts_and_others_are_passed_over() {
        let passwd =
            b"root:x:0:0:root:/root:/bin/sh\ntoor:x:0:0::/:\n\xff:x:7:7::/h\xff:/bin/sh\nbroken\nodd:x:no:0:::\n";
        let identities = Identities::new(passwd, b"wheel:x:0:root,x\n");
        assert_eq!(identities.user(0), Some(&b"root"[..]));
        assert_eq!(identities.user(7), Some(&b"\xff"[..]));
        assert_eq!((identities.user(1), identities.group(0)), (None, Some(&b"wheel"[..])));
        assert_eq!(identities.home(b"\xff"), Some(&b"/h\xff"[..]));
        assert_eq!(identities.home(b"nobody-here"), None);
    }
}

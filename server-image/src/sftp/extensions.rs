//! What OpenSSH has added to the protocol (its file PROTOCOL, section 4), and how clients learn that it is here.

use std::io::Write;

use bytes::BufMut as _;
use rustix::fs::{StatVfs, StatVfsMountFlags};

use super::failure::Failure;
use super::handles::Open;
use super::output::{Output, READ_MAX, REPLY_MAX, Reply, put_string};
use super::packets::PACKET_MAX;
use super::request::HandleId;
use super::server::Server;

/// The protocol's version that everybody speaks.
const VERSION: u32 = 3;

/// Names with their own versions.
const EXTENSIONS: [(&str, &str); 14] = [
    ("posix-rename@openssh.com", "1"),
    ("statvfs@openssh.com", "2"),
    ("fstatvfs@openssh.com", "2"),
    ("hardlink@openssh.com", "1"),
    ("fsync@openssh.com", "1"),
    ("lsetstat@openssh.com", "1"),
    ("limits@openssh.com", "1"),
    ("expand-path@openssh.com", "1"),
    ("copy-data", "1"),
    ("home-directory", "1"),
    ("users-groups-by-id@openssh.com", "1"),
    // Our own: what an open file holds can be compared without its being sent.
    ("sha256@fargate-login", "1"),
    ("follow-sha256@fargate-login", "1"),
    // Most bytes that our own client writes at once: what it sends ahead is bounded otherwise, and few large requests cost less.
    ("write-length@fargate-login", "261120"),
];

/// Most bytes that clients are told to write at once. More is taken; but OpenSSH's clients have 64 writes on their way, and what
/// a foreign peer sends ahead goes to a file once it exceeds what `ssh_flow::Tuning` keeps in memory, 4 MiB.
const WRITE_MAX: u64 = 60 * 1024;

/// Longest packet that clients are told of, in bytes: what they may count on. We take a little more.
const TOLD_PACKET_MAX: u64 = 256 * 1024;

/// Flags of a file system, as the extension has them.
const READ_ONLY: u64 = 1;
const NO_SET_USER: u64 = 2;

/// Most bytes of a name in a reply that lists many: longer than useradd(8) makes any.
const NAME_MAX: usize = 256;

/// Length of a user's or group's number.
const NUMBER: usize = 4;

/// Answers a client's first packet.
pub(super) fn tell_version<W: Write, E: Write>(output: &mut Output<W, E>) {
    output.version(VERSION, &EXTENSIONS);
}

impl Server {
    /// The longest packet, read and write in bytes, and the number of handles.
    pub(super) fn limits(&self) -> Reply {
        const { assert!(TOLD_PACKET_MAX as usize <= PACKET_MAX) };
        let mut fields = Vec::new();
        [TOLD_PACKET_MAX, READ_MAX as u64, WRITE_MAX, self.handles.most()]
            .into_iter()
            .for_each(|limit| fields.put_u64(limit));
        Reply::Extended(fields)
    }

    pub(super) fn stat_vfs(path: &[u8]) -> Result<Reply, Failure> {
        Ok(space(&rustix::fs::statvfs(path)?))
    }

    pub(super) fn fstat_vfs(&self, handle: HandleId) -> Result<Reply, Failure> {
        Ok(space(&match self.handles.any(handle)? {
            Open::File(file) => rustix::fs::fstatvfs(&file.file)?,
            Open::Directory(directory) => directory.statvfs()?,
        }))
    }

    /// Names for numbers, an empty one for each that has none.
    pub(super) fn users_groups(&self, users: &[u8], groups: &[u8]) -> Result<Reply, Failure> {
        let identities = self.identities();
        let mut fields = Vec::new();
        put_string(&mut fields, &names(users, |uid| identities.user(uid)));
        put_string(&mut fields, &names(groups, |gid| identities.group(gid)));
        if fields.len() > REPLY_MAX { Err(Failure::TOO_LONG) } else { Ok(Reply::Extended(fields)) }
    }
}

fn names<'a>(numbers: &[u8], name: impl Fn(u32) -> Option<&'a [u8]>) -> Vec<u8> {
    let mut names = Vec::new();
    for number in numbers.as_chunks::<NUMBER>().0 {
        let name = name(u32::from_be_bytes(*number)).filter(|name| name.len() <= NAME_MAX);
        put_string(&mut names, name.unwrap_or_default());
        if names.len() > REPLY_MAX {
            break;
        }
    }
    names
}

/// The eleven numbers of statvfs(3).
fn space(vfs: &StatVfs) -> Reply {
    let flag = |present, flag| if present { flag } else { 0 };
    let flags = flag(vfs.f_flag.contains(StatVfsMountFlags::RDONLY), READ_ONLY)
        | flag(vfs.f_flag.contains(StatVfsMountFlags::NOSUID), NO_SET_USER);
    let mut fields = Vec::new();
    [
        vfs.f_bsize,
        vfs.f_frsize,
        vfs.f_blocks,
        vfs.f_bfree,
        vfs.f_bavail,
        vfs.f_files,
        vfs.f_ffree,
        vfs.f_favail,
        vfs.f_fsid,
        flags,
        vfs.f_namemax,
    ]
    .into_iter()
    .for_each(|number| fields.put_u64(number));
    Reply::Extended(fields)
}

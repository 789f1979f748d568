//! Open files: reading, writing, closing; and the attributes of all.

use nix::fcntl::AT_FDCWD;
use nix::sys::stat::{FchmodatFlags, fchmodat};
use rustix::fs::{AtFlags, CWD, Gid, Mode, OFlags, Stat, Timespec, Timestamps, Uid};
use rustix::io::retry_on_intr;

use super::attributes::{Attributes, PERMISSIONS};
use super::failure::Failure;
use super::handles::{Open, OpenFile};
use super::output::{Held, READ_MAX, Reply};
use super::report::{Operation, Report};
use super::request::{CopyData, HandleId};
use super::running::Running;
use super::server::Server;

/// How a file is to be opened (draft-ietf-secsh-filexfer-02, section 6.3).
const READ: u32 = 1;
const WRITE: u32 = 2;
const APPEND: u32 = 4;
const CREATE: u32 = 8;
const TRUNCATE: u32 = 16;
const EXCLUSIVE: u32 = 32;

/// Permissions of a file whose client names none.
const FILE_MODE: u32 = 0o666;

impl Server {
    pub(super) fn open(
        &mut self,
        path: &[u8],
        flags: u32,
        attributes: &Attributes,
        held: &mut Held,
    ) -> Result<Reply, Failure> {
        let mode = Mode::from_raw_mode(attributes.permissions_or(FILE_MODE));
        let opened = self.handles.check_room().and_then(|()| Ok(rustix::fs::open(path, to_open(flags), mode)?));
        let full = self.full(path);
        let error = opened.as_ref().err().map(|failure| failure.message);
        held.report(&Report::new(operation(flags), &full).error(error));
        let append = flags & APPEND != 0;
        let file = OpenFile { file: opened?, path: full, append, moved: 0, spoilt: None, running: None };
        Ok(Reply::Handle(self.handles.add(Open::File(file))))
    }

    pub(super) fn close(&mut self, handle: HandleId, held: &mut Held) -> Result<Reply, Failure> {
        let Open::File(OpenFile { file, path, moved, spoilt, .. }) = self.handles.remove(handle)? else {
            return Ok(Reply::Done);
        };
        // A file system that is elsewhere may tell here that it could not take everything.
        let closed = nix::unistd::close(file).map_err(Failure::from);
        let error = spoilt.or_else(|| closed.err().map(|failure| failure.message));
        held.report(&Report::new(Operation::Close, &path).bytes(moved).error(error));
        closed.map(|()| Reply::Done)
    }

    pub(super) fn read(
        &mut self,
        handle: HandleId,
        offset: u64,
        length: u32,
        block: &mut [u8],
    ) -> Result<Reply, Failure> {
        let file = self.handles.file(handle)?;
        let length = usize::try_from(length).map_or(READ_MAX, |length| length.min(READ_MAX));
        let count = retry_on_intr(|| rustix::io::pread(&file.file, &mut block[..length], offset))?;
        if count == 0 {
            return Err(Failure::EOF);
        }
        file.moved += count as u64;
        if file.running.as_mut().is_some_and(|running| !running.read(offset, &block[..count])) {
            file.running = None;
        }
        Ok(Reply::Data(count))
    }

    pub(super) fn write(&mut self, handle: HandleId, offset: u64, data: &[u8]) -> Result<Reply, Failure> {
        let file = self.handles.file(handle)?;
        let written = file.write_all(offset, data);
        if let Err(failure) = written {
            file.spoilt.get_or_insert(failure.message);
        }
        let is_whole = written.is_ok() && !file.append;
        if file.running.as_mut().is_some_and(|running| !(is_whole && running.written(offset, data))) {
            file.running = None;
        }
        written.map(|()| Reply::Done)
    }

    pub(super) fn fsync(&mut self, handle: HandleId) -> Result<Reply, Failure> {
        rustix::fs::fsync(&self.handles.file(handle)?.file)?;
        Ok(Reply::Done)
    }

    /// Copies within the server. Other requests wait, as they do with OpenSSH.
    pub(super) fn copy_data(&mut self, copy: &CopyData, block: &mut [u8]) -> Result<Reply, Failure> {
        let (mut from, mut to, size) = (copy.from_offset, copy.to_offset, self.size_of(copy.from)?);
        let mut left = match copy.length {
            // What has a size has an end, even while it is copied onto its own. Files of the kernel's making tell none.
            0 if size > 0 => size.saturating_sub(from),
            0 => u64::MAX,
            length => length,
        };
        if copy.from == copy.to && from.abs_diff(to) < left {
            return Err(Failure::OVERLAP);
        }
        while left > 0 {
            let length = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
            let source = self.handles.file(copy.from)?;
            let count = retry_on_intr(|| rustix::io::pread(&source.file, &mut block[..length], from))?;
            if count == 0 {
                break;
            }
            source.moved += count as u64;
            let target = self.handles.file(copy.to)?;
            target.running = None;
            target.write_all(to, &block[..count])?;
            from += count as u64;
            to += count as u64;
            left -= count as u64;
        }
        Ok(Reply::Done)
    }

    /// The SHA-256 of a part of a file, so that both ends can compare it; 0 for the length is to its end.
    pub(super) fn sha256(
        &mut self,
        handle: HandleId,
        offset: u64,
        length: u64,
        block: &mut [u8],
    ) -> Result<Reply, Failure> {
        let size = self.size_of(handle)?;
        let file = self.handles.file(handle)?;
        let most = if length == 0 { u64::MAX } else { length };
        // What has passed from the beginning on is not read again, unless somebody else has cut the file meanwhile.
        let passed = file.running.clone().filter(|running| offset == 0 && running.length() <= most.min(size));
        let mut running = passed.unwrap_or_default();
        while running.length() < most {
            let (at, left) = (offset.saturating_add(running.length()), most - running.length());
            let room = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
            let count = retry_on_intr(|| rustix::io::pread(&file.file, &mut block[..room], at))?;
            if count == 0 {
                break;
            }
            running.add(&block[..count]);
        }
        let digest = running.digest();
        // A file that is gone on with is followed from there.
        if offset == 0 && file.running.is_some() {
            file.running = Some(running);
        }
        Ok(Reply::Extended(digest))
    }

    /// Keeps the digest of what passes from now on, so that it is there when it is asked for: for who reads or writes a file
    /// from its beginning to its end.
    pub(super) fn follow(&mut self, handle: HandleId) -> Result<Reply, Failure> {
        self.handles.file(handle)?.running = Some(Running::default());
        Ok(Reply::Done)
    }

    fn size_of(&mut self, handle: HandleId) -> Result<u64, Failure> {
        Ok(Attributes::from(&rustix::fs::fstat(&self.handles.file(handle)?.file)?).size.unwrap_or_default())
    }

    pub(super) fn lstat(path: &[u8]) -> Result<Reply, Failure> {
        Ok(told(&rustix::fs::lstat(path)?))
    }

    pub(super) fn stat(path: &[u8]) -> Result<Reply, Failure> {
        Ok(told(&rustix::fs::stat(path)?))
    }

    pub(super) fn fstat(&self, handle: HandleId) -> Result<Reply, Failure> {
        Ok(told(&match self.handles.any(handle)? {
            Open::File(file) => rustix::fs::fstat(&file.file)?,
            Open::Directory(directory) => directory.stat()?,
        }))
    }

    pub(super) fn setstat(&self, path: &[u8], to: &Attributes, held: &mut Held) -> Result<Reply, Failure> {
        let changed = change_all([
            to.size.map(|size| Ok(nix::unistd::truncate(path, offset(size)?)?)),
            to.owner.map(|owner| {
                let (user, group) = ids(owner);
                Ok(rustix::fs::chown(path, user, group)?)
            }),
            to.mode.map(|mode| Ok(rustix::fs::chmod(path, permissions(mode))?)),
            to.times.map(|times| Ok(rustix::fs::utimensat(CWD, path, &timestamps(times), AtFlags::empty())?)),
        ]);
        self.reported(Operation::Setstat, path, None, changed, held)
    }

    /// As [`Server::setstat`], of a symbolic link itself.
    pub(super) fn lsetstat(&self, path: &[u8], to: &Attributes, held: &mut Held) -> Result<Reply, Failure> {
        const SELF: AtFlags = AtFlags::SYMLINK_NOFOLLOW;
        let changed = change_all([
            // A link's size is that of its target's name.
            to.size.map(|_| Err(Failure::UNSUPPORTED)),
            to.owner.map(|owner| {
                let (user, group) = ids(owner);
                Ok(rustix::fs::chownat(CWD, path, user, group, SELF)?)
            }),
            to.mode.map(|mode| {
                let mode = nix::sys::stat::Mode::from_bits_truncate(mode & PERMISSIONS);
                Ok(fchmodat(AT_FDCWD, path, mode, FchmodatFlags::NoFollowSymlink)?)
            }),
            to.times.map(|times| Ok(rustix::fs::utimensat(CWD, path, &timestamps(times), SELF)?)),
        ]);
        self.reported(Operation::Setstat, path, None, changed, held)
    }

    pub(super) fn fsetstat(&mut self, handle: HandleId, to: &Attributes, held: &mut Held) -> Result<Reply, Failure> {
        let OpenFile { file, path, running, .. } = self.handles.file(handle)?;
        if to.size.is_some_and(|size| running.as_ref().is_some_and(|running| size < running.length())) {
            *running = None;
        }
        let changed = change_all([
            to.size.map(|size| Ok(rustix::fs::ftruncate(&*file, size)?)),
            to.owner.map(|owner| {
                let (user, group) = ids(owner);
                Ok(rustix::fs::fchown(&*file, user, group)?)
            }),
            to.mode.map(|mode| Ok(rustix::fs::fchmod(&*file, permissions(mode))?)),
            to.times.map(|times| Ok(rustix::fs::futimens(&*file, &timestamps(times))?)),
        ]);
        let path = path.clone();
        self.reported(Operation::Setstat, &path, None, changed, held)
    }
}

impl OpenFile {
    fn write_all(&mut self, mut offset: u64, mut data: &[u8]) -> Result<(), Failure> {
        while !data.is_empty() {
            let count = if self.append {
                retry_on_intr(|| rustix::io::write(&self.file, data))?
            } else {
                retry_on_intr(|| rustix::io::pwrite(&self.file, data, offset))?
            };
            data = &data[count..];
            offset += count as u64;
            self.moved += count as u64;
        }
        Ok(())
    }
}

/// The first failure of what was to be done; the rest is done all the same, in this order: a new owner takes special
/// permissions away, and a new size changes the times.
fn change_all(changes: [Option<Result<(), Failure>>; 4]) -> Result<(), Failure> {
    changes.into_iter().flatten().fold(Ok(()), Result::and)
}

fn told(stat: &Stat) -> Reply {
    Reply::Attributes(Attributes::from(stat))
}

fn to_open(flags: u32) -> OFlags {
    let access = match (flags & READ != 0, flags & WRITE != 0) {
        (true, true) => OFlags::RDWR,
        (false, true) => OFlags::WRONLY,
        (_, false) => OFlags::RDONLY,
    };
    let mut wanted = access | OFlags::CLOEXEC | OFlags::NOCTTY;
    wanted.set(OFlags::APPEND, flags & APPEND != 0);
    wanted.set(OFlags::CREATE, flags & CREATE != 0);
    wanted.set(OFlags::TRUNC, flags & TRUNCATE != 0);
    wanted.set(OFlags::EXCL, flags & EXCLUSIVE != 0);
    wanted
}

const fn operation(flags: u32) -> Operation {
    if flags & CREATE != 0 {
        Operation::OpenCreate
    } else if flags & (WRITE | TRUNCATE) != 0 {
        Operation::OpenWrite
    } else {
        Operation::OpenRead
    }
}

fn permissions(mode: u32) -> Mode {
    Mode::from_raw_mode(mode & PERMISSIONS)
}

/// The highest number stands for no change (chown(2)).
fn ids((user, group): (u32, u32)) -> (Option<Uid>, Option<Gid>) {
    let known = |id: u32| Some(id).filter(|id| *id != u32::MAX);
    (known(user).map(Uid::from_raw), known(group).map(Gid::from_raw))
}

fn timestamps((access, modification): (u32, u32)) -> Timestamps {
    let at = |seconds: u32| Timespec { tv_sec: seconds.into(), tv_nsec: 0 };
    Timestamps { last_access: at(access), last_modification: at(modification) }
}

fn offset(size: u64) -> Result<i64, Failure> {
    i64::try_from(size).map_err(|_| nix::errno::Errno::EFBIG.into())
}

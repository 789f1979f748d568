//! Directories: making, removing, listing.

use jiff::Timestamp;
use rustix::fs::{AtFlags, Dir, Mode, OFlags, statat};

use super::attributes::Attributes;
use super::failure::Failure;
use super::handles::Open;
use super::longname;
use super::output::{Held, Name, Reply};
use super::report::Operation;
use super::request::HandleId;
use super::server::Server;

/// Files that one reply lists at most. The longest name with its line is below 700 bytes, so that they stay within a packet.
const BATCH: usize = 200;

/// Permissions of a directory whose client names none.
const DIRECTORY_MODE: u32 = 0o777;

impl Server {
    pub(super) fn make_directory(
        &self,
        path: &[u8],
        attributes: &Attributes,
        held: &mut Held,
    ) -> Result<Reply, Failure> {
        let mode = Mode::from_raw_mode(attributes.permissions_or(DIRECTORY_MODE));
        let made = rustix::fs::mkdir(path, mode).map_err(Failure::from);
        self.reported(Operation::Mkdir, path, None, made, held)
    }

    pub(super) fn remove_directory(&self, path: &[u8], held: &mut Held) -> Result<Reply, Failure> {
        let removed = rustix::fs::rmdir(path).map_err(Failure::from);
        self.reported(Operation::Rmdir, path, None, removed, held)
    }

    pub(super) fn open_directory(&mut self, path: &[u8]) -> Result<Reply, Failure> {
        self.handles.check_room()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let directory = Dir::new(rustix::fs::open(path, flags, Mode::empty())?)?;
        Ok(Reply::Handle(self.handles.add(Open::Directory(directory))))
    }

    /// The next files of a directory, `.` and `..` among them.
    pub(super) fn read_directory(&mut self, handle: HandleId) -> Result<Reply, Failure> {
        let now = Timestamp::now().as_second();
        // Read first: a directory of the table is borrowed below.
        self.identities();
        let mut names = Vec::new();
        while names.len() < BATCH {
            let Some(entry) = self.handles.directory(handle)?.read() else { break };
            let entry = entry?;
            let directory = self.handles.directory(handle)?;
            // One that has gone meanwhile is not listed.
            let Ok(stat) = statat(directory.fd()?, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else { continue };
            let name = entry.file_name().to_bytes().to_vec();
            let long = longname::of(&name, &stat, self.identities(), now);
            names.push(Name { name, long, attributes: Attributes::from(&stat) });
        }
        if names.is_empty() { Err(Failure::EOF) } else { Ok(Reply::Names(names)) }
    }
}

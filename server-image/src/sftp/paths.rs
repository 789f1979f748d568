//! Names of files: removing, renaming, linking, and what a path leads to.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;

use super::failure::Failure;
use super::output::{Held, Name, Reply};
use super::report::Operation;
use super::server::Server;

impl Server {
    pub(super) fn remove(&self, path: &[u8], held: &mut Held) -> Result<Reply, Failure> {
        let removed = rustix::fs::unlink(path).map_err(Failure::from);
        self.reported(Operation::Remove, path, None, removed, held)
    }

    /// Renames, and replaces nothing: the draft wants that.
    pub(super) fn rename(&self, from: &[u8], to: &[u8], held: &mut Held) -> Result<Reply, Failure> {
        let renamed = rename_to_new(from, to).map_err(Failure::from);
        self.reported(Operation::Rename, from, Some(&self.full(to)), renamed, held)
    }

    /// Renames as rename(2) does, over what is there.
    pub(super) fn posix_rename(&self, from: &[u8], to: &[u8], held: &mut Held) -> Result<Reply, Failure> {
        let renamed = rustix::fs::rename(from, to).map_err(Failure::from);
        self.reported(Operation::Rename, from, Some(&self.full(to)), renamed, held)
    }

    pub(super) fn hard_link(&self, from: &[u8], to: &[u8], held: &mut Held) -> Result<Reply, Failure> {
        let linked = rustix::fs::link(from, to).map_err(Failure::from);
        self.reported(Operation::Link, from, Some(&self.full(to)), linked, held)
    }

    pub(super) fn symbolic_link(&self, target: &[u8], link: &[u8], held: &mut Held) -> Result<Reply, Failure> {
        let linked = rustix::fs::symlink(target, link).map_err(Failure::from);
        self.reported(Operation::Symlink, link, Some(target), linked, held)
    }

    pub(super) fn read_link(path: &[u8]) -> Result<Reply, Failure> {
        Ok(one(rustix::fs::readlink(path, Vec::new())?.into_bytes()))
    }

    pub(super) fn real_path(path: &[u8]) -> Result<Reply, Failure> {
        resolve(path).map(one)
    }

    /// As [`Server::real_path`], with a leading `~` or `~user` for a home directory.
    pub(super) fn expand_path(&self, path: &[u8]) -> Result<Reply, Failure> {
        let Some(path) = path.strip_prefix(b"~") else { return Self::real_path(path) };
        let end = path.iter().position(|byte| *byte == b'/').unwrap_or(path.len());
        let (user, rest) = path.split_at(end);
        let home = self.home(user)?;
        resolve(&[home.as_os_str().as_bytes(), rest].concat()).map(one)
    }

    pub(super) fn home_directory(&self, user: &[u8]) -> Result<Reply, Failure> {
        self.home(user).map(|home| one(home.into_os_string().into_vec()))
    }

    /// The session's own home where no user is named.
    fn home(&self, user: &[u8]) -> Result<PathBuf, Failure> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        if user.is_empty() || variable("USER").is_some_and(|own| own.as_bytes() == user) {
            return Ok(variable("HOME").map_or_else(|| PathBuf::from("/"), PathBuf::from));
        }
        let home = self.identities().home(user).ok_or(Errno::NOENT)?;
        Ok(PathBuf::from(OsStr::from_bytes(home)))
    }
}

fn one(path: Vec<u8>) -> Reply {
    Reply::Names(vec![Name::alone(path)])
}

fn rename_to_new(from: &[u8], to: &[u8]) -> Result<(), Errno> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A file system that cannot do both at once.
        Err(Errno::INVAL | Errno::NOSYS) => match rustix::fs::lstat(to) {
            Ok(_) => Err(Errno::EXIST),
            Err(Errno::NOENT) => rustix::fs::rename(from, to),
            Err(error) => Err(error),
        },
        renamed => renamed,
    }
}

/// A path from the root without links, `.` and `..`. Its last component need not exist: clients ask before they make it.
fn resolve(path: &[u8]) -> Result<Vec<u8>, Failure> {
    let path = Path::new(OsStr::from_bytes(if path.is_empty() { b"." } else { path }));
    let resolved = fs::canonicalize(path).or_else(|error| {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else { return Err(error) };
        if error.raw_os_error() != Some(Errno::NOENT.raw_os_error()) {
            return Err(error);
        }
        let parent = if parent.as_os_str().is_empty() { Path::new(".") } else { parent };
        fs::canonicalize(parent).map(|parent| parent.join(name))
    })?;
    Ok(resolved.into_os_string().into_vec())
}

//! The directory that sshd reads from: the public halves of two keys, and the sockets of our host key agent and of our desk.
//! No secret lies in it.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::engine::EngineError;

/// Where it may lie, memory first: a read-only root file system still has the first.
const PLACES: [&str; 3] = ["/dev/shm", "/run", "/tmp"];

/// Nobody can list it, and a session's user reaches what it knows the name of.
const TRAVERSABLE: u32 = 0o711;
/// sshd reads the authorized key as the user who logs in.
const PUBLIC: u32 = 0o444;

/// Exists as long as this does.
#[derive(Debug)]
pub(crate) struct Directory(PathBuf);

impl Directory {
    /// Makes one with a name that nobody can have taken before us.
    pub(super) fn make() -> Result<Self, EngineError> {
        for place in PLACES.map(Path::new) {
            let path = place.join(format!("fargate-login-{:016x}", rand_name()));
            if DirBuilder::new().mode(TRAVERSABLE).create(&path).is_err() {
                continue;
            }
            let directory = Self(path);
            // The umask may have taken bits.
            if fs::set_permissions(&directory.0, fs::Permissions::from_mode(TRAVERSABLE)).is_ok() {
                return Ok(directory);
            }
        }
        Err(EngineError::NoDirectory { tried: PLACES.map(PathBuf::from).to_vec() })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a public key.
    pub(super) fn write(&self, name: &str, line: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(PUBLIC).open(self.path(name))?;
        file.write_all(line.as_bytes())?;
        file.write_all(b"\n")?;
        file.set_permissions(fs::Permissions::from_mode(PUBLIC))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What is left in memory goes with the container.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Two directories of one container need different names; nothing rests on nobody's guessing them.
fn rand_name() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    RandomState::new().build_hasher().finish()
}

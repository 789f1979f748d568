//! The private directories: one for each host and its flags, with sockets and a known_hosts file that OpenSSH is told of by fixed paths.
//!
//! All of a user's hosts share a base directory and in it one lock, held only while a proxy looks for its keeper or starts one, and
//! while a keeper goes: so no proxy ever connects to a keeper that has decided to leave.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use crate::error::Advice;

/// Where proxies find the keeper.
pub const KEEPER: &str = "keeper";
/// Where OpenSSH finds the agent.
pub const AGENT: &str = "agent";
/// The host key of the run, as OpenSSH reads it.
pub const KNOWN_HOSTS: &str = "known_hosts";
/// Standard error of the keeper, which holds a lock on it for as long as it lives. That of one that is going has its process id behind.
pub const LOG: &str = "log";
/// The lock in the base directory.
const LOCK: &str = "lock";

/// Only the owner may look in.
const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
/// Bytes of a socket's path that every Unix takes (`sun_path` has 104 on macOS and 108 on Linux), less our longest temporary name.
const PATH_MAX: usize = 84;

/// Why a directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// Somebody else could look in, or it is no directory.
    #[error("{} is not a directory of our own that nobody else can enter", .0.display())]
    NotPrivate(PathBuf),
    /// Sockets in it could not be reached.
    #[error("{} is too long for the path of a socket", .0.display())]
    TooLong(PathBuf),
    /// The system says no.
    #[error("{}: {source}", path.display())]
    System {
        /// What could not be made or read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Advice for DirectoryError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotPrivate(_) | Self::TooLong(_) => {
                vec!["name another directory with `--runtime-dir`, such as one below your home".to_owned()]
            }
            Self::System { .. } => Vec::new(),
        }
    }
}

/// Where hosts have their directories when nothing else is said: below `XDG_RUNTIME_DIR` (XDG Base Directory Specification), which is
/// private, else in `/tmp` under our user id.
#[must_use]
pub fn default_base(env: &dyn Fn(&str) -> Option<String>) -> PathBuf {
    let runtime = env("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    runtime.map_or_else(
        || PathBuf::from(format!("/tmp/fargate-login-{}", geteuid())),
        |directory| directory.join("fargate-login"),
    )
}

/// Makes sure that this is a directory of our own that nobody else can enter.
///
/// # Errors
/// [`DirectoryError`].
pub fn private(path: &Path) -> Result<(), DirectoryError> {
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => return Err(system(path, source)),
    }
    // Not through a link, which may be somebody else's.
    let found = path.symlink_metadata().map_err(|source| system(path, source))?;
    let is_private = found.is_dir() && found.uid() == geteuid().as_raw() && found.mode() & 0o077 == 0;
    if is_private { Ok(()) } else { Err(DirectoryError::NotPrivate(path.to_owned())) }
}

/// Makes a host's directory and the base above it, and waits for the lock of the base. Blocks.
///
/// # Errors
/// [`DirectoryError`].
pub fn lock(directory: &Path) -> Result<File, DirectoryError> {
    if directory.as_os_str().len() > PATH_MAX {
        return Err(DirectoryError::TooLong(directory.to_owned()));
    }
    let base = directory.parent().unwrap_or(directory);
    private(base)?;
    let path = base.join(LOCK);
    let file = open(&path)?;
    file.lock().map_err(|source| system(&path, source))?;
    Ok(file)
}

/// Binds a socket in a private directory under this name, whatever was there.
///
/// # Errors
/// [`DirectoryError`].
pub fn listen(directory: &Path, name: &str) -> Result<UnixListener, DirectoryError> {
    let path = directory.join(name);
    let bound = tempfile::Builder::new().prefix(name).make_in(directory, |path| UnixListener::bind(path));
    let bound = bound.map_err(|source| system(&path, source))?;
    bound.persist(&path).map_err(|error| system(&path, error.error))
}

/// Writes a file under this name, whole or not at all.
///
/// # Errors
/// [`DirectoryError`].
pub fn write(directory: &Path, name: &str, text: &str) -> Result<(), DirectoryError> {
    let path = directory.join(name);
    let written = || {
        // Readable by the owner alone, as tempfile makes its files.
        let mut file = tempfile::Builder::new().prefix(name).tempfile_in(directory)?;
        file.write_all(text.as_bytes())?;
        file.persist(&path).map_err(|error| error.error)
    };
    written().map(|_| ()).map_err(|source| system(&path, source))
}

/// The log of a keeper that is about to be started, locked for as long as a copy of it is open; and what earlier ones left to be read. To
/// be called with the lock of the base.
///
/// # Errors
/// [`DirectoryError`].
pub fn open_log(directory: &Path) -> Result<(File, String), DirectoryError> {
    let mut said = String::new();
    for log in logs(directory).filter(|log| !is_held(log)) {
        said.push_str(&String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()));
        let _ = std::fs::remove_file(log);
    }
    let path = directory.join(LOG);
    // A child of a dead keeper may hold it still: that one's file is not ours.
    let _ = std::fs::remove_file(&path);
    let file = open(&path)?;
    file.lock().map_err(|source| system(&path, source))?;
    Ok((file, said))
}

/// Takes away what a keeper is found by, and its log out of the next one's way. To be called with the lock of the base.
pub fn leave(directory: &Path) {
    // What is left over does no harm: whoever comes next writes over it.
    for name in [KEEPER, AGENT, KNOWN_HOSTS] {
        let _ = std::fs::remove_file(directory.join(name));
    }
    let _ = std::fs::rename(directory.join(LOG), directory.join(log_of_one_that_goes()));
}

/// Takes away the log of a keeper that has left, if nobody has to read it, and the directory, if nobody else has it. To be called with
/// the lock of the base.
pub fn end(directory: &Path) {
    remove_if_empty(&directory.join(log_of_one_that_goes()));
    let _ = std::fs::remove_dir(directory);
}

fn log_of_one_that_goes() -> String {
    format!("{LOG}-{}", std::process::id())
}

/// Takes away what keepers have left that were killed, but for logs that somebody has to read. To be called with the lock of the base.
pub fn sweep(base: &Path) {
    for entry in std::fs::read_dir(base).into_iter().flatten().flatten() {
        let directory = entry.path();
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if !is_directory || logs(&directory).any(|log| is_held(&log)) {
            continue;
        }
        for name in [KEEPER, AGENT, KNOWN_HOSTS] {
            let _ = std::fs::remove_file(directory.join(name));
        }
        logs(&directory).for_each(|log| remove_if_empty(&log));
        let _ = std::fs::remove_dir(directory);
    }
}

fn logs(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(LOG)).map(|entry| entry.path())
}

/// Whether a keeper lives whose log this is.
fn is_held(log: &Path) -> bool {
    File::open(log).is_ok_and(|log| matches!(log.try_lock(), Err(TryLockError::WouldBlock)))
}

fn remove_if_empty(log: &Path) {
    if log.metadata().is_ok_and(|log| log.len() == 0) {
        let _ = std::fs::remove_file(log);
    }
}

/// Whether the process at the other end is our own user's.
#[must_use]
pub fn is_ours(stream: &tokio::net::UnixStream) -> bool {
    stream.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw())
}

fn open(path: &Path) -> Result<File, DirectoryError> {
    let file = OpenOptions::new().read(true).append(true).create(true).mode(FILE_MODE).open(path);
    file.map_err(|source| system(path, source))
}

fn system(path: &Path, source: io::Error) -> DirectoryError {
    DirectoryError::System { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_directory_that_others_can_enter_is_not_taken() {
        let base = tempfile::tempdir().expect("a directory");
        let (own, link) = (base.path().join("own"), base.path().join("link"));
        private(&own).expect("made");
        private(&own).expect("as it was made");
        symlink(&own, &link).expect("a link");
        assert!(matches!(private(&link), Err(DirectoryError::NotPrivate(_))));
        std::fs::set_permissions(&own, PermissionsExt::from_mode(0o750)).expect("a mode");
        assert!(matches!(private(&own), Err(DirectoryError::NotPrivate(_))));
        std::fs::write(base.path().join("file"), "").expect("written");
        assert!(matches!(private(&base.path().join("file")), Err(DirectoryError::NotPrivate(_))));
    }

    #[test]
    fn what_dead_keepers_left_is_swept_but_for_what_they_had_to_say() {
        let base = tempfile::tempdir().expect("a directory");
        let host = |name: &str| {
            let directory = base.path().join(name);
            private(&directory).expect("made");
            drop(listen(&directory, KEEPER).expect("bound"));
            write(&directory, KNOWN_HOSTS, "host key\n").expect("written");
            directory
        };
        let (lives, dead, spoke) = (host("lives"), host("dead"), host("spoke"));
        let (held, said) = open_log(&lives).expect("a log");
        assert_eq!(said, "");
        let _ = open_log(&dead).expect("a log");
        open_log(&spoke).expect("a log").0.write_all(b"warning: it\n").expect("written");
        sweep(base.path());
        assert!(lives.join(KNOWN_HOSTS).exists() && !dead.exists() && !spoke.join(KEEPER).exists());
        assert_eq!(open_log(&spoke).expect("a log").1, "warning: it\n");
        leave(&lives);
        sweep(base.path());
        assert!(lives.exists() && !lives.join(KEEPER).exists(), "it goes, and is not gone");
        end(&lives);
        drop(held);
        sweep(base.path());
        assert!(!lives.exists() && !spoke.exists());
    }

    #[test]
    fn a_path_that_no_socket_can_have_is_told() {
        let long = Path::new("/tmp").join("x".repeat(100)).join("host");
        assert!(matches!(lock(&long), Err(DirectoryError::TooLong(_))));
    }

    #[test]
    fn the_runtime_directory_is_preferred() {
        let with = |value: Option<&str>| default_base(&|_| value.map(str::to_owned));
        assert_eq!(with(Some("/run/user/7")), Path::new("/run/user/7/fargate-login"));
        let fallback = PathBuf::from(format!("/tmp/fargate-login-{}", geteuid()));
        assert_eq!((with(None), with(Some("relative"))), (fallback.clone(), fallback));
    }
}

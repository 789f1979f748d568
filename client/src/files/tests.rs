//! Copies to and from a real OpenSSH server.

mod parts;
mod trees;

use std::ffi::{OsStr, OsString};
use std::fs::{File, FileTimes, Permissions};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use rand::{RngExt as _, SeedableRng as _};
use tokio_util::sync::CancellationToken;

use super::sftp::{OpenFlags, Sftp};
use super::{Copied, CopyError, CopyRequest, Direction, Place, copy, digest};
use crate::ssh::sshd::Sshd;
use crate::ui::Ui;

/// Long enough for every event that a test awaits, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A copy between a word of ours and a word of the task's, as on the command line.
fn request(words: &[&OsStr]) -> CopyRequest {
    let places = words.iter().map(|word| Place::parse((*word).to_owned())).collect();
    CopyRequest { direction: Direction::of(places).expect("places"), recursive: true, resume: false }
}

fn in_task(path: &Path) -> OsString {
    OsString::from_vec([b"_:", path.as_os_str().as_bytes()].concat())
}

async fn run(sshd: &Sshd, request: &CopyRequest) -> Result<Copied, CopyError> {
    let connection = sshd.connect().await;
    let cancel = CancellationToken::new();
    let ui = Ui::new(true);
    let copied = copy(&connection, request, &ui, &cancel);
    tokio::time::timeout(PATIENCE, copied).await.expect("an end")
}

async fn put(sshd: &Sshd, from: &Path, to: &Path) -> Result<Copied, CopyError> {
    run(sshd, &request(&[from.as_os_str(), &in_task(to)])).await
}

async fn get(sshd: &Sshd, from: &Path, to: &Path) -> Result<Copied, CopyError> {
    run(sshd, &request(&[&in_task(from), to.as_os_str()])).await
}

fn random(length: usize) -> Vec<u8> {
    let mut content = vec![0; length];
    rand::rngs::StdRng::seed_from_u64(length as u64).fill(&mut content[..]);
    content
}

fn write(path: &Path, content: &[u8], mode: u32, changed: u64) {
    std::fs::write(path, content).expect("written");
    let file = File::open(path).expect("there");
    file.set_permissions(Permissions::from_mode(mode)).expect("ours");
    let times = FileTimes::new().set_modified(UNIX_EPOCH + Duration::from_secs(changed));
    file.set_times(times).expect("ours");
}

/// Everything below a directory: path, whether a directory, mode, last change, content.
fn listing(top: &Path) -> Vec<(PathBuf, bool, u32, i64, Vec<u8>)> {
    let mut all = Vec::new();
    let mut left = vec![top.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = std::fs::symlink_metadata(&path).expect("there");
        let content = if metadata.is_file() { std::fs::read(&path).expect("readable") } else { Vec::new() };
        let below = path.strip_prefix(top).expect("below").to_owned();
        all.push((below, metadata.is_dir(), metadata.mode() & 0o777, metadata.mtime(), content));
        if metadata.is_dir() {
            left.extend(std::fs::read_dir(&path).expect("readable").map(|entry| entry.expect("an entry").path()));
        }
    }
    all.sort();
    all
}

fn names(directory: &Path) -> Vec<OsString> {
    let mut names: Vec<_> =
        std::fs::read_dir(directory).expect("readable").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn a_file_arrives_as_it_was_in_both_directions() {
    let Some(sshd) = Sshd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let [here, there, back] = ["here", "there", "back"].map(|name| folder.path().join(name));
    // Several windows and a rest, less than one packet, nothing.
    for (length, mode) in [(20 * 1024 * 1024 + 7, 0o640), (100, 0o755), (0, 0o600)] {
        write(&here, &random(length), mode, 1_000_000_000);
        let copied = Copied { files: 1, bytes: length as u64 };
        assert_eq!(put(&sshd, &here, &there).await.expect("put"), copied);
        assert_eq!(get(&sshd, &there, &back).await.expect("got"), copied);
        let metadata = std::fs::metadata(&back).expect("there");
        assert_eq!((metadata.mode() & 0o777, metadata.mtime()), (mode, 1_000_000_000), "{length}");
        assert!(std::fs::read(&back).expect("readable") == random(length), "{length}");
    }
    assert_eq!(names(folder.path()), ["back", "here", "there"], "no parts are left");
}

#[tokio::test]
async fn a_file_that_tells_no_size_is_read_to_its_end() {
    let Some(sshd) = Sshd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let target = folder.path().join("version");
    get(&sshd, Path::new("/proc/version"), &target).await.expect("got");
    assert_eq!(std::fs::read(target).expect("there"), std::fs::read("/proc/version").expect("there"));
}

#[tokio::test]
async fn a_link_under_the_final_name_is_written_through_and_a_pipe_is_left_alone() {
    let Some(sshd) = Sshd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let [new, file, link, pipe] = ["new", "file", "link", "pipe"].map(|name| folder.path().join(name));
    write(&new, b"new", 0o644, 1);
    write(&file, b"old", 0o644, 1);
    std::os::unix::fs::symlink("file", &link).expect("a link");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    for upward in [true, false] {
        std::fs::write(&file, "old").expect("written");
        let copied = if upward { put(&sshd, &new, &link).await } else { get(&sshd, &new, &link).await };
        copied.expect("copied");
        assert_eq!(std::fs::read(&file).expect("there"), b"new", "{upward}");
        assert!(std::fs::symlink_metadata(&link).expect("there").is_symlink(), "{upward}");
        let refused = if upward { put(&sshd, &new, &pipe).await } else { get(&sshd, &new, &pipe).await };
        assert!(matches!(refused, Err(CopyError::Incomplete { failed: 1, all: 1 })), "{refused:?}");
    }
    assert_eq!(names(folder.path()), ["file", "link", "new", "pipe"]);
}

#[tokio::test]
async fn a_digest_is_told_by_a_command_or_read_back_and_another_one_is_noticed() {
    let Some(sshd) = Sshd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("it's \n \u{e9}");
    let content = random(3 * 1024 * 1024);
    std::fs::write(&file, &content).expect("written");
    let connection = sshd.connect().await;
    let sftp = Sftp::open(&connection).await.expect("SFTP");
    let path = file.as_os_str().as_bytes();
    let handle = sftp.open_file(path, OpenFlags::READ, 0).await.expect("there");
    for length in [content.len(), content.len() - 1, 1000] {
        let mut sum = super::disk::Sum::default();
        sum.add(&content[..length]);
        let right = (length as u64, sum.digest());
        let compare = |here| digest::compare(&connection, &sftp, (&handle, path), path, here);
        compare(right).await.expect("the same");
        let wrong = compare((length as u64, [0; 32])).await;
        assert!(wrong.is_err_and(|error| error.to_string().contains("is another file")), "{length}");
    }
    sftp.close().await;
}

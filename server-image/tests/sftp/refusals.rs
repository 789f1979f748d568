//! What cannot be done, and who may not do it.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::PathBuf;

use tempfile::TempDir;

use crate::container::{Container, text};
use crate::{logged, path, sftp, some_bytes};

#[test]
fn a_full_disk_is_told_and_logged() {
    let mut container = Container::start(&[]);
    container.write("local", &some_bytes());
    let output = sftp(&container, "root", &format!("put {} /dev/full\n", path(&container, "local").display()));
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("Failure"), "{}", text(&output.stderr));
    assert_eq!(container.ended(), 0, "sftp hung up, and the server had nothing to complain about");
    let close = logged(&container).into_iter().find(|line| line[0] == "close").expect("a line");
    assert_eq!(close, ["close", "/dev/full", "0", "No space left on device"]);
}

#[test]
fn a_file_that_may_not_grow_does_not_end_the_server() {
    let words = ["/bin/sh", "-c", "ulimit -f 100; exec \"$0\"", env!("CARGO_BIN_EXE_fargate-init")];
    let mut container = Container::start_by(&words, &[]);
    container.write("local", &some_bytes());
    let script = format!("-put {} there\nls -l there\n", path(&container, "local").display());
    let output = sftp(&container, "root", &script);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("Failure"), "{}", text(&output.stderr));
    assert_eq!(container.ended(), 0);
    let close = logged(&container).into_iter().find(|line| line[0] == "close").expect("a line");
    assert_eq!(close[3], "File too large");
}

#[test]
fn another_user_has_that_user_s_rights() {
    if !nix::unistd::geteuid().is_root() {
        return crate::skipped("only root can become another user");
    }
    let (place, copy) = for_everybody();
    let mut container = Container::start_by(&[copy.to_str().expect("a path")], &[]);
    // Debian's daemon, whose shell refuses: it is not asked.
    let daemon = nix::unistd::User::from_name("daemon").expect("accounts").expect("such a user");
    let (open, closed) = (place.path().join("open"), place.path().join("closed"));
    [&open, &closed].into_iter().for_each(|directory| fs::create_dir(directory).expect("a directory"));
    chown(&open, Some(daemon.uid.as_raw()), None).expect("root may");
    container.write("local", b"text");
    let (base, open, closed) = (container.directory.path().display(), open.display(), closed.display());
    let script = format!(
        "put {base}/local {open}/file\n-put {base}/local {closed}/file\n-get /etc/shadow {base}/shadow\n\
         -chown 0 {open}/file\nchmod 600 {open}/file\n"
    );
    let output = sftp(&container, "daemon", &script);
    let told = text(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(told.matches("Permission denied").count(), 3, "{told}");
    let meta = fs::metadata(place.path().join("open/file")).expect("a file");
    let owner = (meta.uid(), meta.gid(), meta.mode() & 0o7777);
    assert_eq!(owner, (daemon.uid.as_raw(), daemon.gid.as_raw(), 0o600));
    assert!(!place.path().join("closed/file").exists());
    assert_eq!(container.ended(), 0);
    assert_eq!(container.last("session_start")["user"], "daemon");
    let refused: Vec<_> =
        logged(&container).into_iter().filter(|line| line.last().is_some_and(|last| last.contains("ermi"))).collect();
    assert_eq!(refused.len(), 3, "{refused:?}");
}

#[test]
fn a_container_that_is_not_root() {
    if !nix::unistd::geteuid().is_root() {
        // Then every other test shows it.
        return crate::skipped("we are not root ourselves");
    }
    let (place, copy) = for_everybody();
    let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy.to_str().expect("a path")];
    let mut container = Container::start_by(&words, &[("HOME", "/")]);
    let home = place.path().join("home");
    fs::create_dir(&home).expect("a directory");
    chown(&home, Some(65534), Some(65534)).expect("root may");
    container.write("local", &some_bytes());
    let (base, home) = (container.directory.path().display(), home.display());
    let script = format!("put {base}/local {home}/file\nget {home}/file {base}/back\n-put {base}/local /file\n");
    let output = sftp(&container, "root", &script);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("\"/file\": Permission denied"), "{}", text(&output.stderr));
    assert!(fs::read(path(&container, "back")).expect("a file") == some_bytes());
    assert_eq!(fs::metadata(place.path().join("home/file")).expect("a file").uid(), 65534);
    assert_eq!(container.ended(), 0);
}

/// A copy of the executable, where everybody may run it from.
fn for_everybody() -> (TempDir, PathBuf) {
    let place = tempfile::tempdir().expect("a directory");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let copy = place.path().join("fargate-init");
    fs::copy(env!("CARGO_BIN_EXE_fargate-init"), &copy).expect("a copy");
    (place, copy)
}

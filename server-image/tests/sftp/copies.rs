//! Programs that copy trees: scp in both protocols and between two containers, rsync, sshfs.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use fargate_contract::grant;

use crate::container::{Container, PORT, text};
use crate::{copier, has, options, path, remote, skipped, some_bytes};

/// When the files of the tree were last changed.
const CHANGED: u64 = 1_000_000_007;

/// A directory with a file in a directory, both with modes and times of their own.
fn make_tree(container: &Container) -> PathBuf {
    let tree = path(container, "tree");
    fs::create_dir_all(tree.join("below")).expect("directories");
    fs::write(tree.join("below/large"), some_bytes()).expect("a file");
    fs::write(tree.join("empty"), b"").expect("a file");
    fs::set_permissions(tree.join("empty"), fs::Permissions::from_mode(0o604)).expect("ours");
    let changed = std::time::UNIX_EPOCH + std::time::Duration::from_secs(CHANGED);
    for name in ["below/large", "empty"] {
        let file = fs::File::options().write(true).open(tree.join(name)).expect("a file");
        file.set_modified(changed).expect("a time");
    }
    tree
}

fn assert_same(tree: &Path) {
    assert!(fs::read(tree.join("below/large")).expect("a file") == some_bytes(), "{}", tree.display());
    for (name, mode) in [("below/large", None), ("empty", Some(0o604))] {
        let meta = fs::metadata(tree.join(name)).expect("a file");
        assert_eq!(meta.mtime().unsigned_abs(), CHANGED, "{name}");
        assert!(mode.is_none_or(|mode| meta.mode() & 0o7777 == mode), "{name}: {:o}", meta.mode());
    }
}

#[test]
fn scp_in_both_protocols_and_both_directions() {
    // The second is a command of the image's own scp.
    for (protocol, kind) in [("-s", "subsystem"), ("-O", "exec")] {
        let mut container = Container::start(&[(grant::CONNECTIONS, "many")]);
        let mut held = container.hold();
        let tree = make_tree(&container);
        let (there, back) = (path(&container, "there"), path(&container, "back"));
        let (there_remote, options) = (remote(&container, &there), [protocol, "-r", "-p"]);
        let went = copier("scp", &container).args(options).arg(&tree).arg(&there_remote).output().expect("scp");
        assert!(went.status.success(), "{protocol}: {}", text(&went.stderr));
        let came = copier("scp", &container).args(options).arg(&there_remote).arg(&back).output().expect("scp");
        assert!(came.status.success(), "{protocol}: {}", text(&came.stderr));
        [&there, &back].into_iter().for_each(|tree| assert_same(tree));
        drop(held.stdin.take());
        held.wait().expect("ssh");
        assert_eq!(container.ended(), 0);
        let kinds = container.events.iter().filter(|event| event["event"] == "session_start" && event["kind"] == kind);
        assert_eq!(kinds.count(), if kind == "exec" { 3 } else { 2 });
    }
}

#[test]
fn scp_between_two_containers() {
    let (mut from, mut to) = (Container::start(&[]), Container::start(&[]));
    let tree = make_tree(&from);
    let file = |container: &Container, name: &str| path(container, name).display().to_string();
    let known_hosts = format!("UserKnownHostsFile={} {}", file(&from, "known_hosts"), file(&to, "known_hosts"));
    let copied = Command::new("scp")
        .args(["-q", "-3", "-r", "-p", "-P", &PORT.to_string(), "-o", &known_hosts, "-i", &file(&to, "key")])
        .args(options(&from))
        .arg(remote(&from, &tree))
        .arg(remote(&to, &path(&to, "there")))
        .output()
        .expect("scp");
    assert!(copied.status.success(), "{}", text(&copied.stderr));
    assert_same(&path(&to, "there"));
    assert_eq!((from.ended(), to.ended()), (0, 0));
}

#[test]
fn rsync_over_ssh() {
    if !has("rsync") {
        return;
    }
    let mut container = Container::start(&[(grant::CONNECTIONS, "many")]);
    let mut held = container.hold();
    let mut tree = make_tree(&container).into_os_string();
    tree.push("/");
    let words: Vec<String> = options(&container).into_iter().map(|word| format!("'{word}'")).collect();
    let shell = format!("ssh -p {PORT} {}", words.join(" "));
    let (there, back) = (path(&container, "there"), path(&container, "back"));
    let mut remote = remote(&container, &there);
    remote.push('/');
    let rsync = || {
        let mut rsync = Command::new("rsync");
        rsync.args(["-a", "-e", &shell]);
        rsync
    };
    let went = rsync().arg(&tree).arg(&remote).output().expect("rsync");
    assert!(went.status.success(), "{}", text(&went.stderr));
    let came = rsync().arg(&remote).arg(&back).output().expect("rsync");
    assert!(came.status.success(), "{}", text(&came.stderr));
    [&there, &back].into_iter().for_each(|tree| assert_same(tree));
    drop(held.stdin.take());
    held.wait().expect("ssh");
    assert_eq!(container.ended(), 0);
}

/// A mounted directory, until it is dropped.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn sshfs_works_on_files_in_place() {
    if fs::File::options().read(true).write(true).open("/dev/fuse").is_err() {
        // A device, not a tool: nobody can install it.
        return skipped("/dev/fuse is not to be had");
    }
    if !nix::unistd::geteuid().is_root() {
        return skipped("only root may mount everywhere");
    }
    if !has("sshfs") {
        return;
    }
    let mut container = Container::start(&[]);
    let (there, here) = (make_tree(&container), path(&container, "mounted"));
    fs::create_dir(&here).expect("a directory");
    let mut sshfs = Command::new("sshfs");
    // It comes back once the directory is mounted, and takes no options of ssh but its own and `-o`.
    sshfs.arg(remote(&container, &there)).arg(&here).args([
        "-p",
        &PORT.to_string(),
        "-F",
        "/dev/null",
        "-o",
        "workaround=none",
    ]);
    let file = |name: &str| path(&container, name).display().to_string();
    let (key, known_hosts) =
        (format!("IdentityFile={}", file("key")), format!("UserKnownHostsFile={}", file("known_hosts")));
    for option in [key.as_str(), "IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes", &known_hosts] {
        sshfs.args(["-o", option]);
    }
    // Its second process keeps the standard streams: nothing here may wait for their end.
    assert!(sshfs.stdin(std::process::Stdio::null()).status().expect("sshfs").success());
    let mounted = Mounted(here.clone());
    assert_same(&here);
    fs::write(here.join("new"), b"0123456789").expect("a file");
    let new = fs::File::options().write(true).open(here.join("new")).expect("a file");
    new.write_all_at(b"xx", 4).expect("a place");
    new.set_len(8).expect("a size");
    new.sync_all().expect("a disk");
    drop(new);
    fs::rename(here.join("new"), here.join("empty")).expect("another name");
    symlink("empty", here.join("link")).expect("a link");
    fs::hard_link(here.join("empty"), here.join("second")).expect("a link");
    fs::set_permissions(here.join("empty"), fs::Permissions::from_mode(0o700)).expect("a mode");
    fs::create_dir(here.join("made")).expect("a directory");
    fs::remove_dir(here.join("made")).expect("it is empty");
    assert_eq!(fs::read(there.join("link")).expect("a file"), b"0123xx67");
    assert_eq!(fs::metadata(there.join("second")).expect("a file").mode() & 0o7777, 0o700);
    assert_eq!(fs::read_dir(&here).expect("a directory").count(), 4);
    assert!(nix::sys::statvfs::statvfs(&here).expect("a file system").blocks() > 0);
    drop(mounted);
    assert_eq!(container.ended(), 0);
}

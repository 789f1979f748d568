//! Files by scp, sftp and rsync.

use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use e2e::{SshHost, World};

use super::{GOES, STAYS};

/// A file that no buffer on the way holds whole, a small one and an empty one, in directories.
fn tree(root: &Path) {
    let large: Vec<u8> = (0..3 * 1024 * 1024).map(|index| (index / 3 % 253) as u8).collect();
    std::fs::create_dir_all(root.join("a b/c")).expect("made");
    for (name, content) in [("large", large.as_slice()), ("a b/small", b"small\n"), ("a b/c/empty", b"")] {
        std::fs::write(root.join(name), content).expect("written");
    }
}

fn assert_same(one: &Path, other: &Path) {
    for name in ["large", "a b/small", "a b/c/empty"] {
        let read = |root: &Path| std::fs::read(root.join(name)).expect("copied");
        assert!(read(one) == read(other), "{name}");
    }
}

#[test]
fn scp_both_ways() {
    let host = SshHost::new(World::new(), &STAYS);
    let (from, there, back) = (host.place().join("from"), host.place().join("there"), host.place().join("back"));
    tree(&from);
    // Without and with SFTP underneath.
    for protocol in ["-O", "-s"] {
        let scp = || {
            let scp = host.tool("scp").expect("beside ssh").arg("-F").arg(host.config().as_os_str());
            scp.args(["-q", "-r", protocol])
        };
        let up = scp().arg(from.as_os_str()).arg(format!("dev:{}", there.display())).run();
        assert_eq!(up.code, 0, "{protocol}: {}", up.stderr);
        let down = scp().arg(format!("dev:{}", there.display())).arg(back.as_os_str()).run();
        assert_eq!(down.code, 0, "{protocol}: {}", down.stderr);
        assert_same(&from, &there);
        assert_same(&from, &back);
        for copied in [&there, &back] {
            std::fs::remove_dir_all(copied).expect("removed");
        }
    }
    assert_eq!(host.launches(), 1);
}

#[test]
fn sftp_both_ways() {
    let host = SshHost::new(World::new(), &STAYS);
    let (from, there, back) = (host.place().join("from"), host.place().join("there"), host.place().join("back"));
    tree(&from);
    let script = format!("put -r {0} {1}\nget -r {1} {2}\n", from.display(), there.display(), back.display());
    let sftp = host.tool("sftp").expect("beside ssh").arg("-F").arg(host.config().as_os_str());
    let done = sftp.args(["-q", "-b", "-", "dev"]).run_with(script.as_bytes());
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_same(&from, &there);
    assert_same(&from, &back);
}

#[test]
fn rsync_both_ways() {
    let host = SshHost::new(World::new(), &STAYS);
    let (from, there, back) = (host.place().join("from"), host.place().join("there"), host.place().join("back"));
    tree(&from);
    let Some(rsync) = host.tool("rsync") else { return };
    let rsync = rsync.args(["-a", "-e"]).arg(host.ssh_line());
    let up = rsync.clone().arg(format!("{}/", from.display())).arg(format!("dev:{}/", there.display())).run();
    assert_eq!(up.code, 0, "{}", up.stderr);
    let down = rsync.arg(format!("dev:{}/", there.display())).arg(format!("{}/", back.display())).run();
    assert_eq!(down.code, 0, "{}", down.stderr);
    assert_same(&from, &there);
    assert_same(&from, &back);
    assert_eq!(host.launches(), 1);
}

#[test]
fn sshfs_mounts_it() {
    // A device and a right, not tools: nobody can install them.
    if std::fs::File::options().read(true).write(true).open("/dev/fuse").is_err() || !nix::unistd::geteuid().is_root() {
        let _ = writeln!(std::io::stderr(), "left out: /dev/fuse is not to be had");
        return;
    }
    let host = SshHost::new(World::new(), &GOES);
    let Some(sshfs) = host.tool("sshfs") else { return };
    let [from, there, mounted] = ["from", "there", "mounted"].map(|name| host.place().join(name));
    tree(&from);
    [&there, &mounted].into_iter().for_each(|directory| std::fs::create_dir(directory).expect("made"));
    let sshfs = sshfs.args(["-f", "-F"]).arg(host.config().as_os_str());
    let running = sshfs.arg(format!("dev:{}", there.display())).arg(mounted.as_os_str()).start();
    let device = |path: &Path| path.metadata().expect("there").dev();
    host.wait_until("it is mounted", |_| device(&mounted) != device(host.place()));
    let copied = host.tool("cp").expect("everywhere").arg("-r").arg(from.join(".")).arg(mounted.as_os_str()).run();
    assert_eq!(copied.code, 0, "{}", copied.stderr);
    assert_same(&from, &there);
    assert_same(&from, &mounted);
    std::fs::remove_file(mounted.join("large")).expect("removed");
    assert!(!there.join("large").exists());
    assert_eq!(host.tool("umount").expect("everywhere").arg(mounted.as_os_str()).run().code, 0);
    assert_eq!(running.wait().code, 0);
    assert_eq!(host.world.stopped_task().stop_code.as_deref(), Some("UserInitiated"));
    host.wait_tidy();
}

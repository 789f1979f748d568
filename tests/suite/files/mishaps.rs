//! What goes wrong while files are copied: full disks, sources that vanish, a network that goes.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

use e2e::{Network, Terminal, World};

use super::{content, in_task, long_copy_of, names, wait_until_begun};

/// A file system of 1 MiB, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Nothing, where we may not mount.
    fn at(path: PathBuf) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            return None;
        }
        fs::create_dir(&path).expect("made");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "small"]).arg(&path).status();
        assert!(mounted.expect("mount(8)").success(), "root may mount");
        Some(Self(path))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_on_either_side_is_told_and_nothing_is_left_on_it() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
    let here = folder.path().join("here");
    fs::create_dir(&here).expect("made");
    fs::write(here.join("large"), content(5_000_000)).expect("written");
    fs::write(here.join("small"), "small").expect("written");
    let Some(disk) = SmallDisk::at(folder.path().join("disk")) else { return };
    for upward in [true, false] {
        let source = here.clone().into_os_string();
        let places =
            if upward { [source, in_task(&disk.0)] } else { [in_task(&here), disk.0.clone().into_os_string()] };
        let done = world.login().args(["cp", "-r"]).args(places).run();
        assert_eq!(done.code, 255, "{}", done.stderr);
        assert!(done.stderr.contains("No space left on device"), "{upward}: {}", done.stderr);
        assert!(done.stderr.contains("1 of 3 files and directories were not copied"), "{upward}: {}", done.stderr);
        assert_eq!(names(&disk.0.join("here")), ["small"], "{upward}");
        fs::remove_dir_all(disk.0.join("here")).expect("ours");
    }
}

#[test]
fn sources_that_shrink_or_vanish_meanwhile_are_told_and_the_rest_arrives() {
    for upward in [true, false] {
        let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
        let [gone, last] = ["gone", "last"].map(|name| folder.path().join(name));
        fs::write(&gone, "it was there").expect("written");
        fs::write(&last, "last").expect("written");
        let (running, target) = long_copy_of(&world, folder.path(), &[], &[gone.clone(), last], upward);
        wait_until_begun(&target);
        // The first is under way; the others are looked at when it has ended.
        fs::remove_file(&gone).expect("there");
        File::options().write(true).open(folder.path().join("here")).and_then(|file| file.set_len(0)).expect("ours");
        let done = running.wait();
        assert_eq!(done.code, 255, "{}", done.stderr);
        for told in ["here` became shorter while it was copied", "2 of 3 files and directories were not copied"] {
            assert!(done.stderr.contains(told), "{told}: {}", done.stderr);
        }
        let gone = done.stderr.lines().find(|line| line.contains("/gone`")).unwrap_or_default();
        assert!(gone.to_lowercase().contains("no such file or directory"), "{upward}: {}", done.stderr);
        assert_eq!(names(&target), ["last"], "{upward}");
    }
}

#[test]
fn files_go_along_with_a_session_that_was_resumed() {
    let folder = tempfile::tempdir().expect("a directory");
    let [here, there, result, back] =
        ["here", "there", "result", "back"].map(|name| folder.path().join(name).display().to_string());
    fs::write(&here, "text\n").expect("written");
    let world = Network::world();
    let (put, get) = (format!("{here}:{there}"), format!("{result}:{back}"));
    let line = format!("echo it stands; read word; tr a-z A-Z <{there} >{result}; exit 0");
    let login = world.login().args(["-t", "--put", &put, "--get", &get, "--shell-command", &line]);
    let mut terminal = Terminal::start(&login);
    let network = Network::of(&world);
    terminal.expect("it stands");
    // Those that came too early for the init are not among them, or ended by themselves.
    assert!(network.cut() >= 1, "{}", terminal.screen());
    terminal.send("go\r");
    assert_eq!(terminal.wait(), 0, "{}", terminal.screen());
    assert_eq!(fs::read_to_string(&back).expect("a file"), "TEXT\n");
    assert!(network.cut() >= 1, "it came back over another connection");
}

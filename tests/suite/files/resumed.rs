//! Copies that go on where an earlier one ended, and copies that are not what was sent.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt as _;

use e2e::{Network, World};

use super::{content, in_task, long_copy, names, wait_until_begun};

/// What the second copy has left to do, in bytes.
const REST: u64 = 1024 * 1024;

#[test]
fn a_copy_that_lost_its_connection_goes_on_where_it_ended() {
    for upward in [true, false] {
        let (world, folder) = (Network::world(), tempfile::tempdir().expect("a directory"));
        let (running, target) = long_copy(&world, folder.path(), &["--resume"], upward);
        let here = folder.path().join("here");
        let network = Network::of(&world);
        wait_until_begun(&target);
        network.down();
        let done = running.wait();
        assert_eq!(done.code, 255, "{}", done.stderr);
        for told in ["the copy is not complete", "hint: the same command goes on where this one ended"] {
            assert!(done.stderr.contains(told), "{upward}, {told}: {}", done.stderr);
        }
        assert_eq!(names(&target), [".here.part"], "{upward}");
        // What had arrived there is written until the task ends.
        world.wait_gone(&world.stopped_task().address.expect("an address"));
        // The whole file, as it turns out: all that came over, and a rest.
        let length = target.join(".here.part").metadata().expect("a part").len();
        File::options().write(true).open(&here).and_then(|file| file.set_len(length + REST)).expect("ours");
        let places = if upward {
            [here.clone().into_os_string(), in_task(&target)]
        } else {
            [in_task(&here), target.clone().into_os_string()]
        };
        let done = World::new().login().args(["cp", "--resume"]).args(places).run();
        assert_eq!(done.code, 0, "{upward}: {}", done.stderr);
        assert!(done.stderr.contains("1 file copied, 1.00 MiB"), "{upward}: {}", done.stderr);
        assert_eq!(names(&target), ["here"], "{upward}");
        assert!(fs::read(&here).expect("there") == fs::read(target.join("here")).expect("there"), "{upward}");
    }
}

#[test]
fn a_copy_of_another_digest_does_not_get_the_name() {
    let folder = tempfile::tempdir().expect("a directory");
    let [here, there, tools] = ["here", "there", "tools"].map(|name| folder.path().join(name));
    fs::write(&here, content(3_000_000)).expect("written");
    fs::create_dir(&tools).expect("made");
    let sum = tools.join("sha256sum");
    fs::write(&sum, "#!/bin/sh\ncat >/dev/null; printf '%064d  -\\n' 0\n").expect("written");
    fs::set_permissions(&sum, Permissions::from_mode(0o755)).expect("ours");
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").expect("text"));
    // An SSH server that does not tell digests itself is asked with that program.
    let world = World::with(|config| {
        let more = [("FARGATE_INIT_ENGINE".into(), "openssh".into()), ("PATH".into(), path)];
        config.images[0].env.extend(more);
    });
    for upward in [true, false] {
        let places = if upward {
            [here.clone().into_os_string(), in_task(&there)]
        } else {
            [in_task(&here), there.clone().into_os_string()]
        };
        let [_, _, user, name] = e2e::ancestor::flags();
        let done = world.login().args([user, name]).arg("cp").args(places).run();
        assert_eq!(done.code, 255, "{upward}: {}", done.stderr);
        assert!(done.stderr.contains("is another file than was sent: its SHA-256 is 0000"), "{}", done.stderr);
        assert_eq!(names(folder.path()), ["here", "tools"], "{upward}");
    }
}

//! Files into the task and out of it: whole, as they were, or not at all.

mod mishaps;
mod pipelined;
mod resumed;

use std::ffi::OsString;
use std::fs::{File, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use e2e::program::Running;
use e2e::world::PATIENCE;
use e2e::{Terminal, World};
use nix::sys::signal::Signal;

/// A path of the task's, which is a process of this machine.
pub(crate) fn in_task(path: &Path) -> OsString {
    let mut place = OsString::from("_:");
    place.push(path);
    place
}

/// Bytes without a pattern that a mistake could hide in.
pub(crate) fn content(length: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn names(directory: &Path) -> Vec<OsString> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut names: Vec<_> = entries.map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    names
}

#[test]
fn a_directory_goes_there_and_back() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
    let [here, there, back] = ["here", "there", "back"].map(|name| folder.path().join(name));
    std::fs::create_dir_all(here.join("sub/a b\n\u{fc}")).expect("made");
    let large = content(5_000_000);
    for (name, bytes, mode) in
        [("sub/a b\n\u{fc}/large", &large[..], 0o640), ("small", b"small", 0o755), ("sub/empty", b"", 0o600)]
    {
        let path = here.join(name);
        std::fs::write(&path, bytes).expect("written");
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).expect("ours");
        let times =
            std::fs::FileTimes::new().set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000));
        File::open(&path).and_then(|file| file.set_times(times)).expect("ours");
    }
    let done = world.login().args(["cp".into(), "-r".into(), here.clone().into_os_string(), in_task(&there)]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("3 files copied, 4.77 MiB"), "{}", done.stderr);
    assert!(done.stdout.is_empty());
    // The word may stand before the flags too.
    let program = world.program().args(["cp".into(), "-r".into(), in_task(&there), back.clone().into_os_string()]);
    let done = program.args(["-n", "test-cli", "-sn", "subnet-1", "-p", "2222", "-q"]).run();
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    for name in ["sub/a b\n\u{fc}/large", "small", "sub/empty"] {
        let [original, copy] = [&here, &back].map(|top| std::fs::metadata(top.join(name)).expect("a file"));
        assert_eq!((copy.mode(), copy.mtime()), (original.mode(), original.mtime()), "{name}");
        let [original, copy] = [&here, &back].map(|top| std::fs::read(top.join(name)).expect("a file"));
        assert!(original == copy, "{name}");
    }
    assert_eq!(names(&there), ["small", "sub"], "no parts are left");
    assert!(world.stand_in().tasks().iter().all(|task| task.stop_code.is_some()), "both tasks are stopped");
}

#[test]
fn streams_go_there_and_back() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
    let there = folder.path().join("stream");
    let bytes = content(3_000_000);
    let done = world.login().args(["cp".into(), "-".into(), in_task(&there)]).run_with(&bytes);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let done = world.login().args(["cp".into(), in_task(&there), "-".into()]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout == bytes, "{} bytes came back", done.stdout.len());
}

#[test]
fn files_go_along_with_a_command() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
    let [here, there, result, back] = ["here", "there", "result", "back"].map(|name| folder.path().join(name));
    std::fs::write(&here, "text\n").expect("written");
    let pair = |from: &Path, to: &Path| format!("{}:{}", from.display(), to.display());
    let (put, get) = (pair(&here, &there), pair(&result, &back));
    let line = format!("tr a-z A-Z <{} >{}", there.display(), result.display());
    let run = |more: &[&str], line: &str| {
        let _ = std::fs::remove_file(&back);
        let login = world.login().args(["--put", &put, "--get", &get]).args(more);
        login.args(["--shell-command", line]).run()
    };
    let done = run(&[], &line);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(std::fs::read_to_string(&back).expect("a file"), "TEXT\n");
    let failed = format!("{line}; exit 7");
    assert_eq!(run(&[], &failed).code, 7);
    assert!(!back.exists(), "only on success");
    assert_eq!(run(&["--get-when", "always"], &failed).code, 7, "the command's own status wins");
    assert!(back.exists());
    let gone = format!("rm {}", result.display());
    let done = run(&[], &gone);
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains("no such file or directory"), "{}", done.stderr);
}

#[test]
fn what_cannot_be_is_told_before_anything_is_launched() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
    let directory = folder.path().display().to_string();
    let nothing = folder.path().join("nothing").display().to_string();
    let table: [(&[&str], i32, &str); 8] = [
        (&["cp", "a", "b"], 2, "neither side is in the task"),
        (&["cp", "_:a", "_:b"], 2, "both sides are in the task"),
        (&["cp", "_:a"], 2, "a copy has a source and a destination"),
        (&["cp", "_:a", "b", "--shell-command", "id"], 2, "cp"),
        (&["--put", "here", "--", "true"], 2, "does not say from where to where"),
        (&["cp", &directory, "_:/tmp/x"], 255, "directories are copied with -r"),
        (&["cp", &nothing, "_:/tmp/x"], 255, "No such file or directory"),
        (&["cp", "_:/etc/hostname", &format!("{nothing}/x")], 255, "is no directory"),
    ];
    for (args, code, told) in table {
        let done = world.login().args(args).run();
        assert_eq!(done.code, code, "{args:?}: {}", done.stderr);
        assert!(done.stderr.contains(told) && done.stderr.contains("error:"), "{args:?}: {}", done.stderr);
    }
    assert!(!world.calls().contains(&"ecs:RunTask".to_owned()));
}

#[test]
fn what_fails_is_named_and_the_rest_arrives() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
    let [here, there] = ["here", "there"].map(|name| folder.path().join(name));
    std::fs::create_dir(&here).expect("made");
    std::fs::write(here.join("file"), "text").expect("written");
    std::os::unix::fs::symlink(".", here.join("loop")).expect("a link");
    std::os::unix::fs::symlink("nothing", here.join("gone")).expect("a link");
    let args = ["cp".into(), "-r".into(), here.clone().into_os_string(), in_task(&there)];
    let done = world.login().args(args).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    for told in [
        format!("`{}/loop` is a symbolic link to a directory that it lies in", here.display()),
        format!("cannot read `{}/gone`: No such file or directory", here.display()),
        "2 of 4 files and directories were not copied".to_owned(),
    ] {
        assert!(done.stderr.contains(&told), "{told}: {}", done.stderr);
    }
    assert_eq!(names(&there), ["file"]);
}

/// A copy of `here` into the directory `target` of `folder`, which it returns, that is under way for as long as it is let.
fn long_copy(world: &World, folder: &Path, flags: &[&str], upward: bool) -> (Running, PathBuf) {
    long_copy_of(world, folder, flags, &[], upward)
}

/// The same, with other sources behind it.
fn long_copy_of(world: &World, folder: &Path, flags: &[&str], others: &[PathBuf], upward: bool) -> (Running, PathBuf) {
    let (here, target) = (folder.join("here"), folder.join("target"));
    // Too much to be there before a signal; but for its beginning it takes no room on the disk.
    std::fs::write(&here, content(100_000)).expect("written");
    File::options().write(true).open(&here).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    std::fs::create_dir(&target).expect("made");
    let sources = std::iter::once(&here).chain(others);
    let mut places: Vec<OsString> = if upward {
        sources.map(|path| path.clone().into_os_string()).collect()
    } else {
        sources.map(|path| in_task(path)).collect()
    };
    places.push(if upward { in_task(&target) } else { target.clone().into_os_string() });
    (world.login().arg("cp").args(flags).args(places).start(), target)
}

/// Waits until something of a copy into this directory is there.
fn wait_until_begun(target: &Path) {
    let length = |name| std::fs::metadata(target.join(name)).map_or(0, |part| part.len());
    let began = std::time::Instant::now();
    while !names(target).into_iter().any(|name| length(name) > 0) {
        assert!(began.elapsed() < PATIENCE, "nothing is copied");
        std::thread::yield_now();
    }
}

#[test]
fn a_client_that_is_killed_leaves_no_file_under_its_final_name_and_no_task() {
    for upward in [true, false] {
        let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
        let (running, target) = long_copy(&world, folder.path(), &[], upward);
        wait_until_begun(&target);
        running.signal(Signal::SIGKILL);
        assert_eq!(running.wait().code, 137);
        let task = world.stopped_task();
        assert_eq!(task.stop_code.as_deref(), Some("EssentialContainerExited"), "{task:?}");
        assert!(!target.join("here").exists(), "{upward}");
    }
}

#[test]
fn a_copy_that_is_interrupted_takes_its_parts_and_its_task_along() {
    for upward in [true, false] {
        let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
        let (running, target) = long_copy(&world, folder.path(), &[], upward);
        let began = std::time::Instant::now();
        while names(&target).is_empty() {
            assert!(began.elapsed() < PATIENCE, "nothing is copied");
            std::thread::yield_now();
        }
        running.signal(Signal::SIGINT);
        assert_eq!(running.wait().code, 130);
        assert_eq!(names(&target), Vec::<OsString>::new(), "{upward}");
        assert_eq!(world.calls().last().map(String::as_str), Some("ecs:StopTask"));
    }
}

#[test]
fn a_terminal_shows_how_far_it_is() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
    let (here, target) = (folder.path().join("here"), folder.path().join("target"));
    File::create(&here).and_then(|file| file.set_len(1 << 40)).expect("a sparse file");
    std::fs::create_dir(&target).expect("made");
    let mut terminal = Terminal::start(&world.login().args(["cp".into(), here.into_os_string(), in_task(&target)]));
    terminal.expect("/1.00 TiB ");
    terminal.send("\u{3}");
    assert_eq!(terminal.wait(), 130, "{}", terminal.screen());
    assert_eq!(names(&target), Vec::<OsString>::new());
}

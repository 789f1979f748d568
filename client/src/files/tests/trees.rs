//! Directories, and what can be in them.

use super::*;

/// A tree with names that nobody expects. Answers how many files are in it.
fn plant(top: &Path) -> u64 {
    let names: [&[u8]; 7] =
        [b"plain", b"a b", b"line\nbreak", "\u{fc}\u{2603}".as_bytes(), b"not \xff UTF-8", b"-r", b".part"];
    let mut files = 0;
    for (depth, directory) in ["", "sub", "sub/c d", "sub/c d/\n"].into_iter().enumerate() {
        let directory = top.join(directory);
        std::fs::create_dir_all(&directory).expect("made");
        for (number, name) in names.iter().enumerate() {
            let length = [0, 1, 5000, 300_000][(depth + number) % 4];
            write(
                &directory.join(OsStr::from_bytes(name)),
                &random(length),
                0o640 + number as u32,
                1_000_000 + number as u64,
            );
            files += 1;
        }
    }
    std::fs::create_dir(top.join("empty")).expect("made");
    for (directory, mode) in [("sub/c d", 0o500), ("empty", 0o711), ("sub", 0o750), ("", 0o755)] {
        let directory = File::open(top.join(directory)).expect("there");
        directory.set_permissions(Permissions::from_mode(mode)).expect("ours");
        let changed = UNIX_EPOCH + Duration::from_secs(1_200_000_000 + u64::from(mode));
        directory.set_times(FileTimes::new().set_modified(changed)).expect("ours");
    }
    files
}

#[tokio::test]
async fn a_tree_arrives_with_names_modes_and_times() {
    let Some(sshd) = Sshd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let [here, there, back] = ["here", "there", "back"].map(|name| folder.path().join(name));
    let files = plant(&here);
    assert_eq!(put(&sshd, &here, &there).await.expect("put").files, files);
    assert_eq!(listing(&there), listing(&here));
    assert_eq!(get(&sshd, &there, &back).await.expect("got").files, files);
    assert_eq!(listing(&back), listing(&here));
}

#[tokio::test]
async fn what_is_there_is_copied_into_and_over() {
    let Some(sshd) = Sshd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let [here, there] = ["here", "there"].map(|name| folder.path().join(name));
    for directory in [&here, &there] {
        std::fs::create_dir(directory).expect("made");
    }
    write(&here.join("a"), b"new", 0o600, 1);
    write(&there.join("a"), b"old", 0o644, 1);
    put(&sshd, &here, &there).await.expect("put");
    assert_eq!(names(&there), ["a", "here"], "into a directory that is there");
    put(&sshd, &here.join("."), &there).await.expect("put");
    assert_eq!(std::fs::read(there.join("a")).expect("there"), b"new", "the contents of `.`, over what is there");
    std::fs::write(there.join("a"), "newer").expect("written");
    get(&sshd, &there.join("a"), &here).await.expect("got");
    assert_eq!(std::fs::read(here.join("a")).expect("there"), b"newer");
    get(&sshd, &there, &here.join("copy")).await.expect("got");
    assert_eq!(names(&here.join("copy")), ["a", "here"], "to a name that is not there");
}

#[tokio::test]
async fn what_cannot_be_copied_is_counted_and_the_rest_arrives() {
    let Some(sshd) = Sshd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let [here, there, back] = ["here", "there", "back"].map(|name| folder.path().join(name));
    std::fs::create_dir_all(here.join("sub")).expect("made");
    write(&here.join("file"), b"content", 0o644, 1);
    write(&here.join("sub/other"), b"content", 0o644, 1);
    std::os::unix::fs::symlink("sub/other", here.join("link")).expect("a link");
    // Two failures: a link up, a link to nothing. Passed over: a pipe.
    std::os::unix::fs::symlink("..", here.join("sub/loop")).expect("a link");
    std::os::unix::fs::symlink("nothing", here.join("dangling")).expect("a link");
    nix::unistd::mkfifo(&here.join("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    for (upward, target) in [(true, &there), (false, &back)] {
        let copied = if upward { put(&sshd, &here, target).await } else { get(&sshd, &here, target).await };
        // The top, six entries of it, two of `sub`.
        assert!(matches!(copied, Err(CopyError::Incomplete { failed: 2, all: 8 })), "{copied:?}");
        assert_eq!(names(target), ["file", "link", "sub"], "{upward}");
        assert_eq!(names(&target.join("sub")), ["other"], "{upward}");
        assert!(std::fs::symlink_metadata(target.join("link")).expect("there").is_file(), "links are followed");
    }
}

#[tokio::test]
async fn a_directory_needs_the_flag_and_a_missing_source_is_told() {
    let Some(sshd) = Sshd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let [here, there] = ["here", "there"].map(|name| folder.path().join(name));
    std::fs::create_dir(&here).expect("made");
    write(&here.join("file"), b"content", 0o644, 1);
    for words in [[here.clone().into_os_string(), in_task(&there)], [in_task(&here), there.clone().into_os_string()]] {
        let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
        let copied = run(&sshd, &CopyRequest { recursive: false, ..request(&words) }).await;
        assert!(matches!(copied, Err(CopyError::Incomplete { failed: 1, all: 1 })), "{copied:?}");
    }
    let (file, gone) = (here.join("file"), here.join("gone"));
    std::fs::create_dir(&there).expect("made");
    let copied = run(&sshd, &request(&[gone.as_os_str(), file.as_os_str(), &in_task(&there)])).await;
    assert!(matches!(copied, Err(CopyError::Incomplete { failed: 1, all: 2 })), "{copied:?}");
    let copied = run(&sshd, &request(&[&in_task(&gone), &in_task(&file), there.as_os_str()])).await;
    assert!(matches!(copied, Err(CopyError::Incomplete { failed: 1, all: 2 })), "{copied:?}");
    assert_eq!(names(&there), ["file"]);
    let copied = put(&sshd, &file, &folder.path().join("no such directory/file")).await;
    assert!(matches!(copied, Err(CopyError::Incomplete { failed: 1, all: 1 })), "{copied:?}");
}

#[tokio::test]
async fn many_small_files_arrive() {
    let Some(sshd) = Sshd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let [here, there, back] = ["here", "there", "back"].map(|name| folder.path().join(name));
    std::fs::create_dir(&here).expect("made");
    for number in 0..1000 {
        write(&here.join(number.to_string()), number.to_string().as_bytes(), 0o644, number);
    }
    assert_eq!(put(&sshd, &here, &there).await.expect("put").files, 1000);
    assert_eq!(get(&sshd, &there, &back).await.expect("got").files, 1000);
    assert_eq!(listing(&back), listing(&here));
}

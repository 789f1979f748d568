//! Files that are not whole: gone on with, taken away, never under their final name.

use std::process::Command;

use super::*;
use crate::files::part;

const LENGTH: usize = 5 * 1024 * 1024;

/// The part of `file` that a copy which can be resumed leaves.
fn part_of(file: &Path) -> PathBuf {
    let name = file.file_name().expect("a name").as_bytes();
    file.with_file_name(OsString::from_vec(part::resumable(name)))
}

async fn resumed(sshd: &Sshd, upward: bool, from: &Path, to: &Path) -> u64 {
    let words =
        if upward { [from.as_os_str().to_owned(), in_task(to)] } else { [in_task(from), to.as_os_str().to_owned()] };
    let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
    run(sshd, &CopyRequest { resume: true, ..request(&words) }).await.expect("copied").bytes
}

#[tokio::test]
async fn a_part_is_gone_on_with_if_it_is_how_the_file_begins() {
    let Some(sshd) = Sshd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let [here, there] = ["here", "there"].map(|name| folder.path().join(name));
    let content = random(LENGTH);
    write(&here, &content, 0o644, 1);
    let other = random(LENGTH / 2);
    let longer = [content.as_slice(), b"and more"].concat();
    for upward in [true, false] {
        for (part, moved) in [
            (&content[..LENGTH / 2], LENGTH - LENGTH / 2),
            (&content[..], 0),
            (&content[..10], LENGTH - 10),
            (&other[..], LENGTH),
            (&longer[..], LENGTH),
            (b"", LENGTH),
        ] {
            std::fs::write(part_of(&there), part).expect("written");
            assert_eq!(resumed(&sshd, upward, &here, &there).await, moved as u64, "{upward}, {}", part.len());
            assert!(std::fs::read(&there).expect("there") == content, "{upward}, {}", part.len());
            assert!(!part_of(&there).exists());
            std::fs::remove_file(&there).expect("there");
        }
    }
}

#[tokio::test]
async fn a_copy_that_is_stopped_leaves_a_part_only_to_be_gone_on_with() {
    let Some(sshd) = Sshd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().join("here");
    // Too much to be there before the stop; it takes no room on the disk.
    File::create(&here).and_then(|file| file.set_len(64 << 30)).expect("a sparse file");
    for (upward, resume) in [(true, false), (true, true), (false, false), (false, true)] {
        let target = folder.path().join("target");
        std::fs::create_dir(&target).expect("made");
        let there = target.join("there");
        let words = if upward {
            [here.clone().into_os_string(), in_task(&there)]
        } else {
            [in_task(&here), there.clone().into_os_string()]
        };
        let words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
        let request = CopyRequest { resume, ..request(&words) };
        let connection = sshd.connect().await;
        let (cancel, ui) = (CancellationToken::new(), Ui::new(true));
        let copied = copy(&connection, &request, &ui, &cancel);
        let stop = async {
            let has_begun = || {
                let length = |name: OsString| std::fs::metadata(target.join(name)).map_or(0, |part| part.len());
                names(&target).into_iter().any(|name| length(name) > 0)
            };
            while !has_begun() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            cancel.cancel();
        };
        let both = async { tokio::join!(copied, stop) };
        let (copied, ()) = tokio::time::timeout(PATIENCE, both).await.expect("an end");
        assert!(matches!(copied, Err(CopyError::Cancelled)), "{copied:?}");
        let expected: Vec<OsString> = if resume { vec![".there.part".into()] } else { Vec::new() };
        // Our own part goes with the thread that writes it.
        let gone = async {
            while names(&target) != expected {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(PATIENCE, gone)
            .await
            .unwrap_or_else(|_| panic!("{upward} {resume}: {:?}", names(&target)));
        std::fs::remove_dir_all(&target).expect("ours");
    }
}

/// A file system of 1 MiB, until it is dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(path: PathBuf) -> Self {
        std::fs::create_dir(&path).expect("made");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=1m", "small"]).arg(&path).status();
        assert!(mounted.expect("mount(8)").success(), "root may mount");
        Self(path)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_told_and_nothing_is_left_on_it() {
    let Some(sshd) = Sshd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let here = folder.path().join("here");
    std::fs::create_dir(&here).expect("made");
    write(&here.join("large"), &random(LENGTH), 0o644, 1);
    write(&here.join("small"), b"small", 0o644, 1);
    let disk = SmallDisk::at(folder.path().join("disk"));
    for upward in [true, false] {
        let copied = if upward { put(&sshd, &here, &disk.0).await } else { get(&sshd, &here, &disk.0).await };
        assert!(matches!(copied, Err(CopyError::Incomplete { failed: 1, all: 3 })), "{copied:?}");
        assert_eq!(names(&disk.0.join("here")), ["small"], "{upward}");
        std::fs::remove_dir_all(disk.0.join("here")).expect("ours");
    }
}

#[tokio::test]
async fn a_connection_that_is_lost_is_told_as_such() {
    let Some(sshd) = Sshd::new() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let [here, target] = ["here", "target"].map(|name| folder.path().join(name));
    File::create(&here).and_then(|file| file.set_len(64 << 30)).expect("a sparse file");
    std::fs::create_dir(&target).expect("made");
    let (near, far) = tokio::io::duplex(64 * 1024);
    let mut server = sshd.dial().await;
    let mut far = far;
    let relay = tokio::spawn(async move { tokio::io::copy_bidirectional(&mut far, &mut server).await });
    let connection = crate::ssh::connect(near, &sshd.settings()).await.expect("a login");
    let request = request(&[&in_task(&here), target.as_os_str()]);
    let (cancel, ui) = (CancellationToken::new(), Ui::new(true));
    let copied = copy(&connection, &request, &ui, &cancel);
    let cut = async {
        while names(&target).is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        relay.abort();
    };
    let both = async { tokio::join!(copied, cut) };
    let (copied, ()) = tokio::time::timeout(PATIENCE, both).await.expect("an end");
    assert!(matches!(copied, Err(CopyError::Lost { resume: false, .. })), "{copied:?}");
    assert!(!target.join("here").exists());
}

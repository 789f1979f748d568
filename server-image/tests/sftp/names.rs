//! Names that are no plain words.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use crate::container::{Container, text};
use crate::{copier, logged, path, remote, sftp};

/// Spaces, quotes, a line break, UTF-8, what is not UTF-8, the longest that there is.
fn odd_names() -> Vec<OsString> {
    let long = [b'n'; 255];
    [
        &b"two words"[..],
        b" it's \"quoted\" \\ ",
        b"line\nbreak",
        "é\u{1f600}".as_bytes(),
        b"\xff\xfe",
        b"-rf",
        b"*",
        &long,
    ]
    .into_iter()
    .map(|name| OsString::from_vec(name.to_vec()))
    .collect()
}

fn tree(directory: &Path) -> BTreeMap<OsString, Vec<u8>> {
    let entries = fs::read_dir(directory).expect("a directory").map(|entry| entry.expect("an entry"));
    entries.map(|entry| (entry.file_name(), fs::read(entry.path()).expect("a file"))).collect()
}

#[test]
fn every_byte_of_a_name_comes_back() {
    let mut container = Container::start(&[(fargate_contract::grant::CONNECTIONS, "many")]);
    let mut held = container.hold();
    let local = path(&container, "local");
    fs::create_dir(&local).expect("a directory");
    for (index, name) in odd_names().into_iter().enumerate() {
        fs::write(local.join(name), index.to_string()).expect("a file");
    }
    let mut went = copier("scp", &container);
    went.arg("-r").arg(&local).arg(remote(&container, &path(&container, "there")));
    let went = went.output().expect("scp");
    assert!(went.status.success(), "{}", text(&went.stderr));
    assert_eq!(tree(&path(&container, "there")), tree(&local));
    let mut came = copier("scp", &container);
    came.arg("-r").arg(remote(&container, &path(&container, "there"))).arg(path(&container, "back"));
    let came = came.output().expect("scp");
    assert!(came.status.success(), "{}", text(&came.stderr));
    assert_eq!(tree(&path(&container, "back")), tree(&local));
    drop(held.stdin.take());
    held.wait().expect("ssh");
    assert_eq!(container.ended(), 0);
    let there = path(&container, "there").display().to_string();
    let logged = logged(&container);
    for name in ["line\nbreak", "\u{fffd}\u{fffd}", "é\u{1f600}"] {
        let line = ["open_read".to_owned(), format!("{there}/{name}")];
        assert!(logged.iter().any(|logged| *logged == line), "{line:?} in {logged:#?}");
    }
}

#[test]
fn homes_are_expanded_and_links_are_followed() {
    let mut container = Container::start(&[]);
    symlink("home", path(&container, "alias")).expect("a link");
    container.write("home/file", b"x");
    let mut copied = copier("scp", &container);
    copied.arg(format!("root@{}:~/file", container.address)).arg(path(&container, "back"));
    let copied = copied.output().expect("scp");
    assert!(copied.status.success(), "{}", text(&copied.stderr));
    assert_eq!(fs::read(path(&container, "back")).expect("a file"), b"x");
    assert_eq!(container.ended(), 0);
}

#[test]
fn a_circle_of_links_is_an_error_and_no_end() {
    let mut container = Container::start(&[]);
    let home = path(&container, "home");
    symlink("circle", home.join("circle")).expect("a link");
    symlink(".", home.join("self")).expect("a link");
    let base = container.directory.path().display();
    let script = format!("-get circle {base}/back\n-get gone {base}/back\nls -l\ncd self/self/self\npwd\n");
    let output = sftp(&container, "root", &script);
    let (told, complained) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{complained}");
    assert!(told.contains(" circle\n") && told.contains(&format!("directory: {}\n", home.display())), "{told}");
    assert!(complained.contains("gone\" not found"), "{complained}");
    assert!(!path(&container, "back").exists());
    assert_eq!(container.ended(), 0);
}

//! A session of `sftp`: every command that works on files there.

use std::fs;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, PermissionsExt as _};

use crate::container::{Container, text};
use crate::{LARGE, logged, path, sftp, some_bytes};

#[test]
fn a_file_comes_back_as_it_went() {
    let mut container = Container::start(&[]);
    container.write("local", &some_bytes());
    fs::set_permissions(path(&container, "local"), fs::Permissions::from_mode(0o640)).expect("ours");
    fs::File::options()
        .write(true)
        .open(path(&container, "local"))
        .and_then(|file| file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_234_567_890)))
        .expect("a time");
    let home = path(&container, "home");
    // Sessions start at home, for want of a WORKDIR.
    let script = format!("put -p {0}/local there\nget -p there {0}/back\n", container.directory.path().display());
    let output = sftp(&container, "root", &script);
    assert!(output.status.success(), "{}", text(&output.stderr));
    for name in ["home/there", "back"] {
        let there = path(&container, name);
        assert!(fs::read(&there).expect("a file") == some_bytes(), "{name}");
        let meta = fs::metadata(there).expect("a file");
        assert_eq!((meta.mode() & 0o7777, meta.mtime()), (0o640, 1_234_567_890), "{name}");
    }
    assert_eq!(container.ended(), 0);
    let start = container.last("session_start");
    assert_eq!((&start["kind"], &start["terminal"]), (&"subsystem".into(), &false.into()));
    assert_eq!(container.last("session_end")["code"], 0);
    let there = home.join("there").display().to_string();
    assert_eq!(
        logged(&container),
        [
            vec!["open_create".to_owned(), there.clone()],
            vec!["setstat".to_owned(), there.clone()],
            vec!["close".to_owned(), there.clone(), LARGE.to_string()],
            vec!["open_read".to_owned(), there.clone()],
            vec!["close".to_owned(), there, LARGE.to_string()],
        ]
    );
}

#[test]
fn what_changes_directories_and_names() {
    let mut container = Container::start(&[]);
    container.write("local", b"text\n");
    let base = container.directory.path().display().to_string();
    let script = format!(
        "mkdir d\ncd d\npwd\nput {base}/local a\nrename a b\nln b hard\nln -s b soft\nln -s gone dangling\n\
         chmod 4711 b\ncp b copy\nput {base}/local taken\n-rename -l b taken\nrename copy taken\n\
         ls -la\nls -1\nrm dangling\nmkdir e\nrmdir e\n-rmdir /\ndf\n"
    );
    let output = sftp(&container, "root", &script);
    let told = text(&output.stdout);
    assert!(output.status.success(), "{told}{}", text(&output.stderr));
    let d = path(&container, "home/d");
    assert!(told.contains(&format!("Remote working directory: {}\n", d.display())), "{told}");
    let listed: Vec<&str> = told.lines().filter(|line| !line.starts_with("sftp> ")).collect();
    let line = |name: &str| *listed.iter().find(|line| line.ends_with(&format!(" {name}"))).expect(name);
    // The client makes these lines itself, of the attributes and the names of users.
    assert!(line("b").starts_with("-rws--x--x "), "{told}");
    assert!(line("soft").starts_with("lrwxrwxrwx "), "{told}");
    assert!([".", ".."].iter().all(|name| line(name).starts_with('d')), "{told}");
    assert!(told.contains("\nb\ndangling\nhard\nsoft\ntaken\n"), "{told}");
    assert!(told.contains("%Capacity"), "{told}");
    assert_eq!(fs::read(d.join("taken")).expect("a file"), b"text\n");
    assert_eq!(fs::read_link(d.join("soft")).expect("a link").as_os_str(), "b");
    assert_eq!(fs::metadata(d.join("hard")).expect("a file").nlink(), 2);
    assert_eq!(container.ended(), 0);
    // Names are below the directory; what follows them is as it is.
    let line = |operation: &str, names: &[&str], more: &[&str]| -> Vec<String> {
        let names = names.iter().map(|name| d.join(name).display().to_string());
        let more = more.iter().map(|word| (*word).to_owned());
        std::iter::once(operation.to_owned()).chain(names).chain(more).collect()
    };
    let logged = logged(&container);
    for line in [
        vec!["mkdir".to_owned(), d.display().to_string()],
        line("rename", &["a", "b"], &[]),
        line("link", &["b", "hard"], &[]),
        line("symlink", &["soft"], &["b"]),
        line("symlink", &["dangling"], &["gone"]),
        line("setstat", &["b"], &[]),
        line("rename", &["b", "taken"], &["File exists"]),
        line("rename", &["copy", "taken"], &[]),
        line("remove", &["dangling"], &[]),
        line("mkdir", &["e"], &[]),
        line("rmdir", &["e"], &[]),
    ] {
        assert!(logged.contains(&line), "{line:?} in {logged:#?}");
    }
    assert!(logged.iter().any(|line| line[..2] == ["rmdir", "/"] && line.len() == 3), "{logged:#?}");
}

#[test]
fn offsets_beyond_four_gigabytes() {
    const FAR: u64 = 5 << 30;
    let mut container = Container::start(&[]);
    for (name, tail) in [("local", true), ("there", false), ("back", false)] {
        let file = fs::File::create(path(&container, name)).expect("a file");
        file.set_len(FAR).expect("a sparse file");
        if tail {
            file.write_all_at(&some_bytes(), FAR).expect("room");
        }
    }
    let base = container.directory.path().display();
    let output =
        sftp(&container, "root", &format!("reput {base}/local {base}/there\nreget {base}/there {base}/back\n"));
    assert!(output.status.success(), "{}", text(&output.stderr));
    for name in ["there", "back"] {
        let file = fs::File::open(path(&container, name)).expect("a file");
        assert_eq!(file.metadata().expect("a file").len(), FAR + LARGE as u64, "{name}");
        let mut tail = vec![0; LARGE];
        file.read_exact_at(&mut tail, FAR).expect("its tail");
        assert!(tail == some_bytes(), "{name}");
    }
    assert_eq!(container.ended(), 0);
}

#[test]
fn a_large_directory_is_listed_whole() {
    let mut container = Container::start(&[]);
    let many = path(&container, "many");
    fs::create_dir(&many).expect("a directory");
    let names: Vec<String> = (0..1500).map(|index| format!("{index:0>200}")).collect();
    names.iter().for_each(|name| drop(fs::File::create(many.join(name)).expect("a file")));
    let output = sftp(&container, "root", &format!("cd {}\nls -1\n", many.display()));
    let told = text(&output.stdout);
    let listed: Vec<&str> = told.lines().filter(|line| !line.starts_with("sftp>")).collect();
    assert_eq!(listed, names);
    assert_eq!(container.ended(), 0);
}

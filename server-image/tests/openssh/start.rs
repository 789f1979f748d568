//! How the init is started: the words behind it, wrappers before it, the directory it starts in.

use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use fargate_contract::grant;

use crate::container::{Container, text};

const INIT: &str = env!("CARGO_BIN_EXE_fargate-init");

#[test]
fn the_words_of_an_images_command_are_passed_over() {
    for words in
        [&["gunicorn", "app:app"][..], &["serve"], &["session", "x"], &["--", "x"], &["init", "x"], &["-c", "secret"]]
    {
        let mut container = Container::start_by(&[&[INIT], words].concat(), &[]);
        assert_eq!(container.run("exit 5").status.code(), Some(5));
        assert_eq!(container.ended(), 5);
        assert_eq!(container.last("words_ignored")["count"], words.len());
        assert!(!container.events.iter().any(|event| event.to_string().contains("secret")));
    }
    let mut container = Container::start_by(&[INIT, "init"], &[]);
    container.run("true");
    assert_eq!(container.ended(), 0);
    assert!(!container.events.iter().any(|event| event["event"] == "words_ignored"));
}

#[test]
fn a_wrapper_that_becomes_the_init() {
    let wrapper = "export WRAPPED=yes; exec \"$@\"";
    let mut container = Container::start_by(&["/bin/sh", "-c", wrapper, "wrapper", INIT, "init"], &[]);
    let shown = text(&container.run("env").stdout);
    assert!(shown.contains("WRAPPED=yes\n"), "{shown}");
    assert!(grant::VARIABLES.iter().all(|name| !shown.contains(&format!("{name}="))), "{shown}");
    assert_eq!(container.ended(), 0);
}

#[test]
fn a_wrapper_that_stays() {
    let wrapper = "export WRAPPED=yes; \"$@\"; code=$?; echo '{\"event\":\"wrapper\"}'; exit $code";
    let more = [(grant::CONNECTIONS, "many")];
    let mut container = Container::start_by(&["/bin/sh", "-c", wrapper, "wrapper", INIT, "init"], &more);
    let mut held = container.hold();
    let shown = text(&container.run("env").stdout);
    assert!(shown.contains("WRAPPED=yes\n"), "{shown}");
    assert!(grant::VARIABLES.iter().all(|name| !shown.contains(&format!("{name}="))), "{shown}");
    // Not PID 1, but the orphan comes to the init all the same, and is reaped.
    let orphan = text(&container.run("sleep 0.05 >/dev/null 2>&1 & echo $!").stdout);
    let waited = container.run(&format!("while kill -0 {} 2>/dev/null; do :; done; echo reaped", orphan.trim()));
    assert_eq!(text(&waited.stdout), "reaped\n");
    let daemon = container.run("setsid sh -c 'trap \"\" HUP TERM; exec sleep 1000' >/dev/null 2>&1 & echo $!");
    let daemon = text(&daemon.stdout).trim().parse().expect("a process id");
    drop(held.stdin.take());
    assert!(held.wait().expect("ssh").success());
    assert_eq!(container.ended(), 0);
    assert_eq!(container.events.last().expect("an event")["event"], "wrapper", "it goes on when the init has ended");
    let gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), None);
    assert_eq!(gone, Err(nix::errno::Errno::ESRCH), "the init left nothing to it");
}

#[test]
fn sessions_start_where_the_image_starts() {
    let directory = tempfile::tempdir().expect("a directory");
    let image = directory.path().display().to_string();
    let in_it = format!("cd '{image}' && exec \"$@\"");
    let mut container = Container::start_by(&["/bin/sh", "-c", &in_it, "wrapper", INIT], &[]);
    assert_eq!(text(&container.run("pwd").stdout), format!("{image}\n"));
    assert_eq!(container.ended(), 0);
    let mut container = Container::start(&[]);
    let home = container.directory.path().join("home");
    assert_eq!(text(&container.run("pwd").stdout), format!("{}\n", home.display()), "no WORKDIR: at home");
    assert_eq!(container.ended(), 0);
}

fn install(directory: &str) -> (Option<i32>, serde_json::Value) {
    let output = Command::new(INIT).args(["install", directory]).output().expect("the executable");
    (output.status.code(), serde_json::from_slice(&output.stdout).expect("one line of JSON"))
}

#[test]
fn it_installs_itself() {
    let directory = tempfile::tempdir().expect("a directory");
    // Twice, as when a volume outlives a carrier.
    for _ in 0..2 {
        let (code, told) = install(directory.path().to_str().expect("text"));
        let path = directory.path().join("fargate-init");
        assert_eq!((code, &told["event"]), (Some(0), &"installed".into()));
        assert_eq!(told["path"], path.to_str().expect("text"));
        assert_eq!(std::fs::metadata(&path).expect("a file").permissions().mode() & 0o7777, 0o555);
        assert!(std::fs::read(&path).expect("a file") == std::fs::read(INIT).expect("a file"));
        assert_eq!(told["bytes"], std::fs::metadata(INIT).expect("a file").len());
    }
    assert_eq!(std::fs::read_dir(directory.path()).expect("a directory").count(), 1, "no temporary file is left");
}

#[test]
fn it_says_why_it_cannot_be_installed() {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("file"), "").expect("a file");
    let missing = directory.path().join("missing").display().to_string();
    let file = directory.path().join("file").display().to_string();
    // Nobody may write to /proc, not even root.
    for (place, why) in [(missing, "No such file"), (file, "not a directory"), ("/proc".to_owned(), "")] {
        let (code, told) = install(&place);
        let error = told["error"].as_str().expect("text");
        assert_eq!((code, &told["event"]), (Some(1), &"failed".into()));
        assert!(error.contains(&place) && error.contains(why), "{error}");
    }
}

//! What an init owes its processes: each is reaped, none is left.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Command, Stdio};

use fargate_contract::grant;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::container::{Container, PORT, some_address, text};

fn number(bytes: &[u8]) -> i32 {
    text(bytes).trim().parse().expect("a process id")
}

#[test]
fn orphans_are_reaped() {
    let container = Container::start(&[(grant::CONNECTIONS, "many")]);
    let mut held = container.hold();
    let orphan = number(&container.run("sleep 0.05 >/dev/null 2>&1 & echo $!").stdout);
    // A zombie still takes signals: this ends when the orphan is reaped, and only then.
    let waited = container.run(&format!("while kill -0 {orphan} 2>/dev/null; do :; done; echo reaped"));
    assert_eq!(text(&waited.stdout), "reaped\n");
    drop(held.stdin.take());
    assert!(held.wait().expect("ssh").success());
}

#[test]
fn nothing_is_left() {
    let mut container = Container::start(&[]);
    let output = container.run("setsid sh -c 'trap \"\" HUP TERM; sleep 1000' >/dev/null 2>&1 & echo $!");
    let daemon = Pid::from_raw(number(&output.stdout));
    assert_eq!(container.ended(), 0);
    assert_eq!(kill(daemon, None), Err(Errno::ESRCH));
}

#[test]
fn serve_dies_and_init_follows() {
    let mut container = Container::start(&[]);
    let serve = i32::try_from(container.serve_pid()).expect("a process id");
    kill(Pid::from_raw(serve), Signal::SIGKILL).expect("serve");
    assert_eq!(container.ended(), 128 + 9);
}

#[test]
fn signals_that_mean_nothing_end_nothing() {
    let mut container = Container::start(&[]);
    for signal in [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGWINCH, Signal::SIGALRM] {
        container.signal(signal);
    }
    assert_eq!(container.run("exit 8").status.code(), Some(8));
    assert_eq!(container.ended(), 8);
}

#[test]
fn who_started_it_is_gone() {
    let home = tempfile::tempdir().expect("a directory");
    let mut parent = Command::new("/bin/sh")
        .args(["-c", "\"$0\" & echo $!; read x", env!("CARGO_BIN_EXE_fargate-init")])
        .env_clear()
        .env("HOME", home.path())
        .env(grant::AUTHORIZED_PUBLIC_KEY, crate::container::seed().public_key().to_openssh().expect("a key"))
        .env(grant::LISTEN, some_address().to_string())
        .env(grant::PORT, PORT.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let mut log = BufReader::new(parent.stdout.take().expect("stdout"));
    let (mut line, mut init) = (String::new(), None);
    while !line.contains("\"listen\"") {
        line.clear();
        assert_ne!(log.read_line(&mut line).expect("text"), 0);
        init = init.or(line.trim().parse::<i32>().ok());
    }
    parent.kill().expect("a shell");
    parent.wait().expect("an end");
    // Ends when the last process that holds this pipe has ended.
    let mut rest = String::new();
    log.read_to_string(&mut rest).expect("text");
    assert!(rest.contains("told to stop by a signal"), "{rest}");
    assert!(init.is_some());
}

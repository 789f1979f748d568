//! Who gets in.

use std::io::Read as _;
use std::net::TcpStream;
use std::process::Stdio;

use fargate_contract::grant;

use crate::container::{Container, PORT, make_key, text};
use crate::start;

/// OpenSSH's exit code for its own failures.
const FAILED: Option<i32> = Some(255);

#[test]
fn the_key_is_burnt_after_one_login() {
    let Some(mut container) = start(&[]) else { return };
    let mut first = container.hold();
    let second = container.run("true");
    assert_eq!(second.status.code(), FAILED, "{}", text(&second.stderr));
    drop(first.stdin.take());
    assert_eq!(first.wait().expect("an end").code(), Some(0), "the first goes on");
    assert_eq!(container.ended(), 0);
}

#[test]
fn of_many_at_once_one_gets_in() {
    let Some(mut container) = start(&[]) else { return };
    let all: Vec<_> = (0..6).map(|_| container.ssh(&[], &["echo in; cat"]).stdin(Stdio::piped()).spawn()).collect();
    container.until("session_start");
    let outputs: Vec<_> = all.into_iter().map(|ssh| ssh.expect("ssh").wait_with_output().expect("an end")).collect();
    let inside = outputs.iter().filter(|output| output.stdout == b"in\n").count();
    assert_eq!(inside, 1);
    assert_eq!(container.ended(), 0);
    let count = |kind: &str| container.events.iter().filter(|event| event["event"] == kind).count();
    assert_eq!((count("auth_ok"), count("session_start")), (1, 1));
}

#[test]
fn many_logins_where_granted() {
    let Some(mut container) = start(&[(grant::CONNECTIONS, "many")]) else { return };
    let mut first = container.hold();
    assert_eq!(container.run("exit 4").status.code(), Some(4));
    assert_eq!(container.run("exit 5").status.code(), Some(5));
    drop(first.stdin.take());
    assert_eq!(first.wait().expect("an end").code(), Some(0));
    assert_eq!(container.ended(), 0);
}

#[test]
fn other_keys_and_unknown_users_are_refused() {
    let Some(mut container) = start(&[]) else { return };
    make_key(&container.directory, "other");
    let refused = container.ssh_as("root", "other", &[], &["true"]).output().expect("ssh");
    assert_eq!(refused.status.code(), FAILED);
    let event = container.until("auth_refused");
    assert_eq!(event["reason"], "not the authorized key");
    assert!(event["fingerprint"].as_str().expect("text").starts_with("SHA256:"));
    let refused = container.ssh_as("nobody-here", "key", &[], &["true"]).output().expect("ssh");
    assert_eq!(refused.status.code(), FAILED);
    let event = container.until("auth_refused");
    assert_eq!((&event["reason"], &event["user"]), (&"unknown user".into(), &"nobody-here".into()));
    assert_eq!(container.run("exit 9").status.code(), Some(9), "none of that burnt the key");
    assert_eq!(container.ended(), 9);
}

#[test]
fn passwords_are_not_asked_for() {
    let Some(container) = start(&[]) else { return };
    let refused = container.ssh(&["-o", "LogLevel=DEBUG1", "-o", "PubkeyAuthentication=no"], &["true"]).output();
    let told = text(&refused.expect("ssh").stderr);
    assert!(told.contains("Authentications that can continue: publickey\r\n"), "{told}");
}

#[test]
fn scanners_have_ten_places_and_give_way() {
    let Some(mut container) = start(&[]) else { return };
    let address = container.address;
    let banner = || {
        let mut stream = TcpStream::connect((address, PORT)).expect("a connection");
        let mut first = [0; 4];
        stream.read_exact(&mut first).map(|()| (stream, first))
    };
    let mut held: Vec<_> = (0..10).map(|_| banner().expect("an identification string")).collect();
    assert!(held.iter().all(|(_, first)| first == b"SSH-"));
    held.push(banner().expect("the eleventh has the place of the first"));
    let (mut first, mut rest) = (held.remove(0).0, Vec::new());
    first.read_to_end(&mut rest).expect("an end");
    let reason = "too many have not authenticated yet: it waited longest";
    assert_eq!(container.until("dropped")["reason"], reason);
    assert_eq!(container.run("exit 6").status.code(), Some(6));
    assert_eq!(container.ended(), 6, "those who wait hold nothing");
    drop(held);
}

#[test]
fn another_user_of_the_image() {
    if !nix::unistd::getuid().is_root() {
        return;
    }
    let Some(mut container) = start(&[("SEEN", "yes")]) else { return };
    // Debian's daemon has a shell that refuses, also to run the attendant.
    let output = container.ssh_as("daemon", "key", &[], &["id -un"]).output().expect("ssh");
    assert_eq!(output.status.code(), Some(1), "its shell refuses: {}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(container.until("auth_ok")["user"], "daemon");
    assert_eq!(container.ended(), 0, "no session came to be");
}

#[test]
fn an_engine_that_is_none_is_refused() {
    let mut container = Container::spawn(&[(fargate_init::engine::VARIABLE, "dropbear")]);
    assert_eq!(container.ended(), 2);
    let told = container.last("refused")["error"].as_str().expect("text").to_owned();
    assert!(told.contains("FARGATE_INIT_ENGINE is \"dropbear\""), "{told}");
    assert_eq!(container.events.len(), 1);
}

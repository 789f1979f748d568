//! Who gets in.

use std::io::Read as _;
use std::net::TcpStream;

use fargate_contract::grant;

use crate::container::{Container, PORT, make_key, text};

/// OpenSSH's exit code for its own failures.
const FAILED: Option<i32> = Some(255);

#[test]
fn the_key_is_burnt_after_one_login() {
    let mut container = Container::start(&[]);
    let mut first = container.hold();
    let second = container.run("true");
    assert_eq!(second.status.code(), FAILED, "{}", text(&second.stderr));
    drop(first.stdin.take());
    assert_eq!(first.wait().expect("an end").code(), Some(0), "the first goes on");
    assert_eq!(container.ended(), 0);
}

#[test]
fn many_logins_where_granted() {
    let mut container = Container::start(&[(grant::CONNECTIONS, "many")]);
    let mut first = container.hold();
    assert_eq!(container.run("exit 4").status.code(), Some(4));
    assert_eq!(container.run("exit 5").status.code(), Some(5));
    drop(first.stdin.take());
    assert_eq!(first.wait().expect("an end").code(), Some(0));
    assert_eq!(container.ended(), 0);
}

#[test]
fn other_keys_and_unknown_users_are_refused() {
    let mut container = Container::start(&[]);
    make_key(&container.directory, "other");
    let refused = container.ssh_as("root", "other", &[], &["true"]).output().expect("ssh");
    assert_eq!(refused.status.code(), FAILED);
    assert_eq!(container.until("auth_refused")["reason"], "not the authorized key");
    let refused = container.ssh_as("nobody-here", "key", &[], &["true"]).output().expect("ssh");
    assert_eq!(refused.status.code(), FAILED);
    let event = container.until("auth_refused");
    assert_eq!((&event["reason"], &event["user"]), (&"unknown user".into(), &"nobody-here".into()));
    assert_eq!(container.run("exit 9").status.code(), Some(9), "none of that burnt the key");
    assert_eq!(container.ended(), 9);
}

#[test]
fn another_user_of_the_image() {
    if !nix::unistd::getuid().is_root() {
        return;
    }
    let mut container = Container::start(&[]);
    let output = container.ssh_as("daemon", "key", &[], &["id -un; true"]).output().expect("ssh");
    // Debian's daemon has a shell that refuses; that it ran shows that the user was taken.
    assert_eq!(container.until("session_start")["user"], "daemon");
    assert_eq!(output.status.code(), Some(1), "{}{}", text(&output.stdout), text(&output.stderr));
    assert_eq!(container.ended(), 1);
}

#[test]
fn without_a_key_nothing_starts() {
    for (key, error) in [("", "not a public key"), ("ssh-ed25519 AAAA", "not a public key")] {
        let mut container = Container::spawn(&[(grant::AUTHORIZED_PUBLIC_KEY, key)]);
        assert_eq!(container.ended(), 2);
        let refused = container.last("refused")["error"].as_str().expect("text").to_owned();
        assert!(refused.contains(error) && refused.contains(grant::AUTHORIZED_PUBLIC_KEY), "{refused}");
        assert_eq!(container.events.len(), 1);
    }
}

#[test]
fn scanners_have_ten_places_and_give_way() {
    let mut container = Container::start(&[]);
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

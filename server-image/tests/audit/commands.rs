//! What the log tells of logins and commands.

use std::io::Write as _;
use std::process::Stdio;

use fargate_contract::grant;
use fargate_init::audit::COMMANDS_VARIABLE;
use fargate_init::engine;

use crate::container::{Container, text};
use crate::{CALLER, all};

/// Bytes of a command that are told.
const TOLD: usize = 8192;

#[test]
fn lines_about_a_login_say_who_what_and_how_much() {
    let mut container = Container::start(&[(grant::CALLER, CALLER), (grant::RUN, "r-1")]);
    let mut ssh = container.ssh(&[], &["wc -c; echo 'gr\u{fc}\u{df}e'; echo e >&2; exit 3"]);
    let mut ssh = ssh.stdin(Stdio::piped()).spawn().expect("ssh");
    ssh.stdin.take().expect("stdin").write_all(&[b'x'; 1000]).expect("a reader");
    let output = ssh.wait_with_output().expect("an end");
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(3), "1000\ngrüße\n"));
    assert_eq!(container.ended(), 3);
    let (login, start, end) =
        (container.last("auth_ok"), container.last("session_start"), container.last("session_end"));
    assert_eq!((&login["caller"], &start["caller"]), (&CALLER.into(), &CALLER.into()));
    assert_eq!((&login["peer"], &start["peer"]), (&container.last("accept")["peer"], &login["peer"]));
    let command = "wc -c; echo 'grüße'; echo e >&2; exit 3";
    assert_eq!((&start["kind"], &start["command"]), (&"exec".into(), &command.into()));
    assert_eq!(start["command_bytes"], command.len());
    assert_eq!((&end["received"], &end["sent"]), (&1000.into(), &("1000\ngrüße\ne\n".len()).into()));
    let disconnect = container.last("disconnect");
    assert_eq!((&disconnect["peer"], &disconnect["reason"]), (&login["peer"], &"the client left".into()));
    assert!(disconnect["duration_ms"].as_u64() >= end["duration_ms"].as_u64(), "{disconnect} {end}");
    assert!(container.events.iter().skip(1).all(|event| event["run"] == "r-1"));
}

#[test]
fn a_caller_that_did_not_say_who_it_is_is_not_made_up() {
    let mut container = Container::start(&[]);
    container.run("true");
    assert_eq!(container.ended(), 0);
    for kind in ["auth_ok", "session_start"] {
        assert_eq!(container.last(kind).get("caller"), None);
    }
}

#[test]
fn commands_are_told_in_a_line_of_bounded_length() {
    let mut container = Container::start(&[(grant::CONNECTIONS, "many")]);
    let mut held = container.hold();
    let long = format!("true {}", "x".repeat(2 * TOLD));
    assert_eq!(container.run(&long).status.code(), Some(0));
    drop(held.stdin.take());
    held.wait().expect("an end");
    assert_eq!(container.ended(), 0);
    let start = all(&container, "session_start")[1];
    assert_eq!((start["command"].as_str(), &start["command_bytes"]), (Some(&long[..TOLD]), &long.len().into()));
}

#[test]
fn the_text_of_commands_can_be_left_out() {
    let mut container = Container::start(&[(COMMANDS_VARIABLE, "off")]);
    assert_eq!(container.run(": password").status.code(), Some(0));
    assert_eq!(container.ended(), 0);
    let start = container.last("session_start");
    assert_eq!((start.get("command"), &start["command_bytes"]), (None, &(": password".len()).into()));
    assert!(!container.events.iter().any(|event| event.to_string().contains("password")));
}

#[test]
fn openssh_s_sessions_tell_the_same() {
    if !std::path::Path::new("/usr/sbin/sshd").exists() {
        assert!(std::env::var_os("CI").is_none(), "/usr/sbin/sshd is missing: install openssh-server");
        return;
    }
    let long = format!("echo said; : {}", "\u{1}x".repeat(TOLD));
    for (words, command) in [(&[][..], Some(&long[..TOLD])), (&[(COMMANDS_VARIABLE, "off")], None)] {
        let engine = [(engine::VARIABLE, "openssh"), (grant::CALLER, CALLER)];
        let mut container = Container::start(&[&engine, words].concat());
        assert_eq!(text(&container.run(&long).stdout), "said\n");
        assert_eq!(container.ended(), 0);
        let start = container.last("session_start");
        assert_eq!((start["command"].as_str(), &start["command_bytes"]), (command, &long.len().into()));
        assert_eq!((&start["caller"], &start["peer"]), (&CALLER.into(), &container.last("accept")["peer"]));
        assert_eq!(container.last("auth_ok")["caller"], CALLER);
        let end = container.last("session_end");
        assert_eq!((end.get("received"), end.get("sent")), (None, None), "sshd alone sees the bytes");
        assert_eq!(container.last("disconnect")["reason"], "sshd ended");
    }
}

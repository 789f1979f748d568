//! What sessions see of the container's environment, and what nobody sees.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::Path;

use fargate_contract::grant;

use crate::container::{Container, seed, text};
use crate::start;

#[test]
fn values_arrive_exactly_and_the_grant_does_not() {
    let odd = "it's\n\"two\" lines $HOME `x` \\ \u{e9}\u{1f600}";
    let Some(mut container) = start(&[("ODD", odd), ("EMPTY", ""), ("PATH", "/usr/bin:/bin:/odd dir")]) else { return };
    let ssh = container.ssh(&["-o", "SetEnv=LC_TEST=sent _HIDDEN=no"], &["env -0"]).output().expect("ssh");
    let shown = text(&ssh.stdout);
    let variables: Vec<&str> = shown.split('\0').collect();
    for wanted in [format!("ODD={odd}").as_str(), "EMPTY=", "LC_TEST=sent"] {
        assert!(variables.contains(&wanted), "{wanted} in {variables:?}");
    }
    let value = |name: &str| variables.iter().find_map(|variable| variable.strip_prefix(name)?.strip_prefix('='));
    // A start-up file of the machine's shell may put something before it.
    assert!(value("PATH").expect("a path").ends_with("/usr/bin:/bin:/odd dir"), "{variables:?}");
    assert!(value("SSH_CONNECTION").expect("addresses").starts_with("127.0.0.1 "));
    assert!(["HOME", "USER", "LOGNAME", "SHELL"].iter().all(|name| value(name).is_some()), "{variables:?}");
    for name in grant::VARIABLES.into_iter().chain(["_HIDDEN", "SSH_ORIGINAL_COMMAND"]) {
        assert_eq!(value(name), None, "{name}");
    }
    assert_eq!(container.ended(), 0);
}

#[test]
fn every_byte_arrives() {
    if !crate::has_sshd() {
        return;
    }
    let every: Vec<u8> = (1..=255).collect();
    let more =
        [(fargate_init::engine::VARIABLE.into(), "openssh".into()), ("ODD".into(), OsString::from_vec(every.clone()))];
    let container = Container::start_with(&more);
    assert_eq!(container.run("printf %s \"$ODD\"").stdout, every);
}

#[test]
fn sessions_start_where_the_image_starts() {
    if !crate::has_sshd() {
        return;
    }
    let directory = tempfile::tempdir().expect("a directory");
    let image = directory.path().display().to_string();
    let in_it = format!("cd '{image}' && exec \"$@\"");
    let words = ["/bin/sh", "-c", &in_it, "wrapper", env!("CARGO_BIN_EXE_fargate-init"), "gunicorn"];
    let mut container = Container::start_by(&words, &[(fargate_init::engine::VARIABLE, "openssh")]);
    assert_eq!(text(&container.run("pwd").stdout), format!("{image}\n"));
    assert_eq!(container.ended(), 0);
}

#[test]
fn the_host_keys_private_half_is_nowhere() {
    let Some(mut container) = start(&[(grant::CONNECTIONS, "many")]) else { return };
    let mut held = container.hold();
    let output = container.run("ulimit -c; cat /proc/$PPID/environ; tr '\\0' '\\n' </proc/$PPID/cmdline; env");
    let told = text(&output.stdout);
    let secret = seed().encode();
    container.until("session_end");
    assert!(!told.contains(secret.as_str()), "{told}");
    assert!(!container.events.iter().any(|event| event.to_string().contains(secret.as_str())));
    let directory = public_directory(&container);
    let names: Vec<_> =
        std::fs::read_dir(&directory).expect("a directory").map(|entry| entry.expect("one").file_name()).collect();
    for name in &names {
        if let Ok(content) = std::fs::read(directory.join(name)) {
            let content = text(&content);
            assert!(content.starts_with("ssh-ed25519 ") && content.lines().count() == 1, "{name:?}: {content}");
        }
    }
    assert_eq!(names.len(), 4, "two public keys and two sockets: {names:?}");
    drop(held.stdin.take());
    held.wait().expect("ssh");
    assert_eq!(container.ended(), 0);
    assert!(!directory.exists(), "it goes with the container");
}

/// Where the engine's public files lie, as sshd's log says.
pub(crate) fn public_directory(container: &Container) -> std::path::PathBuf {
    let mut messages = container.events.iter().filter_map(|event| event["message"].as_str());
    let line = messages.find(|message| message.starts_with("Accepted key ")).expect("such a line");
    let path = line.split(" found at ").nth(1).expect("a path");
    Path::new(path).parent().expect("a directory").to_owned()
}

//! A user who keeps to no rule, played by `packets.py`. Python is `FARGATE_LOGIN_PYTHON`, or `python3`; without paramiko these
//! tests pass with a remark, except in CI.

use std::io::Write as _;
use std::process::{Command, Stdio};

use fargate_contract::grant;
use serde_json::{Value, json};

use crate::container::{Container, PORT, text};
use crate::{LINES, assert_serves, assert_small};

/// Open failures (RFC 4250, section 4.3).
const PROHIBITED: u32 = 1;
const CONNECT_FAILED: u32 = 2;
const SHORTAGE: u32 = 4;
/// Against hanging, in milliseconds: Python encrypts slowly.
const AT_MOST: &str = "300000";
/// Number of SSH_MSG_REQUEST_FAILURE.
const REQUEST_FAILURE: u32 = 82;

/// What came of a trick, on a container that afterwards served its user, small as ever.
fn played(trick: &str, forwarding: &[(&str, &str)]) -> Option<Value> {
    let python = std::env::var_os("FARGATE_LOGIN_PYTHON").unwrap_or_else(|| "python3".into());
    let found = Command::new(&python).args(["-c", "import paramiko"]).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "{} has no paramiko", python.display());
        let _ = writeln!(std::io::stderr(), "left out: {} has no paramiko", python.display());
        return None;
    }
    let more = [(grant::CONNECTIONS, "many"), (grant::MAX_LIFETIME, AT_MOST)];
    let mut container = Container::start(&[&more, forwarding].concat());
    let mut held = container.hold();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/abuse/packets.py");
    let key = container.directory.path().join("key");
    let told = Command::new(python)
        .args([script, &container.address.to_string(), &PORT.to_string()])
        .arg(key)
        .arg(trick)
        .stdin(Stdio::null())
        .output()
        .expect("python");
    assert!(told.status.success(), "{}", text(&told.stderr));
    assert_serves(&container, &[]);
    assert_small(&container);
    drop(held.stdin.take());
    assert_eq!(held.wait().expect("ssh").code(), Some(0), "another's session goes on");
    assert_eq!(container.ended(), 0);
    assert!(container.events.len() <= LINES, "{} lines", container.events.len());
    Some(serde_json::from_slice(&told.stdout).expect("JSON"))
}

fn assert_told(trick: &str, expected: &Value) {
    assert_told_where(trick, &[], expected);
}

fn assert_told_where(trick: &str, forwarding: &[(&str, &str)], expected: &Value) {
    if let Some(told) = played(trick, forwarding) {
        assert_eq!(told, *expected);
    }
}

#[test]
fn window_tricks_end_their_channel_at_most() {
    assert_told("windows", &json!({"lives": true}));
}

#[test]
fn channels_without_room_stall_no_other() {
    // Who takes packets of no bytes at all loses the connection; the others keep theirs.
    let expected = json!({"0 32768": true, "1 1": true, "4294967295 4294967295": true, "0 0": "cut"});
    assert_told("narrow", &expected);
}

#[test]
fn channels_are_few_and_come_back() {
    let each = json!({"opened": 64, "reasons": [SHORTAGE]});
    assert_told("channels", &json!({"first": each, "again": each, "lives": true}));
}

#[test]
fn request_floods_are_bounded() {
    assert_told("requests", &json!({"variables": 128, "terminals": 1, "programs": 1, "lives": true}));
}

#[test]
fn forwards_to_nowhere_are_refused_and_stay_few_in_the_log() {
    let expected = json!({"reasons": [CONNECT_FAILED], "answers": [REQUEST_FAILURE], "lives": true});
    assert_told("forwards", &expected);
}

#[test]
fn what_is_not_granted_is_refused_in_the_rfcs_words() {
    let expected = json!({
        "direct-tcpip": PROHIBITED,
        "direct-streamlocal": PROHIBITED,
        "forwarded-tcpip": PROHIBITED,
        "x11": PROHIBITED,
        "auth-agent": PROHIBITED,
        // The RFC would have 3, unknown channel type, but russh has one answer for all.
        "tun": PROHIBITED,
        "tcpip-forward": REQUEST_FAILURE,
        "streamlocal-forward@openssh.com": REQUEST_FAILURE,
        "no-such-request": REQUEST_FAILURE,
        "auth-agent-req": false,
        "x11-req": false,
        "subsystem": false,
        "lives": true,
    });
    assert_told_where("forwarding", &[(grant::FORWARDING, "none")], &expected);
}

#[test]
fn a_packet_longer_than_any_is_the_last() {
    assert_told("oversized", &json!({"cut": true}));
}

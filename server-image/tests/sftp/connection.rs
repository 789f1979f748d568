//! The protocol by hand: what breaks it, and connections that break.

use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};

use crate::container::{Container, text};
use crate::{logged, path};

/// The first packet, of version 3.
const INIT: &[u8] = &[1, 0, 0, 0, 3];

fn string(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).expect("short").to_be_bytes()[..], bytes].concat()
}

/// The subsystem, by an ssh that hands its bytes on.
fn subsystem(container: &Container, options: &[&str]) -> Child {
    container.ssh(&[options, &["-s"]].concat(), &["sftp"]).stdin(Stdio::piped()).spawn().expect("ssh")
}

fn send(ssh: &mut Child, packet: &[u8]) {
    ssh.stdin.as_mut().expect("stdin").write_all(&string(packet)).expect("a reader");
}

fn receive(ssh: &mut Child) -> Vec<u8> {
    let stdout = ssh.stdout.as_mut().expect("stdout");
    let mut length = [0; 4];
    stdout.read_exact(&mut length).expect("a reply");
    let mut packet = vec![0; usize::try_from(u32::from_be_bytes(length)).expect("a length")];
    stdout.read_exact(&mut packet).expect("a reply");
    packet
}

#[test]
fn what_is_open_when_the_connection_breaks_is_closed_in_the_log() {
    let mut container = Container::start(&[]);
    let file = path(&container, "there").display().to_string();
    let mut ssh = subsystem(&container, &[]);
    send(&mut ssh, INIT);
    assert_eq!(receive(&mut ssh)[..5], [2, 0, 0, 0, 3]);
    // Write and create, no attributes.
    send(&mut ssh, &[&[3, 0, 0, 0, 1][..], &string(file.as_bytes()), &[0, 0, 0, 10], &[0; 4]].concat());
    let opened = receive(&mut ssh);
    assert_eq!(opened[..5], [102, 0, 0, 0, 1]);
    send(&mut ssh, &[&[6, 0, 0, 0, 2][..], &opened[5..], &[0; 8], &string(b"half a file")].concat());
    assert_eq!(receive(&mut ssh)[..9], [101, 0, 0, 0, 2, 0, 0, 0, 0]);
    ssh.kill().expect("it lives");
    ssh.wait().expect("an end");
    container.ended();
    assert_eq!(logged(&container), [vec!["open_create", &file], vec!["close", &file, "11"]]);
}

#[test]
fn whoever_breaks_the_protocol_is_left() {
    // A packet without end, one that ends within a field, a request before the first packet.
    let endless = [0xff; 4].to_vec();
    let short = [string(INIT), string(&[3, 0, 0, 0, 1, 0, 0, 0, 9, b'x'])].concat();
    let early = string(&[&[17, 0, 0, 0, 1][..], &string(b"/")].concat());
    for (sent, why) in [
        (endless, "a packet of 4294967295 bytes"),
        (short, "a packet that ends within a field"),
        (early, "the beginning of the protocol is not where it belongs"),
    ] {
        let mut container = Container::start(&[]);
        let mut ssh = subsystem(&container, &[]);
        ssh.stdin.as_mut().expect("stdin").write_all(&sent).expect("a reader");
        let output = ssh.wait_with_output().expect("ssh");
        assert_eq!((output.status.code(), text(&output.stderr)), (Some(1), String::new()), "{why}");
        assert_eq!(container.ended(), 1);
        assert_eq!(logged(&container), [["protocol", "", why]]);
    }
}

#[test]
fn a_terminal_is_not_put_between() {
    let mut container = Container::start(&[]);
    let mut ssh = subsystem(&container, &["-tt"]);
    send(&mut ssh, INIT);
    assert_eq!(receive(&mut ssh)[..5], [2, 0, 0, 0, 3]);
    drop(ssh.stdin.take());
    assert_eq!(ssh.wait().expect("ssh").code(), Some(0));
    assert_eq!(container.ended(), 0);
    assert_eq!(container.last("session_start")["terminal"], false);
}

#[test]
fn other_subsystems_are_refused() {
    let mut container = Container::start(&[]);
    let output = container.ssh(&["-s"], &["netconf"]).output().expect("ssh");
    assert_eq!(output.status.code(), Some(255), "{}", text(&output.stderr));
    assert_eq!(container.ended(), 0);
    assert!(!container.events.iter().any(|event| event["event"] == "session_start"));
}

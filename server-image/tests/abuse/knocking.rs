//! Strangers who hold connections: they keep nobody out.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fargate_contract::grant;

use crate::container::{Container, PORT, make_key};
use crate::{LINES, assert_serves, assert_small, told_of};

fn knock(container: &Container) -> TcpStream {
    TcpStream::connect((container.address, PORT)).expect("a connection")
}

#[test]
fn half_open_connections_keep_nobody_out() {
    let mut container = Container::start(&[(grant::CONNECTIONS, "many")]);
    let mut held = container.hold();
    let silent: Vec<_> = (0..300).map(|_| knock(&container)).collect();
    assert_serves(&container, &[]);
    assert_serves(&container, &["-b", "127.0.0.2"]);
    assert_small(&container);
    drop(silent);
    drop(held.stdin.take());
    assert_eq!(held.wait().expect("ssh").code(), Some(0), "who was there before stays");
    assert_eq!(container.ended(), 0);
    assert_eq!(told_of(&container, "accept"), 303);
    assert!(container.events.len() <= LINES, "{} lines", container.events.len());
}

#[test]
fn who_sends_a_byte_at_a_time_keeps_nobody_out() {
    let mut container = Container::start(&[(grant::CONNECTIONS, "many")]);
    let mut held = container.hold();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..20 {
            let stream = knock(&container);
            scope.spawn(|| drip(stream, &done));
        }
        assert_serves(&container, &[]);
        assert_serves(&container, &["-b", "127.0.0.2"]);
        done.store(true, Ordering::Relaxed);
    });
    assert_small(&container);
    drop(held.stdin.take());
    assert_eq!(held.wait().expect("ssh").code(), Some(0), "who was there before stays");
    assert_eq!(container.ended(), 0);
}

/// An identification string that never ends, one byte in a while, for as long as anybody takes it.
fn drip(mut stream: TcpStream, done: &AtomicBool) {
    let mut text = b"SSH-2.0-slow".iter().copied().chain(std::iter::repeat(b'w'));
    while !done.load(Ordering::Relaxed) && stream.write_all(&[text.next().unwrap_or(b'w')]).is_ok() {
        // How slow a slow peer is; nothing waits for it.
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn wrong_keys_are_refused_and_burn_nothing() {
    let mut container = Container::start(&[]);
    for index in 0..12 {
        let name = format!("other{index}");
        make_key(&container.directory, &name);
        let refused = container.ssh_as("root", &name, &[], &["true"]).output().expect("ssh");
        assert_eq!(refused.status.code(), Some(255));
    }
    assert_serves(&container, &[]);
    assert_eq!(container.ended(), 7);
    assert_eq!(told_of(&container, "auth_refused"), 12);
}

#[test]
fn a_stranger_is_cut_after_ten_attempts_or_twenty_seconds() {
    let mut container = Container::start(&[(grant::LOGIN_TIMEOUT, "40000")]);
    let mut silent = knock(&container);
    let mut seen = Vec::new();
    // Ends when the server closes it, long before the container's own end.
    silent.read_to_end(&mut seen).expect("an end");
    assert!(seen.starts_with(b"SSH-2.0-"));
    let dropped = container.until("dropped");
    assert!(["it spoke no SSH", "it did not authenticate in time"].map(Into::into).contains(&dropped["reason"]));
    assert_serves(&container, &[]);
    assert_eq!(container.ended(), 7);
}

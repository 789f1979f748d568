//! Why the container ends, and what others see of it.

use std::io::Read as _;
use std::process::Stdio;

use fargate_contract::grant;
use nix::sys::signal::Signal;

use crate::container::{Container, text};

const NOTICE: &str = "fargate-login: the container is being stopped";

fn reason(container: &Container) -> String {
    container.last("exit")["reason"].as_str().expect("text").to_owned()
}

#[test]
fn nobody_comes() {
    let mut container = Container::start(&[(grant::LOGIN_TIMEOUT, "100")]);
    assert_eq!(container.ended(), 124);
    assert_eq!(reason(&container), "nobody logged in in time");
}

#[test]
fn nobody_types() {
    let mut container = Container::start(&[(grant::IDLE_TIMEOUT, "300")]);
    let output = container.ssh(&["-tt"], &["exec sleep 1000"]).stdin(Stdio::piped()).output().expect("ssh");
    assert!(text(&output.stdout).contains(NOTICE), "{}", text(&output.stdout));
    assert_eq!(container.ended(), 122);
    assert_eq!(container.last("session_end")["reason"], "killed by SIGHUP");
}

#[test]
fn the_time_is_up() {
    let mut container = Container::start(&[(grant::MAX_LIFETIME, "1000")]);
    let output = container.run("exec yes");
    assert!(text(&output.stderr).contains(NOTICE), "{}", text(&output.stderr));
    assert_eq!(container.ended(), 123, "bytes that move do not lengthen it");
}

#[test]
fn the_container_is_stopped() {
    let mut container = Container::start(&[]);
    let ssh = container.ssh(&[], &["trap 'echo bye; exit 6' HUP; while :; do sleep 0.05; done"]).spawn().expect("ssh");
    container.until("session_start");
    // The trap is set once the loop has a child; a HUP before that would kill the shell.
    let held = container.serve_pid();
    while !sleeps_below(held) {}
    container.signal(Signal::SIGTERM);
    let output = ssh.wait_with_output().expect("ssh");
    assert_eq!((text(&output.stdout), output.status.code()), ("bye\n".to_owned(), Some(6)));
    assert!(text(&output.stderr).starts_with(&format!("{NOTICE}\n")), "{}", text(&output.stderr));
    assert_eq!((container.ended(), reason(&container).as_str()), (143, "told to stop by a signal"));
}

#[test]
fn who_will_not_hear_is_killed() {
    let mut container = Container::start(&[]);
    let command = "trap '' HUP TERM; echo ready; while :; do sleep 1; done";
    let mut ssh = container.ssh(&[], &[command]).spawn().expect("ssh");
    ssh.stdout.as_mut().expect("stdout").read_exact(&mut [0; 6]).expect("ready");
    container.signal(Signal::SIGTERM);
    assert_eq!(container.ended(), 143);
    assert_eq!(container.last("session_end")["reason"], "killed by SIGKILL");
    ssh.wait().expect("ssh");
}

#[test]
fn the_client_is_gone() {
    let mut container = Container::start(&[]);
    let mut ssh = container.ssh(&[], &["echo ready; exec sleep 1000"]).spawn().expect("ssh");
    ssh.stdout.as_mut().expect("stdout").read_exact(&mut [0; 6]).expect("ready");
    ssh.kill().expect("a client");
    assert_eq!((container.ended(), reason(&container).as_str()), (129, "the last connection closed"));
    ssh.wait().expect("ssh");
}

#[test]
fn a_client_that_is_gone_before_its_input_was_read() {
    let mut container = Container::start(&[]);
    let mut ssh = container.ssh(&[], &["echo ready; exec sleep 1000"]).stdin(Stdio::piped()).spawn().expect("ssh");
    ssh.stdout.as_mut().expect("stdout").read_exact(&mut [0; 6]).expect("ready");
    let mut stdin = ssh.stdin.take().expect("stdin");
    let writer = std::thread::spawn(move || std::io::copy(&mut std::io::repeat(0).take(16 << 20), &mut stdin));
    writer.join().expect("a writer").expect("our server takes what it cannot pass on");
    ssh.kill().expect("a client");
    assert_eq!(container.ended(), 129);
    ssh.wait().expect("ssh");
}

/// Whether a grandchild of this process is a `sleep`.
fn sleeps_below(serve: i64) -> bool {
    let children = |pid: i64| {
        // Each thread's: the server starts sessions from one of its own.
        let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("children")).ok());
        let pids = lists.flat_map(|list| list.split_whitespace().map(str::to_owned).collect::<Vec<_>>());
        pids.filter_map(|pid| pid.parse::<i64>().ok()).collect::<Vec<_>>()
    };
    children(serve)
        .into_iter()
        .flat_map(children)
        .any(|pid| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "sleep\n"))
}

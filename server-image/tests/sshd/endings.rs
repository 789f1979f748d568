//! Why the container ends, and what is left of it.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use fargate_contract::grant;
use nix::sys::signal::Signal;

use crate::container::{Container, some_address, text};
use crate::environment::public_directory;
use crate::start;

const NOTICE: &str = "fargate-login: the container is being stopped";

fn reason(container: &Container) -> &str {
    container.last("exit")["reason"].as_str().expect("text")
}

#[test]
fn nobody_comes() {
    let Some(mut container) = start(&[(grant::LOGIN_TIMEOUT, "500")]) else { return };
    assert_eq!(container.ended(), 124);
    assert_eq!(reason(&container), "nobody logged in in time");
}

#[test]
fn nobody_types() {
    // The machine's shell may take a second for its start-up files before there is a session.
    let Some(mut container) = start(&[(grant::IDLE_TIMEOUT, "5000")]) else { return };
    let ssh =
        container.ssh(&["-tt", "-o", "ServerAliveInterval=1"], &["exec sleep 1000"]).stdin(Stdio::piped()).spawn();
    let ssh = ssh.expect("ssh");
    assert_eq!(container.ended(), 122, "keepalives are no bytes of a channel");
    assert_eq!(reason(&container), "no byte moved for the idle limit");
    assert_eq!(container.last("session_end")["reason"], "killed by SIGHUP");
    assert_ne!(ssh.wait_with_output().expect("ssh").status.code(), Some(0));
}

#[test]
fn a_forwarding_that_is_idle_does_not_end_the_session() {
    let Some(mut container) = start(&[(grant::IDLE_TIMEOUT, "5000")]) else { return };
    let service = TcpListener::bind("127.0.0.1:0").expect("a port");
    let near = (some_address(), 2200);
    let forwarding = format!("{}:{}:{}", near.0, near.1, service.local_addr().expect("an address"));
    // Output until the input ends.
    let command = "cat <&0 >/dev/null & cat=$!; while kill -0 $cat 2>/dev/null; do echo x; sleep 0.2; done; exit 4";
    let mut ssh = container.ssh(&["-L", &forwarding, "-o", "ExitOnForwardFailure=yes"], &[command]);
    let mut ssh = ssh.stdin(Stdio::piped()).spawn().expect("ssh");
    let mut output = ssh.stdout.take().expect("stdout");
    output.read_exact(&mut [0]).expect("output");
    let reader = std::thread::spawn(move || output.read_to_end(&mut Vec::new()));
    let idle = TcpStream::connect(near).expect("the forwarding");
    while !container.until("sshd")["message"].as_str().expect("text").ends_with(" of inactivity") {}
    drop((idle, ssh.stdin.take()));
    assert_eq!((ssh.wait().expect("ssh").code(), container.ended()), (Some(4), 4));
    assert_eq!(reason(&container), "the last connection closed");
    reader.join().expect("a reader").expect("text");
}

#[test]
fn nobody_opens_a_channel() {
    let Some(mut container) = start(&[(grant::IDLE_TIMEOUT, "1000")]) else { return };
    let mut ssh = container.ssh(&["-N"], &[]).spawn().expect("ssh");
    assert_eq!((container.ended(), reason(&container)), (122, "no byte moved for the idle limit"));
    ssh.wait().expect("ssh");
}

#[test]
fn the_time_is_up() {
    let Some(mut container) = start(&[(grant::MAX_LIFETIME, "3000")]) else { return };
    let output = container.run("exec yes");
    assert!(text(&output.stderr).contains(NOTICE), "{}", text(&output.stderr));
    assert_eq!(container.ended(), 123, "bytes that move do not lengthen it");
}

#[test]
fn the_container_is_stopped() {
    let Some(mut container) = start(&[]) else { return };
    let command = "trap 'echo bye; exit 6' HUP; echo ready; while :; do sleep 0.05; done";
    let mut ssh = container.ssh(&[], &[command]).spawn().expect("ssh");
    ssh.stdout.as_mut().expect("stdout").read_exact(&mut [0; 6]).expect("ready");
    container.signal(Signal::SIGTERM);
    let output = ssh.wait_with_output().expect("ssh");
    assert_eq!((text(&output.stdout), output.status.code()), ("bye\n".to_owned(), Some(6)));
    assert!(text(&output.stderr).starts_with(&format!("{NOTICE}\n")), "{}", text(&output.stderr));
    assert_eq!((container.ended(), reason(&container)), (143, "told to stop by a signal"));
}

#[test]
fn who_will_not_hear_is_killed() {
    let Some(mut container) = start(&[]) else { return };
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
    let Some(mut container) = start(&[]) else { return };
    let mut ssh = container.ssh(&[], &["echo ready; exec sleep 1000"]).spawn().expect("ssh");
    ssh.stdout.as_mut().expect("stdout").read_exact(&mut [0; 6]).expect("ready");
    ssh.kill().expect("a client");
    assert_eq!((container.ended(), reason(&container)), (129, "the last connection closed"));
    ssh.wait().expect("ssh");
}

#[test]
fn a_foreign_client_that_is_gone_is_not_waited_for_even_if_it_asks() {
    let Some(mut container) = start(&[]) else { return };
    let id = format!("SetEnv={}={}", fargate_contract::resume::ID_VARIABLE, "7".repeat(32));
    let command = "echo ready; exec sleep 1000";
    let mut ssh = container.ssh(&["-tt", "-o", &id], &[command]).stdin(Stdio::piped()).spawn().expect("ssh");
    ssh.stdout.as_mut().expect("stdout").read_exact(&mut [0; 5]).expect("ready");
    ssh.kill().expect("a client");
    assert_eq!((container.ended(), reason(&container)), (129, "the last connection closed"));
    ssh.wait().expect("ssh");
}

#[test]
fn serve_dies_and_all_follow() {
    let Some(mut container) = start(&[]) else { return };
    let mut held = container.hold();
    let serve = i32::try_from(container.serve_pid()).expect("a process id");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(serve), Signal::SIGKILL).expect("serve");
    assert_eq!(container.ended(), 128 + 9);
    // In a container its memory goes with it.
    std::fs::remove_dir_all(public_directory(&container)).expect("what serve left");
    assert_ne!(held.wait().expect("ssh").code(), Some(0));
}

#[test]
fn nothing_is_left() {
    let Some(mut container) = start(&[]) else { return };
    // The log's pipe would stay open, and `ended` wait for ever, if one of sshd's processes were left.
    let output = container.run("setsid sh -c 'trap \"\" HUP TERM; exec sleep 1000' >/dev/null 2>&1 & echo $!");
    let daemon = text(&output.stdout).trim().parse().expect("a process id");
    assert_eq!(container.ended(), 0);
    let gone = nix::sys::signal::kill(nix::unistd::Pid::from_raw(daemon), None);
    assert_eq!(gone, Err(nix::errno::Errno::ESRCH));
}

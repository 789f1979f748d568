//! A connection that only forwards holds the container, and its bytes count for the idle limit.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;
use std::time::{Duration, Instant};

use fargate_contract::grant;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::container::Container;
use crate::peer::{answering, ask, connect, near};

#[test]
fn a_tunnel_without_a_session_holds_the_container_until_it_goes() {
    let mut container = Container::start(&[]);
    let near = near();
    for round in 0..2 {
        // The second container's ssh is killed instead.
        let (target, service) = answering();
        let forwarding = format!("{}:{}:{target}", near.0, near.1);
        let mut ssh = container.ssh(&["-N", "-L", &forwarding], &[]).stdin(Stdio::null()).spawn().expect("ssh");
        ask(connect(near));
        service.join().expect("a service");
        let signal = if round == 0 { Signal::SIGTERM } else { Signal::SIGKILL };
        kill(Pid::from_raw(ssh.id().cast_signed()), signal).expect("it lives");
        ssh.wait().expect("an end");
        assert_eq!(container.ended(), 0);
        assert!(container.events.iter().all(|event| event["event"] != "session_start"));
        assert_eq!(container.last("exit")["reason"], "the last connection closed");
        if round == 0 {
            container = Container::start(&[]);
        }
    }
}

#[test]
fn forwarded_bytes_are_activity_and_silence_ends_a_tunnel() {
    let mut container = Container::start(&[(grant::IDLE_TIMEOUT, "4000")]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = listener.local_addr().expect("an address");
    let near = near();
    let forwarding = format!("{}:{}:{target}", near.0, near.1);
    let mut ssh = container.ssh(&["-N", "-L", &forwarding], &[]).stdin(Stdio::null()).spawn().expect("ssh");
    let mut stream = connect(near);
    let (mut far, _) = listener.accept().expect("a connection");
    let began = Instant::now();
    // Half as long again as the limit, a byte at a time.
    while began.elapsed() < Duration::from_secs(6) {
        stream.write_all(b"x").expect("a reader");
        far.read_exact(&mut [0]).expect("it passed");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(container.ended(), 122);
    assert_eq!(container.last("exit")["reason"], "no byte moved for the idle limit");
    ssh.wait().expect("an end");
}

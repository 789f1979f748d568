//! Connections that the container makes for its client: `-L`, `-D` and `-W`.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use fargate_contract::grant;
use nix::sys::socket::{setsockopt, sockopt};

use crate::container::{Container, some_address, text};
use crate::peer::{LARGE, answering, answering_at, ask, leave, near, some_bytes, tunnel};

/// OpenSSH's exit code for its own failures.
const FAILED: Option<i32> = Some(255);

#[test]
fn the_reply_after_the_end_of_the_question_is_whole() {
    let mut container = Container::start(&[]);
    let (target, service) = answering();
    let near = near();
    let held = tunnel(&container, &["-L", &format!("{}:{}:{target}", near.0, near.1)]);
    ask(TcpStream::connect(near).expect("the forwarding"));
    service.join().expect("a service");
    let ended = container.until("forward_end");
    let bytes = LARGE as u64;
    assert_eq!((ended["sent"].as_u64(), ended["received"].as_u64()), (Some(bytes), Some(bytes)), "{ended}");
    assert_eq!(ended["reason"], "both ends have closed it");
    let started = container.last("forward_start");
    assert_eq!((&started["kind"], &started["forward"]), (&"direct-tcpip".into(), &ended["forward"]));
    assert_eq!(started["target"], target.to_string());
    leave(held, &mut container);
}

#[test]
fn sockets_of_the_file_system_on_both_sides() {
    let mut container = Container::start(&[]);
    let path = |name: &str| container.directory.path().join(name);
    let (near, far) = (path("near"), path("far"));
    let service = answering_at(&far);
    let held = tunnel(&container, &["-L", &format!("{}:{}", near.display(), far.display())]);
    let mut stream = UnixStream::connect(&near).expect("the forwarding");
    stream.write_all(&some_bytes()).expect("a reader");
    stream.shutdown(std::net::Shutdown::Write).expect("a stream");
    let mut answered = Vec::new();
    stream.read_to_end(&mut answered).expect("an answer");
    assert!(answered == some_bytes(), "{} bytes", answered.len());
    service.join().expect("a service");
    let started = container.until("forward_start");
    assert_eq!((&started["kind"], &started["target"]), (&"direct-streamlocal".into(), &far.to_str().into()));
    leave(held, &mut container);
}

#[test]
fn a_name_through_socks() {
    let mut container = Container::start(&[]);
    let (target, service) = answering();
    let near = near();
    let held = tunnel(&container, &["-D", &format!("{}:{}", near.0, near.1)]);
    let mut stream = TcpStream::connect(near).expect("the forwarding");
    // SOCKS version 5 (RFC 1928): no authentication; connect to a name.
    stream.write_all(&[5, 1, 0]).expect("a reader");
    stream.read_exact(&mut [0; 2]).expect("a choice");
    stream.write_all(&[5, 1, 0, 3, 9]).expect("a reader");
    stream.write_all(b"localhost").expect("a reader");
    stream.write_all(&target.port().to_be_bytes()).expect("a reader");
    let mut reply = [0; 10];
    stream.read_exact(&mut reply).expect("a reply");
    assert_eq!(reply[..2], [5, 0]);
    ask(stream);
    service.join().expect("a service");
    assert_eq!(container.until("forward_start")["target"], format!("localhost:{}", target.port()));
    leave(held, &mut container);
}

#[test]
fn standard_input_and_output_to_a_port() {
    let mut container = Container::start(&[]);
    let (target, service) = answering();
    let mut ssh = container.ssh(&["-W", &target.to_string()], &[]).stdin(Stdio::piped()).spawn().expect("ssh");
    let mut input = ssh.stdin.take().expect("stdin");
    let writing = std::thread::spawn(move || input.write_all(&some_bytes()).expect("a reader"));
    let output = ssh.wait_with_output().expect("an end");
    assert!(output.stdout == some_bytes(), "{} bytes: {}", output.stdout.len(), text(&output.stderr));
    writing.join().expect("written");
    service.join().expect("a service");
    assert_eq!(container.ended(), 0, "no session came to be");
}

#[test]
fn what_cannot_be_reached_is_told_with_the_reason_and_ends_nothing_else() {
    let mut container = Container::start(&[(grant::CONNECTIONS, "many")]);
    let mut held = container.hold();
    let closed = format!("{}:9", some_address());
    // A name that no name server needs to be asked for.
    for (target, reason) in [(closed.as_str(), "connection refused"), ("nowhere..invalid:80", "cannot be resolved: ")] {
        let output = container.ssh(&["-o", "LogLevel=INFO", "-W", target], &[]).output().expect("ssh");
        assert_eq!(output.status.code(), FAILED);
        let told = text(&output.stderr);
        assert!(told.contains(&format!("connect failed: connect to {target}: {reason}")), "{told}");
        let refused = container.until("forward_refused");
        assert_eq!((&refused["kind"], &refused["target"]), (&"direct-tcpip".into(), &target.into()));
        assert!(refused["reason"].as_str().expect("text").starts_with(reason), "{refused}");
    }
    held.stdin.as_mut().expect("stdin").write_all(b"y").expect("a reader");
    held.stdout.as_mut().expect("stdout").read_exact(&mut [0]).expect("an answer");
    drop(held.stdin.take());
    assert_eq!(held.wait().expect("an end").code(), Some(0));
    assert_eq!(container.ended(), 0);
}

#[test]
fn a_reset_ends_its_own_forward_alone() {
    let mut container = Container::start(&[]);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = listener.local_addr().expect("an address");
    let near = near();
    let held = tunnel(&container, &["-L", &format!("{}:{}:{target}", near.0, near.1)]);
    let mut other = TcpStream::connect(near).expect("the forwarding");
    let (mut other_far, _) = listener.accept().expect("a connection");
    let mut reset = TcpStream::connect(near).expect("the forwarding");
    let (mut far, _) = listener.accept().expect("a connection");
    reset.write_all(b"x").expect("a reader");
    far.read_exact(&mut [0]).expect("it passed");
    // Closed at once and with a reset (socket(7), SO_LINGER).
    let at_once = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&far.as_fd(), sockopt::Linger, &at_once).expect("a socket");
    drop(far);
    // OpenSSH closes its end as if nothing had happened.
    let mut rest = Vec::new();
    drop(reset.read_to_end(&mut rest));
    assert!(rest.is_empty());
    let ended = container.until("forward_end");
    assert_eq!((&ended["reason"], &ended["received"]), (&"it broke: connection reset by peer".into(), &1.into()));
    other.write_all(b"still here").expect("a reader");
    let mut heard = [0; 10];
    other_far.read_exact(&mut heard).expect("it passed");
    assert_eq!(&heard, b"still here");
    drop((other, other_far));
    leave(held, &mut container);
}

#[test]
fn a_client_that_opens_one_session_after_another_is_never_full() {
    let mut container = Container::start(&[]);
    let held = container.directory.path().join("control");
    let control = format!("ControlPath={}", held.display());
    let mut master = tunnel(&container, &["-o", "ControlMaster=yes", "-o", &control]);
    for _ in 0..70 {
        let output = container.ssh(&["-o", &control], &["exit 5"]).output().expect("ssh");
        assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    }
    drop(master.stdin.take());
    assert!(master.wait().expect("ssh").success());
    assert_eq!(container.ended(), 0);
    assert_eq!(container.events.iter().filter(|event| event["event"] == "accept").count(), 1, "one connection");
}

//! What OpenSSH does by itself and the session's attendant must not break: sftp, scp, forwardings, agents.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use fargate_contract::grant;

use crate::container::{Container, PORT, some_address, text};
use crate::start;

/// A file that no buffer on the way holds whole.
const LARGE: usize = 3 * 1024 * 1024;

fn some_bytes() -> Vec<u8> {
    (0..LARGE).map(|index| (index / 3 % 253) as u8).collect()
}

/// One of OpenSSH's programs that copy, against this container.
fn copier(program: &str, container: &Container, more: &[&str]) -> Command {
    let file = |name: &str| container.directory.path().join(name).display().to_string();
    let mut command = Command::new(program);
    command
        .args(["-q", "-F", "none", "-P", &PORT.to_string(), "-i", &file("key"), "-o", "IdentitiesOnly=yes"])
        .args(["-o", "BatchMode=yes", "-o", &format!("UserKnownHostsFile={}", file("known_hosts"))])
        .args(more)
        .stdin(Stdio::piped());
    command
}

fn remote(container: &Container, path: &Path) -> String {
    format!("root@{}:{}", container.address, path.display())
}

#[test]
fn scp_in_both_protocols_and_both_directions() {
    for protocol in ["-s", "-O"] {
        let Some(mut container) = start(&[(grant::CONNECTIONS, "many")]) else { return };
        let mut held = container.hold();
        let path = |name: &str| container.directory.path().join(name);
        container.write("local", &some_bytes());
        let there =
            copier("scp", &container, &[protocol]).arg(path("local")).arg(remote(&container, &path("there"))).output();
        let there = there.expect("scp");
        assert!(there.status.success(), "{protocol}: {}", text(&there.stderr));
        let back =
            copier("scp", &container, &[protocol]).arg(remote(&container, &path("there"))).arg(path("back")).output();
        assert!(back.expect("scp").status.success(), "{protocol}");
        assert!(std::fs::read(path("back")).expect("a file") == some_bytes(), "{protocol}");
        drop(held.stdin.take());
        held.wait().expect("ssh");
        assert_eq!(container.ended(), 0);
        let kinds: Vec<_> = container.events.iter().filter(|event| event["event"] == "session_start").collect();
        let wanted = if protocol == "-s" { "subsystem" } else { "exec" };
        assert!(kinds.len() == 3 && kinds[1..].iter().all(|event| event["kind"] == wanted), "{kinds:?}");
    }
}

#[test]
fn sftp_in_both_directions() {
    let Some(mut container) = start(&[]) else { return };
    let path = |name: &str| container.directory.path().join(name).display().to_string();
    container.write("local", &some_bytes());
    let address = format!("root@{}", container.address);
    let mut sftp = copier("sftp", &container, &["-b", "-", &address]).spawn().expect("sftp");
    let script = format!("put {} {}\nget {} {}\n", path("local"), path("there"), path("there"), path("back"));
    sftp.stdin.take().expect("stdin").write_all(script.as_bytes()).expect("a reader");
    assert!(sftp.wait().expect("sftp").success());
    assert!(std::fs::read(path("back")).expect("a file") == some_bytes());
    assert_eq!(container.ended(), 0);
    assert_eq!(container.last("session_start")["kind"], "subsystem");
}

#[test]
fn a_local_forwarding() {
    let Some(mut container) = start(&[]) else { return };
    let service = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = service.local_addr().expect("an address");
    let echo = std::thread::spawn(move || {
        let (mut stream, _) = service.accept().expect("a connection");
        let mut asked = Vec::new();
        stream.read_to_end(&mut asked).expect("text");
        stream.write_all(&asked).expect("a reader");
    });
    let near = (some_address(), 2200);
    let forwarding = format!("{}:{}:{target}", near.0, near.1);
    let mut held = container.ssh(&["-L", &forwarding, "-o", "ExitOnForwardFailure=yes"], &["echo on; cat"]);
    let mut held = held.stdin(Stdio::piped()).spawn().expect("ssh");
    held.stdout.as_mut().expect("stdout").read_exact(&mut [0; 3]).expect("on");
    let mut stream = TcpStream::connect(near).expect("the forwarding");
    stream.write_all(&some_bytes()).expect("a reader");
    stream.shutdown(std::net::Shutdown::Write).expect("a stream");
    let mut answered = Vec::new();
    stream.read_to_end(&mut answered).expect("text");
    assert!(answered == some_bytes(), "{} bytes", answered.len());
    echo.join().expect("a service");
    drop(held.stdin.take());
    assert!(held.wait().expect("ssh").success());
    assert_eq!(container.ended(), 0);
}

#[test]
fn an_agent_is_forwarded() {
    let Some(mut container) = start(&[]) else { return };
    let socket = container.directory.path().join("agent");
    let mut agent =
        Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().expect("an agent");
    let key = container.directory.path().join("key");
    let added = (0..).find_map(|_| {
        let added =
            Command::new("ssh-add").arg("-q").arg(&key).env("SSH_AUTH_SOCK", &socket).stderr(Stdio::null()).status();
        added.expect("ssh-add").success().then_some(())
    });
    assert!(added.is_some());
    let agent_option = format!("IdentityAgent={}", socket.display());
    let output = container.ssh(&["-A", "-o", &agent_option], &["ssh-add -L"]).output().expect("ssh");
    agent.kill().expect("an agent");
    agent.wait().expect("an end");
    let public = std::fs::read_to_string(container.directory.path().join("key.pub")).expect("a key");
    assert_eq!(text(&output.stdout), public, "{}", text(&output.stderr));
    assert_eq!(container.ended(), 0);
}

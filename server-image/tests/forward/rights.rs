//! A forward has the rights of the user who is logged in, where the init could do more.

use std::fs;
use std::io::Read as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::{Child, Stdio};

use nix::sys::socket::{getsockopt, sockopt};

use crate::container::{Container, text};

/// A user of every Debian who is not root, and the number (base-passwd).
const USER: &str = "daemon";
const UID: u32 = 1;

/// A container into whose directory that user may look; `None` where we cannot become others.
fn container() -> Option<Container> {
    nix::unistd::geteuid().is_root().then(|| {
        let container = Container::start(&[]);
        fs::set_permissions(container.directory.path(), fs::Permissions::from_mode(0o777)).expect("ours");
        container
    })
}

/// An ssh of that user's which forwards and does nothing else: its shell refuses sessions.
fn tunnel(container: &Container, options: &[&str]) -> Child {
    let options = [&["-N", "-o", "ExitOnForwardFailure=yes"], options].concat();
    container.ssh_as(USER, "key", &options, &[]).stdin(Stdio::null()).spawn().expect("ssh")
}

fn connect(path: &std::path::Path) -> UnixStream {
    loop {
        match UnixStream::connect(path) {
            Ok(stream) => return stream,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    }
}

fn end(mut tunnel: Child, container: &mut Container) {
    tunnel.kill().expect("it lives");
    tunnel.wait().expect("an end");
    assert_eq!(container.ended(), 0);
}

#[test]
fn a_socket_is_connected_to_as_the_user() {
    let Some(mut container) = container() else { return };
    let path = |name: &str| container.directory.path().join(name);
    let (near, open, closed, near_closed) = (path("near"), path("open"), path("closed"), path("near-closed"));
    let listener = UnixListener::bind(&open).expect("a path");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o666)).expect("ours");
    let _closed = UnixListener::bind(&closed).expect("a path");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o600)).expect("ours");
    let forward = |near: &std::path::Path, far: &std::path::Path| format!("{}:{}", near.display(), far.display());
    let held = tunnel(&container, &["-L", &forward(&near, &open), "-L", &forward(&near_closed, &closed)]);
    let _stream = connect(&near);
    let (far, _) = listener.accept().expect("a connection");
    let peer = getsockopt(&far, sockopt::PeerCredentials).expect("a local peer");
    assert_eq!((peer.uid(), peer.gid()), (UID, UID), "whom the service sees");
    let mut rest = Vec::new();
    connect(&near_closed).read_to_end(&mut rest).expect("its end");
    let refused = container.until("forward_refused");
    assert_eq!(refused["reason"], "permission denied");
    // The init itself is who it was.
    let status = fs::read_to_string(format!("/proc/{}/status", container.serve_pid())).expect("it lives");
    assert!(status.contains("Uid:\t0\t0\t0\t0\n"), "{status}");
    end(held, &mut container);
}

#[test]
fn a_listening_socket_is_the_users() {
    let Some(mut container) = container() else { return };
    let path = container.directory.path().join("listener");
    let held = tunnel(&container, &["-R", &format!("{}:127.0.0.1:1", path.display())]);
    container.until("forward_listen");
    let file = fs::symlink_metadata(&path).expect("a file");
    assert_eq!((file.uid(), file.gid(), file.mode() & 0o777), (UID, UID, 0o600));
    end(held, &mut container);
    assert!(!path.exists());
}

#[test]
fn a_privileged_port_is_not_the_users() {
    let Some(mut container) = container() else { return };
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").expect("Linux");
    if first.trim().parse::<u16>().expect("a port") < 1024 {
        return;
    }
    let address = format!("{}:1023:127.0.0.1:1", container.address);
    let output = tunnel(&container, &["-R", &address]).wait_with_output().expect("ssh");
    assert_eq!(output.status.code(), Some(255), "{}", text(&output.stderr));
    assert_eq!(container.until("forward_refused")["reason"], "permission denied");
    assert_eq!(container.ended(), 0);
}

//! Connections that come to listeners in the container: `-R`, and what a multiplexing client asks for later.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::os::unix::net::UnixStream;
use std::process::Output;

use russh::ChannelMsg;

use crate::container::{Container, some_address, text};
use crate::own::{Own, SELDOM};
use crate::pattern::{patiently, round_trip};
use crate::peer::{LARGE, answering, ask, connect, leave, near, some_bytes, tunnel};

/// Where the container listens, as it says.
fn listening(container: &mut Container) -> SocketAddr {
    container.until("forward_listen")["address"].as_str().expect("text").parse().expect("an address")
}

#[test]
fn a_port_of_the_containers_choice_on_loopback() {
    let mut container = Container::start(&[]);
    let (target, service) = answering();
    let held = tunnel(&container, &["-o", "LogLevel=INFO", "-R", &format!("0:{target}")]);
    let address = listening(&mut container);
    assert!(address.ip().is_loopback() && address.port() > 0, "{address}");
    ask(TcpStream::connect(address).expect("the container's listener"));
    service.join().expect("a service");
    let ended = container.until("forward_end");
    let bytes = LARGE as u64;
    assert_eq!((ended["sent"].as_u64(), ended["received"].as_u64()), (Some(bytes), Some(bytes)), "{ended}");
    let started = container.last("forward_start");
    assert_eq!(started["kind"], "forwarded-tcpip");
    assert_eq!(started["target"], format!("localhost:{}", address.port()));
    leave(held, &mut container);
    assert!(TcpStream::connect(address).is_err(), "nobody listens any more");
}

#[test]
fn every_address_where_it_is_asked_for() {
    let mut container = Container::start(&[]);
    let (target, service) = answering();
    let held = tunnel(&container, &["-R", &format!("*:0:{target}")]);
    let address = listening(&mut container);
    assert!(address.ip().is_unspecified(), "{address}");
    ask(TcpStream::connect((container.address, address.port())).expect("the container's listener"));
    service.join().expect("a service");
    leave(held, &mut container);
}

#[test]
fn a_socket_of_the_file_system_that_goes_with_the_connection() {
    let mut container = Container::start(&[]);
    let path = container.directory.path().join("listener");
    let (target, service) = answering();
    let held = tunnel(&container, &["-R", &format!("{}:{target}", path.display())]);
    let file = fs::symlink_metadata(&path).expect("a file");
    assert!(file.file_type().is_socket());
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    let mut stream = UnixStream::connect(&path).expect("the container's listener");
    stream.write_all(&some_bytes()).expect("a reader");
    stream.shutdown(std::net::Shutdown::Write).expect("a stream");
    let mut answered = Vec::new();
    stream.read_to_end(&mut answered).expect("an answer");
    assert!(answered == some_bytes(), "{} bytes", answered.len());
    service.join().expect("a service");
    assert_eq!(container.until("forward_start")["kind"], "forwarded-streamlocal");
    leave(held, &mut container);
    assert!(!path.exists());
}

#[test]
fn what_is_taken_is_refused_with_the_reason() {
    let mut container = Container::start(&[]);
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let specification = format!("127.0.0.1:{port}:127.0.0.1:1");
    let options = ["-o", "ExitOnForwardFailure=yes", "-R", &specification];
    let output = container.ssh(&options, &["true"]).output().expect("ssh");
    assert_eq!(output.status.code(), Some(255));
    let refused = container.until("forward_refused");
    assert_eq!(refused["target"], format!("127.0.0.1:{port}"));
    assert_eq!(refused["reason"], "address already in use");
    assert_eq!(container.ended(), 0);
}

#[test]
fn a_multiplexing_client_asks_for_more_and_takes_it_back() {
    let mut container = Container::start(&[]);
    let control = format!("ControlPath={}", container.directory.path().join("control").display());
    let held = tunnel(&container, &["-o", "ControlMaster=yes", "-o", &control]);
    let order = |container: &Container, words: &[&str]| -> Output {
        let output = container.ssh(&[&["-o", &control], words].concat(), &[]).output().expect("ssh");
        assert!(output.status.success(), "{words:?}: {}", text(&output.stderr));
        output
    };
    let near = near();
    let (target, service) = answering();
    let local = format!("{}:{}:{target}", near.0, near.1);
    order(&container, &["-O", "forward", "-L", &local]);
    ask(connect(near));
    service.join().expect("a service");
    order(&container, &["-O", "cancel", "-L", &local]);

    let (target, service) = answering();
    let allocated = order(&container, &["-O", "forward", "-R", &format!("0:{target}")]);
    let address = listening(&mut container);
    assert_eq!(text(&allocated.stdout).trim(), address.port().to_string());
    ask(TcpStream::connect(address).expect("the container's listener"));
    service.join().expect("a service");

    let (target, service) = answering();
    let far = (some_address(), 2300);
    let remote = format!("{}:{}:{target}", far.0, far.1);
    order(&container, &["-O", "forward", "-R", &remote]);
    ask(TcpStream::connect(far).expect("the container's listener"));
    service.join().expect("a service");
    order(&container, &["-O", "cancel", "-R", &remote]);
    // The port is free again as soon as the listener's task has ended.
    let bound = std::iter::repeat_with(|| TcpListener::bind(far)).find_map(Result::ok);
    drop(bound);
    leave(held, &mut container);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_like_our_own_learns_its_port_and_gets_its_connections() {
    patiently(async {
        let mut container = Container::start(&[]);
        let mut own = Own::connect(&container, SELDOM).await;
        let port = own.handle.tcpip_forward("localhost", 0).await.expect("a port");
        assert_eq!(u32::from(listening(&mut container).port()), port);
        let address = SocketAddr::from(([127, 0, 0, 1], u16::try_from(port).expect("a port")));
        let stream = tokio::net::TcpStream::connect(address).await.expect("the container's listener");
        let channel = own.offered.recv().await.expect("the offer");
        let (sender, mut receiver) = ssh_flow::split(channel, &own.link);
        let echo = tokio::spawn(async move {
            while let Some(ChannelMsg::Data { data }) = receiver.recv().await.expect("flow control") {
                sender.data(data).await.expect("a channel");
            }
            sender.eof().await.expect("a channel");
            (sender, receiver)
        });
        round_trip(stream, 5, LARGE).await;
        let (_sender, mut receiver) = echo.await.expect("an end");
        // The init leaves the close to its client for a while, then closes the channel itself.
        assert!(matches!(receiver.recv().await, Ok(Some(ChannelMsg::Close))));
        own.handle.cancel_tcpip_forward("localhost", port).await.expect("it was there");
        assert!(own.handle.cancel_tcpip_forward("localhost", port).await.is_err(), "it was");
        drop(std::iter::repeat_with(|| TcpListener::bind(address)).find_map(Result::ok));
        own.leave().await;
        assert_eq!(container.ended(), 0);
        assert_eq!(container.last("forward_end")["reason"], "both ends have closed it");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn listeners_are_few() {
    patiently(async {
        let mut container = Container::start(&[]);
        let own = Own::connect(&container, SELDOM).await;
        let mut ports = Vec::new();
        while let Ok(port) = own.handle.tcpip_forward("127.0.0.1", 0).await {
            ports.push(port);
        }
        assert_eq!(ports.len(), 64);
        own.handle.cancel_tcpip_forward("127.0.0.1", ports[0]).await.expect("it was there");
        own.handle.tcpip_forward("127.0.0.1", 0).await.expect("a place");
        for (address, port) in [("db.internal", 0), ("127.0.0.1", 65536)] {
            assert!(own.handle.tcpip_forward(address, port).await.is_err(), "{address}:{port}");
        }
        own.leave().await;
        assert_eq!(container.ended(), 0);
    })
    .await;
}

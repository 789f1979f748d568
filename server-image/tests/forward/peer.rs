//! What stands at the far end of a forward, and the ssh that leads there.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Stdio};
use std::thread::JoinHandle;

use crate::container::{Container, some_address};

/// More than any buffer on the way holds.
pub(crate) const LARGE: usize = 3 * 1024 * 1024;

pub(crate) fn some_bytes() -> Vec<u8> {
    (0..LARGE).map(|index| (index / 3 % 253) as u8).collect()
}

/// A service that answers with the question once it has all of it: a client that ends its half gets the whole reply.
pub(crate) fn answering() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    (address, std::thread::spawn(move || answer(listener.accept().expect("a connection").0)))
}

/// The same at a path.
pub(crate) fn answering_at(path: &Path) -> JoinHandle<()> {
    let listener = UnixListener::bind(path).expect("a path");
    std::thread::spawn(move || answer(listener.accept().expect("a connection").0))
}

fn answer(mut stream: impl Read + Write) {
    let mut asked = Vec::new();
    stream.read_to_end(&mut asked).expect("a question");
    stream.write_all(&asked).expect("a reader");
}

/// Asks a service that answers, through whatever is between.
pub(crate) fn ask(mut stream: TcpStream) {
    stream.write_all(&some_bytes()).expect("a reader");
    stream.shutdown(Shutdown::Write).expect("a stream");
    let mut answered = Vec::new();
    stream.read_to_end(&mut answered).expect("an answer");
    assert!(answered == some_bytes(), "{} bytes", answered.len());
}

/// An address of this test's own for ssh to listen on.
pub(crate) fn near() -> (Ipv4Addr, u16) {
    (some_address(), 2200)
}

/// Starts an ssh that forwards beside a session, and waits until the session runs: by then its listeners stand.
pub(crate) fn tunnel(container: &Container, options: &[&str]) -> Child {
    tunnel_as(container, "root", options)
}

pub(crate) fn tunnel_as(container: &Container, user: &str, options: &[&str]) -> Child {
    let options = [&["-o", "ExitOnForwardFailure=yes"], options].concat();
    let mut held = container.ssh_as(user, "key", &options, &["echo on; cat"]).stdin(Stdio::piped()).spawn();
    let held_by = held.as_mut().expect("ssh");
    held_by.stdout.as_mut().expect("stdout").read_exact(&mut [0; 3]).expect("on");
    held.expect("ssh")
}

/// Ends a tunnel as its user does; asserts that all ended well.
pub(crate) fn leave(mut tunnel: Child, container: &mut Container) {
    drop(tunnel.stdin.take());
    let ended = tunnel.wait_with_output().expect("ssh");
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    assert_eq!(container.ended(), 0);
}

/// Connects where somebody will listen soon: nothing tells when.
pub(crate) fn connect(address: (Ipv4Addr, u16)) -> TcpStream {
    loop {
        match TcpStream::connect(address) {
            Ok(stream) => return stream,
            Err(_) => std::thread::sleep(std::time::Duration::from_millis(20)),
        }
    }
}

//! What stands between a connection and the first byte of a command's output: key exchange, login, session; ours beside `ssh` to `sshd`.
//! Both go through a relay that takes the time, so that neither the client's start nor its wait for a server counts.

use std::io::{self, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use e2e::World;
use e2e::world::{IMAGE, PATIENCE};
use local_fargate::ProcessImage;

use super::init;
use super::route::login;
use super::server::{self, Host, PORT, Server};
use super::statistics::{Figure, median};

const RUNS: usize = 20;
/// Where the task's init listens, so that the relay has the port that our client dials.
const BEHIND: u16 = 2223;
const LINE: &str = "echo up";

/// Measures both in turns. Nothing, where a program that this needs is not there.
pub(crate) fn first_byte() -> Vec<Figure> {
    let Some(program) = init::program() else { return Vec::new() };
    let Ok(scratch) = tempfile::tempdir() else { return Vec::new() };
    let Some(sshd) = Server::sshd(&Host::here(), scratch.path()) else { return Vec::new() };
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(into_a_task(&program));
        peer.push(into_sshd(&sshd));
    }
    let figure = Figure::new("connection to first byte, median of 20", median(&mut ours), "ms");
    vec![figure.against("ssh to sshd", median(&mut peer))]
}

fn into_a_task(program: &Path) -> Duration {
    let line = format!("_FARGATE_LOGIN_PORT={BEHIND} exec \"$0\"");
    let entry_point = vec!["/bin/sh".into(), "-c".into(), line.into(), program.into()];
    let world = World::with(|config| {
        config.images = vec![ProcessImage { name: IMAGE.to_owned(), entry_point, env: Vec::new() }]
    });
    let mut command = login(&world, &[], &["--shell-command", LINE]);
    let client = thread::spawn(move || up(&mut command));
    // The client dials all the while, and is refused until the relay is there.
    world.wait_until(|world| world.stand_in().tasks().iter().any(|task| task.address.is_some()));
    let address = world.task().address.expect("just seen");
    let upstream = format!("{address}:{BEHIND}").parse().expect("an address");
    wait_for(upstream);
    let connected = relay(&format!("{address}:{PORT}"), upstream);
    let heard = client.join().expect("the client never panics");
    heard.duration_since(connected.join().expect("the relay never panics"))
}

/// Waits until a server listens there: its log does not wake anybody up, so we knock.
fn wait_for(server: SocketAddr) {
    let began = Instant::now();
    while TcpStream::connect(server).is_err() {
        assert!(began.elapsed() < PATIENCE, "nothing listens at {server}");
        thread::yield_now();
    }
}

fn into_sshd(sshd: &Server) -> Duration {
    let address = server::address(3);
    let upstream = format!("{}:{PORT}", sshd.address()).parse().expect("an address");
    let connected = relay(&format!("{address}:{PORT}"), upstream);
    let heard = up(sshd.ssh().args([&address, LINE]));
    heard.duration_since(connected.join().expect("the relay never panics"))
}

/// Runs a client to its end. When its first byte came.
fn up(command: &mut Command) -> Instant {
    let mut client = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the client starts");
    let mut output = client.stdout.take().expect("a pipe");
    let mut text = [0; 3];
    output.read_exact(&mut text[..1]).expect("a byte");
    let heard = Instant::now();
    output.read_exact(&mut text[1..]).expect("a line");
    assert_eq!(&text, b"up\n");
    assert!(client.wait().expect("the client ends").success());
    heard
}

/// Takes one connection from here to there. When it came.
fn relay(here: &str, there: SocketAddr) -> JoinHandle<Instant> {
    let listener = TcpListener::bind(here).expect("a free port");
    thread::spawn(move || {
        let (near, _) = listener.accept().expect("the client comes");
        let connected = Instant::now();
        let far = TcpStream::connect(there).expect("the server listens");
        for stream in [&near, &far] {
            stream.set_nodelay(true).expect("no delay");
        }
        for (mut from, mut to) in [(clone(&near), clone(&far)), (far, near)] {
            thread::spawn(move || {
                // How it ends is between the client and the server.
                let _ = io::copy(&mut from, &mut to);
                let _ = to.shutdown(std::net::Shutdown::Write);
            });
        }
        connected
    })
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a descriptor")
}

//! OpenSSH's client under load towards our init: the cells of `flow` from the other side.

use std::io::Write as _;
use std::process::Stdio;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::container::{Container, text};
use crate::own::Server;
use crate::pattern::{MIB, Pattern, echo_service, memory, patiently, report, round_trip, size};
use crate::peer::{leave, near, tunnel};

const DUPLEX: usize = 300 * MIB;
/// What the serving process may need in a debug build, in KiB: a foreign peer is not held back, and what waits goes to a file.
const MEMORY_KIB: u64 = 128 * 1024;

fn assert_small(container: &Container, what: &str) {
    let (peak, _) = memory(container.serve_pid());
    let _ = writeln!(std::io::stderr(), "OpenSSH, {what}: {peak} KiB at most");
    assert!(peak <= MEMORY_KIB, "{peak} KiB");
}

/// Where a program waits until it is told to go on.
fn pipe(container: &Container) -> std::path::PathBuf {
    let path = container.directory.path().join("go");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    path
}

/// Sends bytes through a command that answers with them; its output is read when all went in, or at once.
async fn cat(stalls: bool) {
    let mut container = Server::Init.start().expect("our own");
    let control = format!("ControlPath={}", container.directory.path().join("control").display());
    let options = ["-o", "ControlMaster=yes", "-o", &control, "-o", "RekeyLimit=16M"];
    // It stays until its memory was looked at.
    let go = pipe(&container);
    let command = format!("cat; read -r go < {}; exit 7", go.display());
    let mut ssh = tokio::process::Command::from(container.ssh(&options, &[&command]));
    let mut ssh = ssh.stdin(Stdio::piped()).kill_on_drop(true).spawn().expect("ssh");
    let (mut input, mut output) = (ssh.stdin.take().expect("stdin"), ssh.stdout.take().expect("stdout"));
    let size = size(DUPLEX);
    let began = Instant::now();
    let writing = tokio::spawn(async move {
        let mut pattern = Pattern::new(3);
        while pattern.seen < size {
            let left = size - pattern.seen;
            input.write_all(pattern.next(left.min(100_000))).await.expect("a reader");
        }
    });
    let writing = if stalls {
        // All of it is at the server then: nothing holds OpenSSH's client back but its window, which is refilled.
        writing.await.expect("written");
        let asked = Instant::now();
        let other = tokio::process::Command::from(container.ssh(&["-o", &control], &["echo alive"])).output().await;
        assert_eq!(text(&other.expect("ssh").stdout), "alive\n");
        report("OpenSSH: another command while the reader stalls", asked);
        None
    } else {
        Some(writing)
    };
    let mut pattern = Pattern::new(3);
    let mut buffer = vec![0; 256 * 1024];
    while pattern.seen < size {
        let length = output.read(&mut buffer).await.expect("output");
        assert!(length > 0, "an end after {} bytes", pattern.seen);
        pattern.check(&buffer[..length]);
    }
    if let Some(writing) = writing {
        writing.await.expect("written");
    }
    report(&format!("OpenSSH: {} MiB through cat, stalled: {stalls}", size / MIB), began);
    assert_small(&container, "cat");
    std::fs::write(go, "go\n").expect("a reader");
    assert_eq!(output.read(&mut buffer).await.expect("output"), 0, "more than was sent");
    assert_eq!(ssh.wait().await.expect("an end").code(), Some(7));
    assert_eq!(container.ended(), 7);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cat_with_a_fast_reader() {
    patiently(cat(false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cat_with_a_reader_that_stalls() {
    patiently(cat(true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_command_while_a_program_reads_nothing() {
    patiently(async {
        let mut container = Server::Init.start().expect("our own");
        let control = format!("ControlPath={}", container.directory.path().join("control").display());
        let size = size(128 * MIB);
        let go = pipe(&container);
        let command = format!("read -r go < {}; wc -c", go.display());
        let mut ssh =
            tokio::process::Command::from(container.ssh(&["-o", "ControlMaster=yes", "-o", &control], &[&command]));
        let mut ssh = ssh.stdin(Stdio::piped()).kill_on_drop(true).spawn().expect("ssh");
        let mut input = ssh.stdin.take().expect("stdin");
        let mut pattern = Pattern::new(4);
        while pattern.seen < size {
            let left = size - pattern.seen;
            input.write_all(pattern.next(left.min(100_000))).await.expect("a reader");
        }
        drop(input);
        let asked = Instant::now();
        let other = tokio::process::Command::from(container.ssh(&["-o", &control], &["echo alive"])).output().await;
        assert_eq!(text(&other.expect("ssh").stdout), "alive\n");
        report("OpenSSH: another command while a program reads nothing", asked);
        assert_small(&container, "unread input");
        std::fs::write(go, "go\n").expect("a reader");
        let output = ssh.wait_with_output().await.expect("an end");
        assert_eq!(text(&output.stdout).trim(), size.to_string());
        assert_eq!(container.ended(), 0);
    })
    .await;
}

async fn forwards(channels: usize, each: usize, rekey: &str) {
    let mut container = Server::Init.start().expect("our own");
    let target = echo_service().await;
    let near = near();
    let forwarding = format!("{}:{}:{target}", near.0, near.1);
    let limit = format!("RekeyLimit={rekey}");
    let held = tunnel(&container, &["-o", &limit, "-L", &forwarding]);
    let began = Instant::now();
    let mut trips = tokio::task::JoinSet::new();
    for seed in 0..channels {
        let stream = TcpStream::connect(near).await.expect("the forwarding");
        trips.spawn(round_trip(stream, seed, each));
    }
    while let Some(trip) = trips.join_next().await {
        trip.expect("a whole round trip");
    }
    report(&format!("OpenSSH: {channels} forwards of {} KiB both ways, keys each {rekey}", each / 1024), began);
    assert_small(&container, "forwards");
    leave(held, &mut container);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwards_both_ways_at_once() {
    for (channels, each) in [(8, 16 * MIB), (32, 8 * MIB), (200, 2 * MIB)] {
        patiently(forwards(channels, size(each), "1G")).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_exchanged_again_under_load() {
    for (channels, each) in [(1, 128 * MIB), (8, 16 * MIB), (32, 8 * MIB), (200, 2 * MIB)] {
        patiently(forwards(channels, size(each), "2M")).await;
    }
}

//! Our own kind of client under load, towards our init and towards OpenSSH's server: nothing hangs, nothing waits for another
//! channel's reader, memory stays bounded, and every byte arrives.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use russh::ChannelMsg;
use ssh_flow::{ChannelReceiver, INITIAL_CREDIT};

use crate::own::{Own, Pair, SELDOM, Server, receive, round_trip, send};
use crate::pattern::{MIB, echo_service, memory, patiently, report, size};

/// What a command sends back, in full.
const DUPLEX: usize = 300 * MIB;
/// What the serving process may need in a debug build, in KiB, where both ends are our own.
const MEMORY_KIB: u64 = 96 * 1024;

async fn until(condition: impl Fn() -> bool) {
    while !condition() {
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

/// The exit status behind all data.
async fn exit(receiver: &mut ChannelReceiver) -> Option<u32> {
    let mut code = None;
    while let Some(message) = receiver.recv().await.expect("flow control") {
        if let ChannelMsg::ExitStatus { exit_status } = message {
            code = Some(exit_status);
        }
    }
    code
}

async fn cat(server: Server, stalls: bool) {
    let Some(mut container) = server.start() else { return };
    let own = Own::connect(&container, SELDOM).await;
    let (sender, mut receiver) = own.exec("cat; exit 7").await;
    let began = Instant::now();
    let size = size(DUPLEX);
    let sending = async { send(&sender, 1, size).await };
    let reading = async {
        if stalls {
            // Nothing more comes before it is read: all that may wait does. OpenSSH's server is not held back by credit.
            let link = own.link.clone();
            until(|| link.usage().queued + link.usage().spilled > INITIAL_CREDIT / 4).await;
            let began = Instant::now();
            own.assert_lively().await;
            report(&format!("{server:?}: another command while the reader stalls"), began);
        }
        let early = receive(&mut receiver, 1, size).await;
        assert_eq!(early.or(exit(&mut receiver).await), Some(7));
    };
    tokio::join!(sending, reading);
    report(&format!("{server:?}: {} MiB through cat, stalled: {stalls}", size / MIB), began);
    let usage = own.link.usage();
    assert!(usage.peak_queued <= 6 * MIB as u64, "{usage:?}");
    if server == Server::Init {
        let (peak, _) = memory(container.serve_pid());
        let _ = writeln!(std::io::stderr(), "{server:?}: {peak} KiB at most");
        assert!(peak <= MEMORY_KIB, "{peak} KiB");
    }
    own.leave().await;
    // That of the session that ended last.
    let code = container.ended();
    assert!(code == 7 || (stalls && code == 0), "{code}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cat_with_a_fast_reader() {
    for server in [Server::Init, Server::Sshd] {
        patiently(cat(server, false)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cat_with_a_reader_that_stalls() {
    for server in [Server::Init, Server::Sshd] {
        patiently(cat(server, true)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_command_while_a_program_reads_nothing() {
    for server in [Server::Init, Server::Sshd] {
        patiently(async {
            let Some(mut container) = server.start() else { return };
            let own = Arc::new(Own::connect(&container, SELDOM).await);
            let go = container.directory.path().join("go");
            nix::unistd::mkfifo(&go, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
            let (sender, mut receiver) = own.exec(&format!("read -r go < {}; wc -c", go.display())).await;
            let size = size(16 * MIB);
            let sending = tokio::spawn(async move { send(&sender, 2, size).await });
            // More than the program's pipe and its channel's window or credit hold in the beginning.
            let link = own.link.clone();
            until(|| link.moved() >= 128 * 1024).await;
            let began = Instant::now();
            own.assert_lively().await;
            report(&format!("{server:?}: another command while a program reads nothing"), began);
            std::fs::write(&go, "go\n").expect("a reader");
            let mut told = Vec::new();
            while let Some(message) = receiver.recv().await.expect("flow control") {
                if let ChannelMsg::Data { data } = message {
                    told.extend_from_slice(&data);
                }
            }
            assert_eq!(String::from_utf8_lossy(&told).trim(), size.to_string());
            sending.await.expect("sent");
            Arc::into_inner(own).expect("nobody else").leave().await;
            assert_eq!(container.ended(), 0);
        })
        .await;
    }
}

/// Forwards so many bytes both ways on each of so many channels at once.
async fn forwards(server: Server, channels: usize, each: usize, rekey: usize) -> usize {
    let Some(mut container) = server.start() else { return usize::MAX };
    let own = Own::connect(&container, rekey).await;
    let target = echo_service().await;
    let began = Instant::now();
    let mut trips = tokio::task::JoinSet::new();
    for seed in 0..channels {
        let pair: Pair = own.open(target).await.expect("a forward");
        trips.spawn(round_trip(pair, seed, each));
    }
    // While all of them are busy.
    let asked = Instant::now();
    let (_sender, mut receiver) = own.exec("echo alive").await;
    assert_eq!(exit(&mut receiver).await, Some(0));
    report(&format!("{server:?}: a command beside {channels} forwards"), asked);
    while let Some(trip) = trips.join_next().await {
        trip.expect("a whole round trip");
    }
    report(&format!("{server:?}: {channels} forwards of {} KiB both ways", each / 1024), began);
    if server == Server::Init {
        let (peak, _) = memory(container.serve_pid());
        let _ = writeln!(std::io::stderr(), "{server:?}: {peak} KiB at most");
        assert!(peak <= MEMORY_KIB, "{peak} KiB");
    }
    let exchanges = own.exchanges.load(Ordering::Relaxed);
    own.leave().await;
    assert_eq!(container.ended(), 0);
    exchanges
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn forwards_both_ways_at_once() {
    for server in [Server::Init, Server::Sshd] {
        for (channels, each) in [(8, 16 * MIB), (32, 8 * MIB), (200, 2 * MIB)] {
            patiently(forwards(server, channels, size(each), SELDOM)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_exchanged_again_under_load() {
    for server in [Server::Init, Server::Sshd] {
        for (channels, each) in [(1, 128 * MIB), (8, 16 * MIB), (32, 8 * MIB), (200, 2 * MIB)] {
            let exchanges = patiently(forwards(server, channels, size(each), MIB * 3 / 2)).await;
            // The first is the connection's own.
            assert!(exchanges >= 3, "{exchanges} exchanges with {channels} channels to {server:?}");
        }
    }
}

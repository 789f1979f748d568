//! Bytes: all of them, in order, many connections at once, over whatever the network does to the session.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use e2e::World;
use local_fargate::{Fault, Impairment};
use nix::sys::signal::Signal;

use super::{all_over, connect, echo, echoed, forwarding, local, server, world_with};

/// Bytes that repeat nowhere near.
fn noise(length: usize, mut seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        // Knuth's linear congruential generator.
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&seed.to_le_bytes());
    }
    bytes.truncate(length);
    bytes
}

/// Sends and receives at once; the bytes that came back.
fn there_and_back(stream: TcpStream, bytes: Vec<u8>) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut writer = stream.try_clone().expect("a socket");
        let mut answer = vec![0; bytes.len()];
        let writing = std::thread::spawn(move || writer.write_all(&bytes).expect("written"));
        (&stream).read_exact(&mut answer).expect("everything comes back");
        writing.join().expect("no panic");
        answer
    })
}

fn end(world: &World, running: e2e::program::Running) {
    running.signal(Signal::SIGINT);
    let done = running.wait();
    assert_eq!(done.code, 130, "{}", done.stderr);
    all_over(world);
}

#[test]
fn megabytes_come_back_whole_in_either_mode() {
    for version in ["3.3.2299.0", "2.3.1205.0"] {
        let world = world_with(|config| config.agents.version = version.to_owned());
        let (running, ports) = forwarding(&world, &[local(echo(Ipv4Addr::LOCALHOST))]);
        for round in 0..3 {
            let sent = noise(2_000_003, round);
            let back = there_and_back(connect(ports[0]), sent.clone()).join().expect("no panic");
            assert!(back == sent, "{version}: other bytes came back");
        }
        end(&world, running);
    }
}

#[test]
fn a_reader_that_stalls_loses_nothing_and_goes_on() {
    let world = world_with(|_| {});
    let (running, ports) = forwarding(&world, &[local(echo(Ipv4Addr::LOCALHOST))]);
    let mut stream = connect(ports[0]);
    let sent = noise(40_000_000, 5);
    let (mut writer, content) = (stream.try_clone().expect("a socket"), sent.clone());
    let written = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&written);
    let writing = std::thread::spawn(move || {
        for piece in content.chunks(100_000) {
            writer.write_all(piece).expect("written");
            count.fetch_add(piece.len(), Ordering::Relaxed);
        }
    });
    // Until everything between the two is full: nobody tells when that is, but then nothing is taken for a while.
    let mut before = 0;
    loop {
        std::thread::sleep(Duration::from_secs(1));
        let now = written.load(Ordering::Relaxed);
        if now == before && now > 0 {
            break;
        }
        before = now;
    }
    assert!(before < sent.len(), "somebody has room for all of it");
    let mut back = vec![0; sent.len()];
    stream.read_exact(&mut back).expect("it goes on");
    writing.join().expect("no panic");
    assert!(back == sent, "other bytes came back");
    end(&world, running);
}

#[test]
fn old_agents_are_told_of_once_and_connections_take_turns() {
    let world = world_with(|config| config.agents.version = "2.3.1205.0".to_owned());
    let server = echo(Ipv4Addr::LOCALHOST);
    let (running, ports) = forwarding(&world, &[local(server), local(server)]);
    for port in ports {
        let mut first = connect(port);
        echoed(&mut first, b"one");
        let mut second = connect(port);
        second.write_all(b"two").expect("written");
        second.set_read_timeout(Some(Duration::from_millis(300))).expect("a limit");
        second.read(&mut [0]).expect_err("its turn has not come");
        drop(first);
        second.set_read_timeout(Some(e2e::world::PATIENCE)).expect("a limit");
        let mut answer = [0; 3];
        second.read_exact(&mut answer).expect("its turn");
        assert_eq!(&answer, b"two");
    }
    running.signal(Signal::SIGTERM);
    let done = running.wait();
    assert_eq!(done.code, 143);
    assert_eq!(done.stderr.matches("one connection at a time").count(), 1, "{}", done.stderr);
}

#[test]
fn two_hundred_connections_are_open_at_once_in_one_session() {
    let world = world_with(|_| {});
    let (running, ports) = forwarding(&world, &[local(echo(Ipv4Addr::LOCALHOST))]);
    let mut all: Vec<_> = (0..200).map(|_| connect(ports[0])).collect();
    for (number, stream) in all.iter_mut().enumerate() {
        echoed(stream, format!("this is {number}").as_bytes());
    }
    let sent: Vec<_> = (0..200).map(|number| noise(10_000, number)).collect();
    let backs: Vec<_> = all.into_iter().zip(&sent).map(|(stream, sent)| there_and_back(stream, sent.clone())).collect();
    for (back, sent) in backs.into_iter().zip(sent) {
        assert!(back.join().expect("no panic") == sent);
    }
    assert_eq!(world.stand_in().sessions().len(), 1);
    end(&world, running);
}

#[test]
fn a_transfer_goes_on_over_cuts() {
    let world = world_with(|_| {});
    let (running, ports) = forwarding(&world, &[local(echo(Ipv4Addr::LOCALHOST))]);
    let mut stream = connect(ports[0]);
    let (first, rest) = (noise(100_000, 1), noise(3_000_000, 2));
    let mut writer = stream.try_clone().expect("a socket");
    let sent = [first.clone(), rest].concat();
    let content = sent.clone();
    let writing = std::thread::spawn(move || writer.write_all(&content).expect("written"));
    let mut back = vec![0; sent.len()];
    let (mut at, mut cuts) = (0, 0);
    while at < back.len() {
        at += stream.read(&mut back[at..]).expect("it goes on");
        if at > first.len() * (cuts + 1) * 8 && cuts < 3 {
            world.stand_in().cut_sessions();
            cuts += 1;
        }
    }
    writing.join().expect("no panic");
    assert!(back == sent, "other bytes came back");
    let sessions = world.stand_in().sessions();
    assert_eq!((sessions.len(), cuts), (1, 3));
    assert!(sessions[0].connections > 1, "{sessions:?}");
    end(&world, running);
}

/// Bytes there and then back over a network that loses, doubles and turns frames about, and is cut every so often. How long it takes. The
/// agent has its pace, and one way goes at a time: an agent repairs one message in 100 ms, so what has hundreds under way when the
/// connection is cut gets slower from cut to cut.
fn over_a_bad_network(length: usize, cut_after: Duration) -> Duration {
    let server = server(Ipv4Addr::LOCALHOST, move |mut stream| {
        let mut all = vec![0; length];
        stream.read_exact(&mut all).and_then(|()| stream.write_all(&all)).expect("there and back");
    });
    let world = world_with(|config| (config.seed, config.agents.pacing) = (7, true));
    let mut network = Impairment::default();
    (network.lost_per_mille, network.duplicated_per_mille, network.reordered_per_mille) = (2, 5, 5);
    network.cut_after = Some(cut_after);
    world.stand_in().inject(Fault::Impaired(network));
    let (running, ports) = forwarding(&world, &[local(server)]);
    let stream = connect(ports[0]);
    // What was under way at a cut is repaired frame by frame: a busy machine, which has more under way, takes long over it.
    stream.set_read_timeout(Some(Duration::from_secs(600))).expect("a limit");
    let (sent, began) = (noise(length, 3), Instant::now());
    let back = there_and_back(stream, sent.clone()).join().expect("no panic");
    let taken = began.elapsed();
    assert!(back == sent, "other bytes came back");
    let sessions = world.stand_in().sessions();
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    let due = taken.as_secs_f64() / cut_after.as_secs_f64();
    assert!(sessions[0].connections as f64 >= (due / 2.0).floor(), "{sessions:?} in {taken:?}");
    end(&world, running);
    taken
}

#[test]
fn a_transfer_survives_loss_reordering_duplication_and_cuts() {
    over_a_bad_network(20_000_000, Duration::from_secs(5));
}

/// Megabytes of the long run, instead of 200.
const MEGABYTES: &str = "FARGATE_LOGIN_E2E_MEGABYTES";

#[test]
#[ignore = "takes minutes, and an optimized build on a quiet machine: 200 MB both ways, cut every 10 s"]
fn two_hundred_megabytes_survive_loss_reordering_duplication_and_cuts() {
    let megabytes = std::env::var(MEGABYTES).ok().and_then(|text| text.parse().ok()).unwrap_or(200_usize);
    let taken = over_a_bad_network(megabytes * 1_000_000, Duration::from_secs(10));
    let _ = writeln!(std::io::stderr(), "{megabytes} MB both ways took {taken:?}");
}

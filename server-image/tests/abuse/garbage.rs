//! Ten thousand first packets that are none.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, TcpStream};
use std::time::Duration;

use fargate_contract::grant;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _, SeedableRng as _};

use crate::container::{Container, PORT};
use crate::{LINES, assert_serves, assert_small, told_of};

const PACKETS: u64 = 10_000;
/// As many as an attacker keeps busy on a small machine.
const THREADS: u64 = 4;
/// Of the generator; each thread adds its number.
const SEED: u64 = 0x5353_4821;

/// Against hanging: the server ends each of these connections by itself.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn ten_thousand_first_packets_that_are_none() {
    let mut container = Container::start(&[(grant::CONNECTIONS, "many")]);
    let mut held = container.hold();
    let address = container.address;
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            scope.spawn(move || {
                let mut random = StdRng::seed_from_u64(SEED + thread);
                for _ in 0..PACKETS / THREADS {
                    send(address, &packet(&mut random));
                }
            });
        }
        assert_serves(&container, &["-b", "127.0.0.2"]);
    });
    assert_serves(&container, &[]);
    assert_small(&container);
    drop(held.stdin.take());
    assert_eq!(held.wait().expect("ssh").code(), Some(0), "who was there before stays");
    assert_eq!(container.ended(), 0);
    assert_eq!(told_of(&container, "accept"), PACKETS + 3);
    assert_eq!(told_of(&container, "dropped"), PACKETS);
    assert!(container.events.len() <= LINES, "{} lines", container.events.len());
}

/// Sends it and waits until the server has had enough.
fn send(address: Ipv4Addr, packet: &[u8]) {
    let mut stream = TcpStream::connect((address, PORT)).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // A server that has had enough may say so in the middle.
    let _ = stream.write_all(packet).and_then(|()| stream.shutdown(Shutdown::Write));
    let mut seen = Vec::new();
    let ended = stream.read_to_end(&mut seen);
    let held = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
    assert!(!held, "held open after {packet:?}");
}

/// One of several kinds of nonsense, each of which gets further than the one before.
fn packet(random: &mut StdRng) -> Vec<u8> {
    let mut packet = match random.random_range(0..8) {
        0 => return noise(random, 2000),
        1 => return b"GET / HTTP/1.1\r\nHost: bastion\r\n\r\n".to_vec(),
        2 => return [&b"SSH-"[..], &noise(random, 300)].concat(),
        _ => b"SSH-2.0-OpenSSH_9.2p1\r\n".to_vec(),
    };
    match random.random_range(0..6) {
        // A length alone: nothing, too much, odd, or right and never filled.
        0 => packet
            .extend([0, 1, 5, 12, 35_000, 262_144, 0x7fff_ffff, u32::MAX][random.random_range(0..8)].to_be_bytes()),
        1 => packet.extend(noise(random, 3000)),
        // More padding than packet, or none.
        2 => {
            packet.extend([0, 0, 0, 12, [0, 3, 200, 255][random.random_range(0..4)], 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        }
        kind => {
            let mut offer = key_exchange_init(random);
            if kind > 3 {
                mutate(&mut offer, random);
            }
            packet.extend(framed(&offer));
            if kind == 5 {
                // SSH_MSG_KEX_ECDH_INIT with a public value of the wrong length, or of a bad point.
                let length = random.random_range(0..70_u32);
                let value = [&[30][..], &length.to_be_bytes(), &vec![0; length as usize]].concat();
                packet.extend(framed(&value));
            }
        }
    }
    let kept = if random.random_bool(0.3) { random.random_range(0..=packet.len()) } else { packet.len() };
    packet.truncate(kept);
    packet
}

fn noise(random: &mut StdRng, most: usize) -> Vec<u8> {
    let mut noise = vec![0; random.random_range(0..most)];
    random.fill_bytes(&mut noise);
    noise
}

fn mutate(bytes: &mut [u8], random: &mut StdRng) {
    for _ in 0..random.random_range(1..20) {
        let index = random.random_range(0..bytes.len());
        bytes[index] = random.random();
    }
}

/// A binary packet (RFC 4253, section 6) without encryption.
fn framed(payload: &[u8]) -> Vec<u8> {
    let padding = 8 - (payload.len() + 5) % 8 + 8;
    let length = u32::try_from(payload.len() + padding + 1).expect("short");
    let padding_byte = u8::try_from(padding).expect("short");
    [&length.to_be_bytes()[..], &[padding_byte], payload, &vec![0; padding]].concat()
}

/// SSH_MSG_KEXINIT (RFC 4253, section 7.1) that the server would accept.
fn key_exchange_init(random: &mut StdRng) -> Vec<u8> {
    let mut init = vec![20];
    init.extend(random.random::<[u8; 16]>());
    let lists = ["curve25519-sha256", "ssh-ed25519", "aes128-gcm@openssh.com", "aes128-gcm@openssh.com"];
    let rest = ["hmac-sha2-256-etm@openssh.com", "hmac-sha2-256-etm@openssh.com", "none", "none", "", ""];
    for list in lists.iter().chain(&rest) {
        init.extend(u32::try_from(list.len()).expect("short").to_be_bytes());
        init.extend(list.as_bytes());
    }
    init.extend([0; 5]);
    init
}

//! Forwarded connections: what a new one costs, and what a thousand at once need, ours beside `ssh` to `sshd`.

use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::route::{Route, Routes};
use super::statistics::{Figure, median, middle};
use super::target::{self, Echo};

/// Connections made one after the other, of which the median counts.
const NEW: usize = 200;
/// Connections open at the same time.
const CROWD: usize = 1_000;
/// Of these, how many are being opened at once: less than the shortest queue of a listener, so that none waits for TCP to ask again.
const OPENING: usize = 64;
/// Crowds of which the median counts, each with a client and a server of its own.
const RUNS: usize = 5;

/// Measures both, in turns. Nothing, where a program that this needs is not there.
pub(crate) fn connections() -> Vec<Figure> {
    raise_open_files();
    let Some(routes) = Routes::start() else { return Vec::new() };
    let target = target::start();
    let mut figures = vec![new_connection(&routes, target)];
    let (mut ours, mut peer) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        ours.push(crowd(routes.ours(), target));
        peer.push(crowd(routes.peer(), target));
    }
    type Value = fn(&Crowd) -> f64;
    let rows: [(&str, Value, &'static str); 4] = [
        ("1,000 connections: all open, each echoed", |crowd| milliseconds(crowd.opening), "ms"),
        ("1,000 connections: an echo on each", |crowd| milliseconds(crowd.echo), "ms"),
        ("1,000 connections: client's memory for each", |crowd| crowd.client_kib, "KiB"),
        ("1,000 connections: server's memory for each", |crowd| crowd.server_kib, "KiB"),
    ];
    figures.extend(rows.map(|(name, value, unit)| {
        let middle = |crowds: &[Crowd]| middle(&mut crowds.iter().map(value).collect::<Vec<_>>());
        Figure::new(name, middle(&ours), unit).against(routes.peer().name(), middle(&peer))
    }));
    figures
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// This process has both ends of every connection; what it starts inherits the limit.
fn raise_open_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, most, most).expect("a process may have its hard limit");
}

/// From connecting to the first byte that comes back, through clients that stand.
fn new_connection(routes: &Routes, target: u16) -> Figure {
    let [mut ours, mut peer] = [routes.ours(), routes.peer()].map(|route| (route.forward(target), Vec::new()));
    for _ in 0..NEW {
        for (forward, times) in [&mut ours, &mut peer] {
            let began = Instant::now();
            Echo::ask(forward.port).expect(1);
            times.push(began.elapsed());
        }
    }
    let [ours, peer] = [ours, peer].map(|(_, mut times)| median(&mut times));
    Figure::new("new connection to first echo, median of 200", ours, "ms").against(routes.peer().name(), peer)
}

/// What a crowd needed.
struct Crowd {
    /// Until all were open and had echoed a byte.
    opening: Duration,
    /// Until each had echoed one more, all having sent before the first was read.
    echo: Duration,
    /// Growth of resident memory for each connection, in KiB.
    client_kib: f64,
    server_kib: f64,
}

fn crowd(route: &Route, target: u16) -> Crowd {
    let forward = route.forward(target);
    // One goes first, so that what both ends need for the first alone is there.
    Echo::ask(forward.port).expect(1);
    let (client_before, server_before) = (forward.client_memory(), route.server_memory());
    let began = Instant::now();
    let mut crowd: Vec<Echo> = Vec::with_capacity(CROWD);
    for opened in 0..CROWD {
        crowd.push(Echo::ask(forward.port));
        if let Some(echo) = opened.checked_sub(OPENING).and_then(|index| crowd.get_mut(index)) {
            echo.expect(1);
        }
    }
    for echo in crowd.iter_mut().skip(CROWD - OPENING) {
        echo.expect(1);
    }
    let opening = began.elapsed();
    let began = Instant::now();
    for echo in &mut crowd {
        echo.send(2);
    }
    for echo in &mut crowd {
        echo.expect(2);
    }
    let echo = began.elapsed();
    #[expect(clippy::cast_precision_loss, reason = "a mean")]
    let each = |before: f64, now: f64| (now - before) / CROWD as f64;
    Crowd {
        opening,
        echo,
        client_kib: each(client_before, forward.client_memory()),
        server_kib: each(server_before, route.server_memory()),
    }
}

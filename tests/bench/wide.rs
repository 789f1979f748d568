//! Long round trips: one stream and 32 at once, up and down, 50 and 100 ms away. Ours and the mixed pairs beside `ssh` to `sshd`.
//! Needs root, and `ip` (iproute2).

mod network;
mod relay;
mod sys;

use std::thread;
use std::time::{Duration, Instant};

use super::bulk::{self, Stream};
use super::route::{Forward, Route, Routes};
use super::statistics::Figure;
use super::target;
use network::Network;

/// Bytes of a stream that is alone: some seconds of what OpenSSH's window of 2 MiB lets through.
const ALONE: u64 = 32 << 20;
/// Bytes of all streams at once.
const TOGETHER: u64 = 128 << 20;
const STREAMS: u64 = 32;

/// One stream, 50 ms away.
pub(crate) fn one_at_50() -> Vec<Figure> {
    one(50)
}

/// 32 streams, 50 ms away.
pub(crate) fn many_at_50() -> Vec<Figure> {
    many(50)
}

/// One stream, 100 ms away.
pub(crate) fn one_at_100() -> Vec<Figure> {
    one(100)
}

/// 32 streams, 100 ms away.
pub(crate) fn many_at_100() -> Vec<Figure> {
    many(100)
}

fn one(milliseconds: u64) -> Vec<Figure> {
    let ways: [(&str, Stream); 4] = [
        ("exec up", |route, _, bytes| bulk::exec_up(route, bytes)),
        ("exec down", |route, _, bytes| bulk::exec_down(route, bytes)),
        ("-L up", |_, forward, bytes| target::upload(forward.port, bytes)),
        ("-L down", |_, forward, bytes| target::download(forward.port, bytes)),
    ];
    measured(milliseconds, ALONE, &ways)
}

fn many(milliseconds: u64) -> Vec<Figure> {
    let ways: [(&str, Stream); 2] = [
        ("32 -L up", |_, forward, bytes| at_once(target::upload, forward, bytes)),
        ("32 -L down", |_, forward, bytes| at_once(target::download, forward, bytes)),
    ];
    measured(milliseconds, TOGETHER, &ways)
}

/// From the first connection to the end of the last.
fn at_once(transfer: fn(u16, u64) -> Duration, forward: &Forward, bytes: u64) -> Duration {
    let began = Instant::now();
    thread::scope(|scope| {
        for _ in 0..STREAMS {
            scope.spawn(|| transfer(forward.port, bytes / STREAMS));
        }
    });
    began.elapsed()
}

/// Measures these ways over a line of this round trip. Nothing, where the line or a program that this needs is not there.
fn measured(milliseconds: u64, bytes: u64, ways: &[(&str, Stream)]) -> Vec<Figure> {
    let network = match Network::start(Duration::from_millis(milliseconds)) {
        Ok(network) => network,
        Err(error) => {
            println!("no line of {milliseconds} ms: {error}");
            return Vec::new();
        }
    };
    let name = format!("{milliseconds} ms by {}: round trip", network.line);
    let mut figures = vec![Figure::new(name, network.round_trip(), "ms")];
    figures.extend(network.near.within(|| {
        let Some(routes) = Routes::to(&network.far.host()) else { return Vec::new() };
        let target = network.far.within(target::start);
        let forwards = routes.and_plain().map(|route: &Route| route.forward(target));
        let measure = |(way, stream): &(&str, Stream)| {
            bulk::compared(&format!("{milliseconds} ms, {way}"), &routes, &forwards, bytes, *stream)
        };
        ways.iter().flat_map(measure).collect::<Vec<_>>()
    }));
    figures
}

//! One large stream, up and down, through a command and through a forwarded port, with the same cipher: ours and the mixed pairs
//! beside `ssh` to `sshd`. Both ends hold it to the number of bytes.

use std::io::{self, BufRead as _, BufReader, Read as _};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::route::{Forward, Route, Routes};
use super::statistics::{Figure, median};
use super::target;

/// Runs of which the median counts.
const RUNS: usize = 5;
/// Size of a stream, in bytes.
const BYTES: u64 = 512 << 20;

/// That many bytes, through a route's command or through its forward.
pub(crate) type Stream = fn(&Route, &Forward, u64) -> Duration;

/// Measures all pairs, run by run in turns. Nothing, where a program that this needs is not there.
pub(crate) fn streams() -> Vec<Figure> {
    let Some(routes) = Routes::start() else { return Vec::new() };
    let target = target::start();
    let forwards = routes.and_plain().map(|route| route.forward(target));
    let ways: [(&str, Stream); 4] = [
        ("exec up", |route, _, bytes| exec_up(route, bytes)),
        ("exec down", |route, _, bytes| exec_down(route, bytes)),
        ("-L up", |_, forward, bytes| target::upload(forward.port, bytes)),
        ("-L down", |_, forward, bytes| target::download(forward.port, bytes)),
    ];
    ways.into_iter().flat_map(|(way, measure)| compared(way, &routes, &forwards, BYTES, measure)).collect()
}

/// The rates of all pairs over that many bytes, run by run in turns; the peer's beside each of the others.
pub(crate) fn compared(
    way: &str,
    routes: &Routes,
    forwards: &[Forward; 5],
    bytes: u64,
    measure: Stream,
) -> Vec<Figure> {
    let mut times = [const { Vec::new() }; 5];
    for _ in 0..RUNS {
        for ((route, forward), times) in routes.and_plain().into_iter().zip(forwards).zip(&mut times) {
            times.push(measure(route, forward, bytes));
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let [ours, peer, to_sshd, from_ssh, plain] = times.map(|mut times| bytes as f64 / 1e3 / median(&mut times));
    let name = routes.peer().name();
    let [first, _, third, fourth] = &routes.all;
    [(first, ours), (third, to_sshd), (fourth, from_ssh), (&routes.plain, plain)]
        .map(|(route, rate)| Figure::new(format!("{way}, {}", route.name()), rate, "MB/s").against(name, peer))
        .into()
}

/// From the moment that the remote program reads until its count is here.
pub(crate) fn exec_up(route: &Route, bytes: u64) -> Duration {
    let mut command = route.exec("echo ready; wc -c");
    let mut client = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the client starts");
    let mut answers = BufReader::new(client.stdout.take().expect("a pipe"));
    let mut line = String::new();
    answers.read_line(&mut line).expect("text");
    assert_eq!(line, "ready\n", "{}", route.name());
    let began = Instant::now();
    let mut input = client.stdin.take().expect("a pipe");
    target::pour(&mut input, bytes).expect("taken");
    drop(input);
    line.clear();
    answers.read_line(&mut line).expect("text");
    let took = began.elapsed();
    assert_eq!(line.trim().parse(), Ok(bytes), "{}", route.name());
    ended(client, route);
    took
}

/// From the first bytes to the last. Where the remote program could not write all of them, it says so by its exit status.
pub(crate) fn exec_down(route: &Route, bytes: u64) -> Duration {
    let mut command = route.exec(&format!("head -c {bytes} /dev/zero"));
    let mut client = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the client starts");
    let mut output = client.stdout.take().expect("a pipe");
    let mut first = [0; 1];
    output.read_exact(&mut first).expect("a byte");
    let began = Instant::now();
    let counted = target::drain(&mut io::Cursor::new(first).chain(&mut output)).expect("bytes");
    let took = began.elapsed();
    assert_eq!(counted, bytes, "{}", route.name());
    ended(client, route);
    took
}

fn ended(mut client: Child, route: &Route) {
    assert!(client.wait().expect("the client ends").success(), "{}", route.name());
}

//! SSH through a session of Systems Manager beside SSH on the direct way, to the same init: until the first byte, a small message's round
//! trip, bytes in numbers with the agent's pauses and without, over one session and several, and what a session costs that stands still.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use e2e::World;
use local_fargate::Config;

use super::init;
use super::route::login;
use super::statistics::{Figure, median, percentile};

/// One session where nothing else is said.
const SSM: [&str; 6] =
    ["--via", "ssm", "--task-role-arn", "arn:aws:iam::000000000000:role/test-cli-task", "--ssm-sessions", "1"];
const STARTS: usize = 15;
const ECHOES: usize = 500;
const MESSAGE: usize = 64;
/// Bytes each way: some seconds at the pace of an agent, and without it.
const PACED: usize = 3_000_000;
/// Bytes that take ten seconds with four sessions: the first second or two have fewer.
const SEVERAL: usize = 30_000_000;
const UNPACED: usize = 200_000_000;
/// For this long a session stands still.
const IDLE: Duration = Duration::from_secs(10);

/// Measures all of it.
pub(crate) fn figures() -> Vec<Figure> {
    let paced = World::new();
    let unpaced = World::with(|config: &mut Config| config.agents.pacing = false);
    let mut figures = vec![first_byte(&paced)];
    figures.extend(echoes(&paced, "paced"));
    figures.extend(echoes(&unpaced, "unpaced"));
    for (world, name, length) in [(&paced, "paced", PACED), (&unpaced, "unpaced", UNPACED)] {
        let of = |flags: &[&str], way: fn(&World, &[&str], usize) -> f64| way(world, flags, length);
        figures.push(Figure::new(format!("ssm upload, {name}"), of(&SSM, up), "MB/s").against("direct", of(&[], up)));
        figures.push(
            Figure::new(format!("ssm download, {name}"), of(&SSM, down), "MB/s").against("direct", of(&[], down)),
        );
    }
    figures.push(several(&paced));
    figures.extend(idle(&paced));
    figures
}

fn run(world: &World, flags: &[&str], errand: &[&str]) -> Command {
    let flags: Vec<_> = flags.iter().map(|flag| (*flag).to_owned()).collect();
    login(world, &flags, errand)
}

fn piped(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the client starts")
}

/// From the start of the program; tasks take no time, and their agents connect 50 ms after the container.
fn first_byte(world: &World) -> Figure {
    let once = |flags: &[&str]| {
        let began = Instant::now();
        let mut client = piped(&mut run(world, flags, &["--", "echo", "up"]));
        client.stdout.as_mut().expect("a pipe").read_exact(&mut [0]).expect("a byte");
        let took = began.elapsed();
        assert!(client.wait().expect("it ends").success());
        took
    };
    let (mut ssm, mut direct) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        ssm.push(once(&SSM));
        direct.push(once(&[]));
    }
    Figure::new("ssm start to first byte, median of 15", median(&mut ssm), "ms").against("direct", median(&mut direct))
}

fn echoes(world: &World, name: &str) -> Vec<Figure> {
    let (mut ssm, mut direct) = (echo(world, &SSM), echo(world, &[]));
    let figure = |share: f64, word: &str, ssm: &mut [Duration], direct: &mut [Duration]| {
        let ours = Figure::new(format!("ssm echo of 64 bytes {word}, {name}"), percentile(ssm, share), "ms");
        ours.against("direct", percentile(direct, share))
    };
    vec![figure(0.5, "p50", &mut ssm, &mut direct), figure(0.99, "p99", &mut ssm, &mut direct)]
}

/// Through `-W` to a server that sends everything back.
fn echo(world: &World, flags: &[&str]) -> Vec<Duration> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let target = listener.local_addr().expect("bound").to_string();
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a connection");
        stream.set_nodelay(true).expect("no delay");
        let (mut reader, mut writer) = (stream.try_clone().expect("a descriptor"), stream);
        // It ends with its client.
        let _ = std::io::copy(&mut reader, &mut writer);
    });
    let mut client = piped(&mut run(world, flags, &["-W", &target]));
    let mut input = client.stdin.take().expect("a pipe");
    let output = client.stdout.as_mut().expect("a pipe");
    let mut message = [7; MESSAGE];
    let samples = (0..ECHOES)
        .map(|_| {
            let began = Instant::now();
            input.write_all(&message).and_then(|()| input.flush()).expect("written");
            output.read_exact(&mut message).expect("an echo");
            began.elapsed()
        })
        .collect();
    drop(input);
    client.wait().expect("it ends");
    samples
}

#[expect(clippy::cast_precision_loss, reason = "megabytes a second")]
fn rate(length: usize, took: Duration) -> f64 {
    length as f64 / 1e6 / took.as_secs_f64()
}

/// From the word that the remote program reads until it has read everything.
fn up(world: &World, flags: &[&str], length: usize) -> f64 {
    let mut client = piped(&mut run(world, flags, &["--shell-command", "echo up; cat >/dev/null; echo done"]));
    let mut input = client.stdin.take().expect("a pipe");
    let output = client.stdout.as_mut().expect("a pipe");
    output.read_exact(&mut [0; 3]).expect("a line");
    let began = Instant::now();
    let chunk = vec![0; 64 << 10];
    for _ in 0..length.div_ceil(chunk.len()) {
        input.write_all(&chunk).expect("written");
    }
    drop(input);
    output.read_exact(&mut [0; 5]).expect("a line");
    let took = began.elapsed();
    client.wait().expect("it ends");
    rate(length, took)
}

/// From the first byte to the last.
fn down(world: &World, flags: &[&str], length: usize) -> f64 {
    let mut client = piped(&mut run(world, flags, &["--shell-command", &format!("head -c {length} /dev/zero")]));
    let output = client.stdout.as_mut().expect("a pipe");
    output.read_exact(&mut [0]).expect("a byte");
    let began = Instant::now();
    let read = std::io::copy(output, &mut std::io::sink()).expect("bytes");
    let took = began.elapsed();
    assert_eq!(read + 1, u64::try_from(length).expect("small"));
    client.wait().expect("it ends");
    rate(length, took)
}

/// A download at the agent's pace over as many sessions as it gets, beside one session.
fn several(world: &World) -> Figure {
    let over = |sessions: &'static str| down(world, &[&SSM[..], &["--ssm-sessions", sessions]].concat(), SEVERAL);
    Figure::new("ssm download, paced, 4 sessions", over("4"), "MB/s").against("1 session", over("1"))
}

/// CPU time and memory of a client that holds a forward which nobody uses.
fn idle(world: &World) -> Vec<Figure> {
    let cost = |flags: &[&str]| {
        let client = piped(&mut run(world, flags, &["-N", "--output", "env", "-L", "0:127.0.0.1:9"]));
        let mut client = client;
        client.stdout.as_mut().expect("a pipe").read_exact(&mut [0]).expect("a line");
        let before = cpu_ticks(client.id());
        std::thread::sleep(IDLE);
        let ticks = cpu_ticks(client.id()) - before;
        let memory = init::resident_kib(client.id()).unwrap_or_default() / 1024.0;
        let pid = nix::unistd::Pid::from_raw(i32::try_from(client.id()).expect("a process id"));
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).expect("it runs");
        client.wait().expect("it ends");
        // The kernel counts hundredths of a second.
        (ticks * 10.0 / IDLE.as_secs_f64(), memory)
    };
    let ((cpu, memory), (direct_cpu, direct_memory)) = (cost(&SSM), cost(&[]));
    vec![
        Figure::new("ssm client that stands still", cpu, "ms CPU/s").against("direct", direct_cpu),
        Figure::new("ssm client's memory", memory, "MB").against("direct", direct_memory),
    ]
}

/// User and system time of a process, in clock ticks (proc(5), /proc/PID/stat).
fn cpu_ticks(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let fields = stat.rsplit(')').next().unwrap_or_default();
    fields.split_whitespace().skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok()).sum()
}

//! One run: a real client, and what is drawn for it.

use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use e2e::{Program, Terminal, World};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::fate::{Draw, Fate};

/// Limits of every run's container: what ends it when the client cannot.
const LIMITS: [&str; 6] = ["--login-timeout", "4s", "--max-lifetime", "8s", "--start-timeout", "8s"];
/// A client ends within its start timeout and the time that stopping may take; after this it counts as hung.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often a client is looked for that has been left alone.
const LOOK: Duration = Duration::from_millis(10);

/// How a run ended.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    pub(crate) number: u64,
    pub(crate) fate: Fate,
    /// Exit status; `None` for a client that had to be killed because it hung.
    pub(crate) code: Option<i32>,
}

/// Plays a run to its end.
pub(crate) fn play(world: &World, scratch: &Path, seed: u64, number: u64) -> Ended {
    let draw = Draw::new(seed, number);
    let own = scratch.join(number.to_string());
    std::fs::create_dir(&own).expect("a directory");
    let program = world.login().args(LIMITS).args(draw.spot.then_some("--spot")).args(draw.command).env("TMPDIR", &own);
    let code = if draw.fate == Fate::Closed { closed(&program, &draw) } else { ended(&program, &draw) };
    Ended { number, fate: draw.fate, code }
}

fn closed(program: &Program, draw: &Draw) -> Option<i32> {
    let terminal = Terminal::start(program);
    std::thread::sleep(draw.after);
    Some(terminal.close())
}

fn ended(program: &Program, draw: &Draw) -> Option<i32> {
    let (executable, args, env) = program.parts();
    let mut command = Command::new(executable);
    command.args(args).env_clear().envs(env.iter().cloned());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program starts");
    if draw.fate != Fate::LeftAlone && within(&mut child, draw.after).is_none() {
        meet(&mut child, draw.fate);
    }
    let status = within(&mut child, PATIENCE);
    if status.is_none() {
        // It hangs, which is told; nothing of ours may stay.
        let _ = child.kill();
        let _ = child.wait();
    }
    status.map(code)
}

/// Its fate meets a client that runs.
fn meet(child: &mut Child, fate: Fate) {
    // Linux process ids fit in 22 bits. Not waited for yet: the number is still its own.
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    let send = |signal| {
        // It may have ended by itself just now.
        let _ = kill(pid, signal);
    };
    match fate {
        Fate::LeftAlone | Fate::Closed => {}
        Fate::Signal(signal) => send(signal),
        Fate::Twice(signal) => {
            send(signal);
            std::thread::sleep(LOOK);
            send(signal);
        }
        Fate::Frozen(pause) | Fate::FrozenAndKilled(pause) => {
            send(Signal::SIGSTOP);
            std::thread::sleep(pause);
            send(if fate == Fate::Frozen(pause) { Signal::SIGCONT } else { Signal::SIGKILL });
        }
    }
}

/// Its end, if that comes in time.
fn within(child: &mut Child, time: Duration) -> Option<ExitStatus> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child") {
            return Some(status);
        }
        if began.elapsed() >= time {
            return None;
        }
        std::thread::sleep(LOOK);
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    // A process that has ended did so by exiting or by a signal.
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).expect("an ended process")
}

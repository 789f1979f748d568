//! The soak: many real logins against one stand-in, several at a time, with faults and kills drawn from a seed; afterwards nothing
//! may be left of any of them.
//!
//! `cargo build --release && cargo run --release -p e2e --bin soak`. The seed draws what happens; when it meets what depends on the
//! machine, so a seed that found something finds it again in most of its runs, not in all.
#![expect(clippy::print_stdout, reason = "this is what it prints")]

mod fate;
mod faults;
mod ledger;
mod run;

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Parser;
use e2e::World;
use local_fargate::Latency;

use ledger::Ledger;

/// Runs between two looks at what is left: few enough for the journal to hold every call of them.
const ROUND: u64 = 100;
/// Tasks start in some hundred milliseconds: long enough for a kill to meet every state, short enough for many runs.
const LATENCY: Latency = Latency::Scaled { percent: 2 };

/// Many logins with faults and kills, and a look at what they leave
#[derive(Debug, Parser)]
struct Arguments {
    /// How many logins
    #[arg(long, default_value_t = 2_000)]
    runs: u64,
    /// What draws faults and kills [default: drawn]
    #[arg(long)]
    seed: Option<u64>,
    /// How many logins at a time
    #[arg(long, default_value_t = 12)]
    at_once: u64,
    /// Seconds after which no further login begins
    #[arg(long, default_value_t = 3_600)]
    within: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(rand::random);
    println!("seed {seed}, {} runs, {} at a time", arguments.runs, arguments.at_once);
    let world = World::with(|config| {
        config.latency = LATENCY;
        config.seed = seed;
    });
    let (began, mut ledger) = (Instant::now(), Ledger::default());
    let within = Duration::from_secs(arguments.within);
    let mut done = 0;
    while done < arguments.runs && began.elapsed() < within && ledger.is_clean() {
        let end = arguments.runs.min(done + ROUND);
        ledger.begin(&world);
        round(&world, seed, done..end, &arguments, &mut ledger);
        ledger.look(&world);
        done = end;
        println!("{done} runs in {:.0} s", began.elapsed().as_secs_f64());
    }
    println!("{ledger}");
    if ledger.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Some runs, several at a time, while faults come and go.
fn round(world: &World, seed: u64, runs: std::ops::Range<u64>, arguments: &Arguments, ledger: &mut Ledger) {
    let (next, over) = (AtomicU64::new(runs.start), AtomicBool::new(false));
    let scratch = tempfile::tempdir().expect("a directory");
    let work = || {
        let mut ended = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= runs.end {
                return ended;
            }
            ended.push(run::play(world, scratch.path(), seed, number));
        }
    };
    std::thread::scope(|scope| {
        let faults = scope.spawn(|| faults::come_and_go(world, seed ^ runs.start, &over));
        let workers: Vec<_> = (0..arguments.at_once.max(1)).map(|_| scope.spawn(work)).collect();
        for worker in workers {
            worker.join().expect("a worker never panics").into_iter().for_each(|ended| ledger.enter(ended));
        }
        over.store(true, Ordering::Relaxed);
        faults.join().expect("faults never panic");
    });
    ledger.files(scratch.path());
}

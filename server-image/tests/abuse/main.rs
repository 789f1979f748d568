//! The port under abuse, by strangers and by a user who keeps to no rule: the init stays small, serves its user, says what it
//! refused in few lines, and ends as it should.

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../openssh/container.rs"]
mod container;
mod garbage;
mod knocking;
mod links;
mod names;
mod packets;

use std::path::Path;
use std::process::Output;

use container::{Container, text};

/// What the serving process may ever have in memory, in KiB.
const MEMORY_KIB: u64 = 64 * 1024;

/// Lines of a container's log in all, whatever strangers do: its own few, and what strangers are allowed.
const LINES: usize = 300;

/// Asserts that the process that serves never had more in memory than it may.
fn assert_small(container: &Container) {
    let status = Path::new("/proc").join(container.serve_pid().to_string()).join("status");
    let status = std::fs::read_to_string(status).expect("a process that lives");
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().expect("a number");
    assert!(peak <= MEMORY_KIB, "{peak} KiB");
}

/// Asserts that a user who comes now is served.
fn assert_serves(container: &Container, options: &[&str]) {
    let output = container.ssh(options, &["echo served; exit 7"]).output().expect("ssh");
    assert_served(&output);
}

fn assert_served(output: &Output) {
    let told = (output.status.code(), text(&output.stdout));
    assert_eq!(told, (Some(7), "served\n".to_owned()), "{}", text(&output.stderr));
}

/// How many events of a kind the log tells of, those included that it only counts.
fn told_of(container: &Container, kind: &str) -> u64 {
    let lines = container.events.iter().filter(|event| event["event"] == kind).count() as u64;
    let withheld = container.events.iter().filter(|event| event["event"] == "withheld");
    lines + withheld.map(|event| event[kind].as_u64().expect("a count")).sum::<u64>()
}

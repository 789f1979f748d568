//! The client is killed where a task exists: the init ends it by its own rules, within the limits of its grant.

mod keeper;
mod launch;
mod matrix;

use e2e::{Terminal, World};
use nix::sys::signal::Signal;

#[test]
fn in_the_session_the_closed_connection_ends_it() {
    let world = World::new();
    let mut running = world.login().args(["--shell-command", "echo ready; sleep 1000"]).start();
    running.read_until("ready");
    running.signal(Signal::SIGKILL);
    assert_eq!(running.wait().code, 137);
    assert_eq!(world.stopped_task().stop_code.as_deref(), Some("EssentialContainerExited"));
}

#[test]
fn in_a_session_with_a_terminal_the_reconnect_grace_ends_it() {
    let world = World::new();
    let mut terminal = Terminal::start(&world.login().args(["--reconnect-grace", "2s"]));
    terminal.expect_prompt();
    nix::sys::signal::kill(terminal.pid(), Signal::SIGKILL).expect("the program runs");
    assert_eq!(terminal.wait(), 128 + Signal::SIGKILL as i32);
    let task = world.stopped_task();
    assert_eq!(task.exit_codes, [("cli".to_owned(), Some(121))], "its own rule: {task:?}");
    assert_eq!(task.stop_code.as_deref(), Some("EssentialContainerExited"));
    assert!(world.stand_in().log(&task.arn, "cli").iter().any(|line| line.contains("session_kept")));
}

#[test]
fn without_a_reconnect_grace_a_session_with_a_terminal_ends_with_its_connection() {
    let world = World::new();
    let mut terminal = Terminal::start(&world.login().args(["--reconnect-grace", "0"]));
    terminal.expect_prompt();
    nix::sys::signal::kill(terminal.pid(), Signal::SIGKILL).expect("the program runs");
    assert_eq!(terminal.wait(), 128 + Signal::SIGKILL as i32);
    assert_eq!(world.stopped_task().exit_codes, [("cli".to_owned(), Some(128 + Signal::SIGHUP as i32))]);
}

#[test]
fn in_the_session_a_closed_terminal_stops_the_task() {
    let world = World::new();
    let mut terminal = Terminal::start(&world.login());
    terminal.expect_prompt();
    let address = world.task().address.expect("an address");
    // The hangup may overtake the end of the input, or the other way round.
    let code = terminal.close();
    assert!([128 + Signal::SIGHUP as i32, 255].contains(&code), "{code}");
    assert_eq!(world.calls().last().map(String::as_str), Some("ecs:StopTask"));
    let _ = world.stopped_task();
    world.wait_gone(&address);
}

#[test]
fn the_maximum_lifetime_ends_a_frozen_client_too() {
    let world = World::new();
    let mut running = world.login().args(["--max-lifetime", "3s", "--shell-command", "echo ready; sleep 1000"]).start();
    running.read_until("ready");
    running.signal(Signal::SIGSTOP);
    assert_eq!(world.stopped_task().last_status, "STOPPED");
    running.signal(Signal::SIGCONT);
    // The command was hung up with the container, and that is its own status.
    assert_eq!(running.wait().code, 128 + Signal::SIGHUP as i32);
}

#[test]
fn a_killed_stand_in_takes_its_tasks_along_and_the_next_one_sweeps() {
    let scratch = tempfile::tempdir().expect("a directory");
    let world = World::new();
    let local = world.program().env("TMPDIR", scratch.path()).args(["--local", "-n", "test-cli"]);
    let mut running = local.clone().args(["--shell-command", "echo ready; sleep 1000"]).start();
    running.read_until("ready");
    let of_task = || e2e::world::processes_below(scratch.path());
    assert!(!of_task().is_empty(), "the task's home is in the scratch directory");
    running.signal(Signal::SIGKILL);
    assert_eq!(running.wait().code, 137);
    // Nobody is left who could tell us when the task's processes have ended: we look until they have.
    let killed = std::time::Instant::now();
    while !of_task().is_empty() {
        assert!(killed.elapsed() < e2e::world::PATIENCE, "left running: {:?}", of_task());
        std::thread::yield_now();
    }
    assert_eq!(local.args(["--", "true"]).run().code, 0);
    let left: Vec<_> =
        std::fs::read_dir(scratch.path()).expect("a directory").flatten().map(|entry| entry.path()).collect();
    assert_eq!(left, Vec::<std::path::PathBuf>::new());
}

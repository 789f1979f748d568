//! Every place at which a keeper has a task, and everything that can happen to it, to a proxy or to ssh there: whatever it is, the task
//! ends within the limits of its grant, and no process stays.

use e2e::{SshHost, Terminal, World};
use local_fargate::TaskSummary;
use nix::sys::signal::{Signal, kill};

/// Before the login, nobody comes in time.
const NOBODY_COMES: [&str; 4] = ["--linger", "60s", "--login-timeout", "4s"];
/// In the session, a keeper that is frozen keeps it open until the longest life is over.
const LIFE: [&str; 4] = ["--linger", "1s", "--max-lifetime", "15s"];

/// Whether somebody asked for the task's end.
fn was_asked(host: &SshHost) -> bool {
    host.world.calls().iter().any(|call| call == "ecs:StopTask")
}

fn ended(host: &SshHost) -> TaskSummary {
    let task = host.world.stopped_task();
    host.world.wait_gone(task.address.as_deref().expect("an address"));
    task
}

/// Parks the keeper at a checkpoint, sends it the signal, and sees that nothing is left of it.
fn cell(checkpoint: &str, signal: Signal) {
    let case = format!("{checkpoint}: {signal}");
    let host = SshHost::new(World::new(), &NOBODY_COMES);
    let running = host.run("true").env("FARGATE_LOGIN_CHECKPOINT", checkpoint).start();
    host.wait_until("the keeper parks", |host| host.log().contains(&format!("checkpoint: {checkpoint}")));
    kill(host.keeper().expect("a keeper"), signal).expect("it runs");
    assert_eq!(running.wait().code, 255, "{case}");
    let task = ended(&host);
    assert_eq!(was_asked(&host), signal != Signal::SIGKILL, "{case}: {task:?}");
    host.wait_until("the keeper is gone", |host| host.keeper().is_none());
}

#[test]
fn a_keeper_before_the_session() {
    for checkpoint in ["after-run-task", "after-route"] {
        for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGHUP] {
            cell(checkpoint, signal);
        }
    }
}

#[test]
fn a_keeper_that_is_frozen_in_the_session() {
    let host = SshHost::new(World::new(), &LIFE);
    let mut running = host.run("echo ready; sleep 1000").start();
    running.read_until("ready");
    let keeper = host.keeper().expect("a keeper");
    kill(keeper, Signal::SIGSTOP).expect("it runs");
    assert_eq!(ended(&host).stop_code.as_deref(), Some("EssentialContainerExited"));
    kill(keeper, Signal::SIGCONT).expect("it is there");
    assert_ne!(running.wait().code, 0);
    host.wait_until("the keeper is gone", |host| host.keeper().is_none());
}

#[test]
fn ssh_is_killed_in_the_session() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let host = SshHost::new(World::new(), &LIFE);
        let mut running = host.run("echo ready; sleep 1000").start();
        running.read_until("ready");
        running.signal(signal);
        assert_ne!(running.wait().code, 0, "{signal}");
        assert_eq!(ended(&host).stop_code.as_deref(), Some("UserInitiated"), "{signal}");
        host.wait_tidy();
        assert_eq!(host.proxy(), None, "{signal}");
    }
}

#[test]
fn the_terminal_is_closed() {
    let host = SshHost::new(World::new(), &LIFE);
    let mut terminal = Terminal::start(&host.ssh().arg("dev"));
    terminal.expect_prompt();
    let _ = terminal.close();
    assert_eq!(ended(&host).stop_code.as_deref(), Some("UserInitiated"));
    host.wait_tidy();
    assert_eq!(host.proxy(), None);
}

#[test]
fn the_terminal_is_closed_while_the_task_starts() {
    let host = SshHost::new(World::new(), &["--linger", "1s"]);
    let ssh = host.ssh().arg("dev").env("FARGATE_LOGIN_CHECKPOINT", "after-run-task");
    let terminal = Terminal::start(&ssh);
    host.wait_until("the keeper parks", |host| host.log().contains("checkpoint: after-run-task"));
    let _ = terminal.close();
    assert_eq!(ended(&host).stop_code.as_deref(), Some("UserInitiated"));
    host.wait_until("the keeper is gone", |host| host.keeper().is_none());
}

#[test]
fn a_proxy_is_killed_in_the_session() {
    for signal in [Signal::SIGKILL, Signal::SIGTERM] {
        let host = SshHost::new(World::new(), &LIFE);
        let mut running = host.run("echo ready; sleep 1000").start();
        running.read_until("ready");
        kill(host.proxy().expect("a proxy"), signal).expect("it runs");
        assert_eq!(running.wait().code, 255, "{signal}");
        assert_eq!(ended(&host).stop_code.as_deref(), Some("UserInitiated"), "{signal}");
        host.wait_tidy();
    }
}

#[test]
fn a_proxy_is_killed_while_the_task_starts() {
    let host = SshHost::new(World::new(), &["--linger", "1s"]);
    let running = host.run("true").env("FARGATE_LOGIN_CHECKPOINT", "after-run-task").start();
    host.wait_until("the keeper parks", |host| host.log().contains("checkpoint: after-run-task"));
    kill(host.proxy().expect("a proxy"), Signal::SIGKILL).expect("it runs");
    assert_eq!(running.wait().code, 255);
    assert_eq!(ended(&host).stop_code.as_deref(), Some("UserInitiated"));
    host.wait_until("the keeper is gone", |host| host.keeper().is_none());
}

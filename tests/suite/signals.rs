//! Signals before and in the session: the task is stopped, the user is told, the terminal is restored.

use e2e::{Terminal, World};
use local_fargate::Fault;
use nix::sys::signal::{Signal, kill};

#[test]
fn a_signal_before_the_session_stops_the_task_and_says_so() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGQUIT, 131)]
    {
        let world = World::with(|config| config.faults.push(Fault::NoAddressEver));
        let mut running = world.login().start();
        running.hear("PROVISIONING");
        running.signal(signal);
        let done = running.wait();
        assert_eq!(done.code, code, "{signal}: {}", done.stderr);
        assert!(done.stderr.contains("stopped after"), "{signal}: {}", done.stderr);
        assert_eq!(world.stopped_task().stop_code.as_deref(), Some("UserInitiated"), "{signal}");
    }
}

#[test]
fn a_second_signal_prints_the_command_that_stops_the_task() {
    let world = World::with(|config| {
        config.faults.push(Fault::NoAddressEver);
        config.faults.push(Fault::SlowApi { action: "StopTask".to_owned(), delay: e2e::world::PATIENCE });
    });
    let mut running = world.login().start();
    running.hear("PROVISIONING");
    running.signal(Signal::SIGINT);
    running.hear("cleaning up");
    running.signal(Signal::SIGINT);
    let done = running.wait();
    let arn = world.task().arn;
    let command = format!("aws ecs stop-task --region us-east-1 --cluster default --task {arn}");
    assert!(done.stderr.contains(&command), "{}", done.stderr);
    assert_eq!(done.code, 130);
}

#[test]
fn a_signal_in_the_session_restores_the_terminal_and_stops_the_task() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let world = World::new();
        let mut terminal = Terminal::start(&world.login());
        terminal.expect_prompt();
        assert!(terminal.is_raw());
        kill(terminal.pid(), signal).expect("the program runs");
        assert_eq!(terminal.wait(), 128 + signal as i32, "{}", terminal.screen());
        assert!(terminal.is_restored());
        assert_eq!(world.stopped_task().last_status, "STOPPED");
    }
}

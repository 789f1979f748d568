//! Bad days on the other side, with a session under way: what the user sees, and that nothing is left.

use std::time::Duration;

use e2e::{Terminal, World};
use local_fargate::Fault;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

fn ecs_calls(world: &World, action: &str) -> usize {
    world.calls().iter().filter(|call| *call == &format!("ecs:{action}")).count()
}

#[test]
fn describe_tasks_that_is_throttled_for_a_while_is_waited_out() {
    let world = World::with(|config| {
        let throttled = Fault::Throttle { action: "DescribeTasks".to_owned(), count: u32::MAX };
        config.faults.push(Fault::For { duration: Duration::from_secs(6), fault: Box::new(throttled) });
    });
    let done = world.login().args(["--", "true"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(world.stopped_task().last_status, "STOPPED");
}

#[test]
fn stop_task_that_fails_five_times_is_called_a_sixth_time() {
    let world =
        World::with(|config| config.faults.push(Fault::ServerError { action: "StopTask".to_owned(), count: 5 }));
    let done = world.login().args(["--", "true"]).run();
    assert_eq!((done.code, ecs_calls(&world, "StopTask")), (0, 6), "{}", done.stderr);
}

#[test]
fn stop_task_that_goes_on_failing_is_left_to_the_user() {
    let always = Fault::ServerError { action: "StopTask".to_owned(), count: u32::MAX };
    let world = World::with(|config| config.faults.push(always));
    let done = world.login().args(["--", "true"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    let task = world.stopped_task();
    let command = format!("aws ecs stop-task --region us-east-1 --cluster default --task {}", task.arn);
    assert!(done.stderr.contains("the task could not be stopped: no success within 20 s"), "{}", done.stderr);
    assert!(done.stderr.contains("ServerException"), "{}", done.stderr);
    assert!(done.stderr.contains(&command), "{}", done.stderr);
    assert_eq!(task.exit_codes, [("cli".to_owned(), Some(0))], "its init ended it");
}

#[test]
fn a_session_outlives_the_api() {
    let world = World::new();
    let mut terminal = Terminal::start(&world.login());
    terminal.expect_prompt();
    world.stand_in().inject(Fault::NoAnswer);
    terminal.send("echo still-$((40 + 2))\r");
    terminal.expect("still-42");
    terminal.send("exit 5\r");
    assert_eq!(terminal.wait(), 5, "the remote's own: {}", terminal.screen());
    let task = world.stopped_task();
    assert!(
        terminal.screen().contains("the task could not be stopped: no success within 20 s"),
        "{}",
        terminal.screen()
    );
    assert!(terminal.screen().contains(&format!("--task {}", task.arn)), "{}", terminal.screen());
    assert!(terminal.is_restored());
    assert_eq!(task.stop_code.as_deref(), Some("EssentialContainerExited"));
}

#[test]
fn a_task_that_somebody_else_stops_says_so_in_the_session() {
    let world = World::new();
    // A shell that edits its line may take a hangup for longer than the container has on a busy machine.
    let mut terminal = Terminal::start(&world.login().args(["-t", "--shell-command", "echo rea''dy; exec sleep 1000"]));
    terminal.expect("ready");
    let task = world.task().arn;
    world.call("ecs", "StopTask", &json!({"task": task, "reason": "maintenance"})).expect("asked");
    terminal.expect("fargate-login: the container is being stopped");
    assert_eq!(terminal.wait(), 128 + Signal::SIGHUP as i32, "{}", terminal.screen());
    assert!(terminal.is_restored());
    assert_eq!(world.stopped_task().stopped_reason.as_deref(), Some("maintenance"));
}

/// The container's first process, and the server below it.
fn init_and_serve(world: &World) -> [Pid; 2] {
    let pid = |id: u32| Pid::from_raw(i32::try_from(id).expect("a process id"));
    let init = world.task().pids[0];
    let children = std::fs::read_to_string(format!("/proc/{init}/task/{init}/children")).expect("a process");
    let serve = children.split_whitespace().next().expect("a child").parse().expect("a process id");
    [pid(init), pid(serve)]
}

#[test]
fn an_init_that_crashes_takes_its_container_along_and_is_told() {
    // A process of this machine whose init is gone hears of it and may still end its session in order; below a real PID 1 the
    // kernel ends everything.
    for (which, codes) in [(0, &[255, 128 + Signal::SIGHUP as i32][..]), (1, &[255])] {
        let world = World::new();
        let mut terminal = Terminal::start(&world.login());
        terminal.expect_prompt();
        let address = world.task().address.expect("an address");
        kill(init_and_serve(&world)[which], Signal::SIGKILL).expect("it runs");
        let code = terminal.wait();
        assert!(codes.contains(&code), "{code}: {}", terminal.screen());
        assert!(code != 255 || terminal.screen().contains("error:"), "{}", terminal.screen());
        assert!(terminal.is_restored());
        let task = world.stopped_task();
        assert_eq!(task.exit_codes, [("cli".to_owned(), Some(137))]);
        world.wait_gone(&address);
    }
}

/// A login on Fargate Spot, and its world.
fn on_spot(stop_timeout: u32) -> (World, Terminal) {
    let definition = include_str!("../../task-definitions/test-cli.json");
    let mut definition: serde_json::Value = serde_json::from_str(definition).expect("JSON");
    definition["containerDefinitions"][0]["stopTimeout"] = stop_timeout.into();
    let world = World::with(|config| config.task_definitions = vec![definition.to_string()]);
    let mut terminal = Terminal::start(&world.login().arg("--spot"));
    terminal.expect_prompt();
    world.wait_running(&world.task().arn);
    world.stand_in().inject(Fault::SpotInterruption { after: Duration::ZERO });
    (world, terminal)
}

#[test]
fn spots_notice_is_shown_and_the_session_goes_on() {
    let (world, mut terminal) = on_spot(120);
    terminal.expect("\x1b[22;2t\x1b]2;ends in 2 minutes\x07");
    terminal.expect("fargate-login: the container is being stopped; this session ends in 2 minutes");
    let task = world.call("ecs", "DescribeTasks", &json!({"tasks": [world.task().arn]})).expect("described");
    let task = &task["tasks"][0];
    let seen = [&task["lastStatus"], &task["desiredStatus"], &task["stopCode"]];
    assert_eq!(seen, ["RUNNING", "STOPPED", "SpotInterruption"]);
    terminal.send("echo still-$((40 + 2))\r");
    terminal.expect("still-42");
    terminal.send("exit 6\r");
    terminal.expect("\x1b[23;2t");
    assert_eq!(terminal.wait(), 6, "{}", terminal.screen());
    let task = world.stopped_task();
    assert_eq!(task.stop_code.as_deref(), Some("SpotInterruption"));
    assert_eq!(task.exit_codes, [("cli".to_owned(), Some(6))], "nobody waited for the two minutes");
}

#[test]
fn spots_notice_ends_the_session_before_the_container_is_killed() {
    let (world, mut terminal) = on_spot(9);
    terminal.expect("this session ends in 3 s");
    assert_eq!(terminal.wait(), 128 + Signal::SIGHUP as i32, "{}", terminal.screen());
    assert!(terminal.is_restored());
    let task = world.stopped_task();
    assert_eq!(task.exit_codes, [("cli".to_owned(), Some(143))], "it ended by itself, not by SIGKILL");
}

#[test]
fn a_caller_who_may_not_read_the_task_definition_gets_a_session_without_notice() {
    let denied = Fault::AccessDenied { action: "ecs:DescribeTaskDefinition".to_owned() };
    let world = World::with(|config| config.faults.push(denied));
    let done = world.login().args(["--spot", "--", "true"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("the session ends without notice"), "{}", done.stderr);
    let sent = world.stand_in().journal().into_iter().find(|call| call.action == "RunTask").expect("a RunTask");
    assert!(!sent.request.to_string().contains("STOP_NOTICE"), "{}", sent.request);
}

#[test]
fn a_spot_task_that_nobody_is_logged_in_to_ends_with_the_notice() {
    let world = World::new();
    // Connected, so the server listens, but not logged in.
    let parked = world.login().arg("--spot").park_at("after-route");
    world.stand_in().inject(Fault::SpotInterruption { after: Duration::ZERO });
    assert_eq!(world.stopped_task().exit_codes, [("cli".to_owned(), Some(143))]);
    parked.signal(Signal::SIGTERM);
    assert_eq!(parked.wait().code, 143);
}

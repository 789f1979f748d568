//! Sessions that break: cut, ended by others, or never there.

use e2e::{Terminal, World};
use local_fargate::{Config, Fault, Impairment};
use serde_json::json;

use super::{content, ended_sessions, fast, gone, through_ssm};

/// The only session that is not over.
fn open_session(world: &World) -> String {
    world.wait_until(|world| world.stand_in().sessions().iter().any(|session| !session.is_over));
    let sessions = world.stand_in().sessions();
    let mut open = sessions.into_iter().filter(|session| !session.is_over);
    let found = open.next().expect("just seen");
    assert!(open.next().is_none(), "one");
    found.id
}

/// What an administrator does.
pub(super) fn terminate(world: &World, id: &str) {
    world.call("ssm", "TerminateSession", &json!({"SessionId": id})).expect("asked");
}

/// Has the remote print what a file of this length holds, twice, and cuts the channel when `cut` says so.
fn survives(world: &World, length: usize, cut: bool) {
    let (folder, bytes) = (tempfile::tempdir().expect("a directory"), content(length));
    let path = folder.path().join("known");
    std::fs::write(&path, &bytes).expect("written");
    let line = format!("echo begun >&2; cat {0} {0}", path.display());
    let mut running = through_ssm(world).args(["--ssm-sessions", "1", "--shell-command", &line]).start();
    running.hear("begun");
    if cut {
        // Nobody reads standard output yet: bytes are on their way at every place.
        world.stand_in().cut_sessions();
    }
    let done = running.wait();
    let expected: Vec<u8> = bytes.iter().chain(&bytes).copied().collect();
    assert_eq!((done.code, done.stdout.len()), (0, expected.len()), "{}", done.stderr);
    assert!(done.stdout == expected, "the same bytes");
    let sessions = ended_sessions(world);
    assert!(sessions.len() == 1 && sessions[0].connections >= 2, "it was resumed: {sessions:?}");
}

#[test]
fn bytes_survive_a_cut_of_the_data_channel() {
    survives(&fast(), 4_000_000, true);
}

#[test]
fn bytes_survive_a_channel_that_is_cut_over_and_over() {
    let mut impairment = Impairment::default();
    impairment.cut_after_bytes = Some(400_000);
    // Paced, so that little is lost with each connection: agents send again the oldest message only, ten times a second.
    let world = World::with(|config: &mut Config| config.faults.push(Fault::Impaired(impairment)));
    survives(&world, 500_000, false);
}

#[test]
fn a_terminal_comes_back_when_its_session_is_ended_by_an_administrator() {
    let world = World::new();
    let mut terminal = Terminal::start(&through_ssm(&world));
    terminal.expect_prompt();
    terminal.send("kept=kept-$((40 + 2)); stty -echo; echo ready-$((1 + 1))\r");
    terminal.expect("ready-2");
    terminate(&world, &open_session(&world));
    terminal.expect("connection");
    terminal.send("echo $kept\r");
    terminal.expect("kept-42");
    terminal.send("exit 6\r");
    assert_eq!(terminal.wait(), 6, "{}", terminal.screen());
    assert!(terminal.is_restored());
    assert_eq!(ended_sessions(&world).len(), 2, "another session, the same task");
    gone(&world);
}

#[test]
fn a_command_that_is_not_kept_says_who_ended_it() {
    let world = World::new();
    let mut running = through_ssm(&world).args(["--shell-command", "echo ready; cat"]).start();
    running.read_until("ready");
    terminate(&world, &open_session(&world));
    let done = running.wait();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(
        done.stderr.contains("session of Systems Manager that carried the connection has ended"),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("hint: CloudTrail's TerminateSession events"), "{}", done.stderr);
    gone(&world);
}

#[test]
fn an_agent_that_comes_late_is_waited_for() {
    let world = World::with(|config: &mut Config| {
        // It connects 1.2 s after the container at the soonest: one look of the client's falls in between.
        config.latency = local_fargate::Latency::Scaled { percent: 40 };
        config.faults.push(Fault::Times { count: 2, fault: Box::new(Fault::AgentNotConnected) });
    });
    let done = through_ssm(&world).args(["--timings", "--shell-command", "exit 3"]).run();
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("waiting for the ExecuteCommandAgent"), "{}", done.stderr);
    let asked = world.calls().iter().filter(|call| *call == "ssm:StartSession").count();
    assert_eq!(asked, 3, "two were refused");
    gone(&world);
}

#[test]
fn an_agent_that_never_connects_is_told_with_what_it_needs() {
    let world = World::with(|config| config.faults.push(Fault::AgentNotConnected));
    let done = through_ssm(&world).args(["--start-timeout", "3s", "--", "true"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains("its agent is not connected to Systems Manager"), "{}", done.stderr);
    assert!(done.stderr.contains("ssmmessages"), "{}", done.stderr);
    gone(&world);
}

#[test]
fn an_agent_that_stopped_ends_the_wait_at_once() {
    let reason = "Unable to start the agent: no credentials";
    let world = World::with(|config: &mut Config| config.agents.stopped = Some(reason.to_owned()));
    let done = through_ssm(&world).args(["--", "true"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains(&format!("the task's ExecuteCommandAgent stopped: {reason}")), "{}", done.stderr);
    assert!(done.stderr.contains("task-ssm.json"), "{}", done.stderr);
    assert!(!world.calls().contains(&"ssm:StartSession".to_owned()));
    gone(&world);
}

#[test]
fn a_caller_who_may_start_no_session_is_told_at_once() {
    let denied = Fault::AccessDenied { action: "ssm:StartSession".to_owned() };
    let world = World::with(|config| config.faults.push(denied));
    let done = through_ssm(&world).args(["--", "true"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains("ssm:StartSession") && done.stderr.contains("hint:"), "{}", done.stderr);
    gone(&world);
}

//! `--host-key logs`: the container makes its host key, and the client reads it in the container's log before it trusts the host.

use std::ffi::OsString;

use e2e::{Program, World};
use fargate_contract::{HostSeed, grant};
use local_fargate::{Config, Fault, Latency};
use serde_json::{Value, json};

const GROUP: &str = "/ecs/test-cli";

/// Puts the shipped task definition into a log group that is made with the first task.
fn log_to(config: &mut Config, region: &str) {
    let mut definition: Value =
        serde_json::from_str(include_str!("../../task-definitions/test-cli.json")).expect("JSON");
    let options = json!({
        "awslogs-group": GROUP, "awslogs-region": region, "awslogs-stream-prefix": "p", "awslogs-create-group": "true",
    });
    definition["executionRoleArn"] = "arn:aws:iam::000000000000:role/test-cli-execution".into();
    definition["containerDefinitions"][0]["logConfiguration"] = json!({"logDriver": "awslogs", "options": options});
    config.task_definitions = vec![definition.to_string()];
}

pub(crate) fn world_with(configure: impl FnOnce(&mut Config)) -> World {
    World::with(|config| {
        log_to(config, "us-east-1");
        configure(config);
    })
}

/// A world whose image starts the init behind this line of shell, which has it as `"$0" "$@"`.
fn world_behind(line: &str) -> World {
    world_with(|config| {
        let wrapper = ["/bin/sh", "-c", line].map(OsString::from);
        config.images[0].entry_point.splice(0..0, wrapper);
    })
}

fn login(world: &World) -> Program {
    world.login().args(["--host-key", "logs"])
}

/// Requests of this kind.
fn requests(world: &World, action: &str) -> Vec<Value> {
    let calls = world.stand_in().journal().into_iter().filter(|call| call.action == action);
    calls.map(|call| call.request).collect()
}

fn announced(world: &World) -> Value {
    let log = world.stand_in().log(&world.task().arn, "cli");
    let mut lines = log.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.find(|line| line["event"] == "listen").expect("a listen line")
}

#[test]
fn the_host_key_is_read_in_the_log_and_no_seed_of_it_is_sent() {
    for flags in [&[][..], &["--spot"]] {
        let world = world_with(|_| {});
        let done = login(&world).args(flags).args(["--", "echo", "in"]).run();
        assert_eq!((done.code, done.text().as_str()), (0, "in\n"), "{}", done.stderr);
        let sent = &requests(&world, "RunTask")[0]["overrides"]["containerOverrides"][0]["environment"];
        let names: Vec<_> =
            sent.as_array().expect("variables").iter().filter_map(|known| known["name"].as_str()).collect();
        assert!(!names.contains(&grant::HOST_SEED) && names.contains(&grant::AUTHORIZED_PUBLIC_KEY), "{names:?}");
        assert_eq!(requests(&world, "DescribeTaskDefinition").len(), 1, "{flags:?}");
        let read = requests(&world, "GetLogEvents");
        let id = world.task().arn.rsplit('/').next().expect("an id").to_owned();
        assert_eq!(
            (&read[0]["logGroupName"], &read[0]["logStreamName"]),
            (&GROUP.into(), &format!("p/cli/{id}").into())
        );
        let calls = world.calls();
        let at = |call: &str| calls.iter().position(|known| known == call).expect("that call");
        assert!(at("ecs:DescribeTaskDefinition") < at("ecs:RunTask") && at("ecs:RunTask") < at("logs:GetLogEvents"));
    }
}

#[test]
fn a_host_that_shows_another_key_than_the_log_is_refused_and_stopped() {
    let forged = HostSeed::new([7; 32]).public_key();
    let line = format!(
        r#"printf '{{"event":"listen","run":"%s","host_key":"{}"}}\n' "$_FARGATE_LOGIN_RUN"; exec "$0" "$@""#,
        forged.to_openssh().expect("text").trim()
    );
    let world = world_behind(&line);
    let done = login(&world).args(["--", "true"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    let task = world.stopped_task();
    assert_eq!(task.stop_code.as_deref(), Some("UserInitiated"));
    let listen = world.stand_in().log(&task.arn, "cli");
    let mut lines = listen.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let shown = lines.find_map(|line| line["fingerprint"].as_str().map(str::to_owned));
    for fingerprint in [shown.expect("the init's own line"), forged.fingerprint(Default::default()).to_string()] {
        assert!(done.stderr.contains(&fingerprint), "{fingerprint}: {}", done.stderr);
    }
    assert!(done.stderr.contains("not the one the container's log announced"), "{}", done.stderr);
}

#[test]
fn lines_of_other_runs_and_other_programs_are_passed_over() {
    let line =
        r#"echo 'not JSON'; echo '{"event":"listen","run":"r-1","host_key":"ssh-ed25519 AAAA"}'; exec "$0" "$@""#;
    let world = world_behind(line);
    let done = login(&world).args(["--", "true"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(announced(&world)["run"], "r-1", "the other line comes first");
}

#[test]
fn a_log_that_is_late_is_waited_for_and_the_wait_is_timed() {
    let world = world_with(|config| config.latency = Latency::Scaled { percent: 20 });
    world.stand_in().inject(Fault::Throttle { action: "GetLogEvents".to_owned(), count: 2 });
    let done = login(&world).args(["--timings=json", "--", "true"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let line = done.stderr.lines().rev().find(|line| line.starts_with('{')).expect("timings");
    let timings: Value = serde_json::from_str(line).expect("JSON");
    let phases = timings["phases"].as_array().expect("phases");
    let wait = phases.iter().find(|phase| phase["phase"] == "host key in the log").expect("that phase");
    assert_eq!(wait["owner"], "aws");
}

#[test]
fn a_log_that_says_nothing_is_told_with_its_name() {
    let world = world_behind(r#"exec "$0" "$@" > /dev/null"#);
    let done = login(&world).args(["--start-timeout", "20s", "--", "true"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains("did not announce its host key within 20 s"), "{}", done.stderr);
    assert!(done.stderr.contains(GROUP) && done.stderr.contains("`listen` line"), "{}", done.stderr);
    assert_eq!(world.stopped_task().last_status, "STOPPED");
}

#[test]
fn without_a_log_there_is_no_task() {
    let world = World::new();
    let done = login(&world).args(["--", "true"]).run();
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("`cli` of test-cli:1 does not log to CloudWatch Logs"), "{}", done.stderr);
    assert!(done.stderr.contains("hint: ") && done.stderr.contains("awslogs-stream-prefix"), "{}", done.stderr);
    assert!(!world.calls().contains(&"ecs:RunTask".to_owned()), "{:?}", world.calls());
}

#[test]
fn who_may_not_read_is_told_what_to_allow() {
    let world = world_with(|config| {
        config.faults.push(Fault::AccessDenied { action: "logs:GetLogEvents".to_owned() });
    });
    let done = login(&world).args(["--", "true"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains("task-definitions/iam/host-key-logs.json"), "{}", done.stderr);
    assert_eq!(world.stopped_task().last_status, "STOPPED");
    let world = world_with(|config| {
        config.faults.push(Fault::AccessDenied { action: "ecs:DescribeTaskDefinition".to_owned() });
    });
    let done = login(&world).args(["--", "true"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(world.stand_in().tasks().is_empty(), "{}", done.stderr);
}

#[test]
fn a_dry_run_names_the_log_and_the_calls() {
    let world = world_with(|_| {});
    let done = login(&world).arg("--dry-run").run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let plan: Value = serde_json::from_slice(&done.stdout).expect("JSON on stdout");
    assert_eq!(plan["ssh"]["hostKeyLog"], json!({"group": GROUP, "stream": "p/cli/TASK", "region": "us-east-1"}));
    let calls = plan["calls"].as_array().expect("calls");
    assert!(["ecs:DescribeTaskDefinition", "logs:GetLogEvents"].iter().all(|call| calls.contains(&(*call).into())));
    assert_eq!(requests(&world, "DescribeTaskDefinition").len(), 1);
}

#[test]
fn the_stand_in_of_one_login_keeps_a_log_too() {
    let world = World::new();
    let done = world.program().args(["--local", "-n", "test-cli", "--host-key", "logs", "--", "echo", "in"]).run();
    assert_eq!((done.code, done.text().as_str()), (0, "in\n"), "{}", done.stderr);
}

//! The README's command: a shell on a container that did not exist, and nothing left behind.

use e2e::world::processes_at;
use e2e::{Terminal, World};

#[test]
fn a_shell_opens_and_nothing_is_left() {
    let world = World::new();
    let mut terminal = Terminal::start(&world.login());
    terminal.expect_prompt();
    let address = world.task().address.expect("the task has an address");
    assert!(!processes_at(&address).is_empty(), "the task is real processes");
    terminal.send("echo $((40 + 2))\r");
    terminal.expect("42");
    terminal.send("exit\r");
    assert_eq!(terminal.wait(), 0, "{}", terminal.screen());
    assert!(terminal.is_restored());
    let task = world.stopped_task();
    assert_eq!(task.exit_codes, [("cli".to_owned(), Some(0))]);
    assert_eq!(processes_at(&address), Vec::<String>::new());
    assert!(std::net::TcpStream::connect((address.as_str(), 2222)).is_err(), "nothing listens any more");
}

#[test]
fn the_calls_are_the_planned_ones_and_the_task_is_always_stopped() {
    let world = World::new();
    let done = world.login().args(["--", "true"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut calls = world.calls();
    assert_eq!(calls.remove(0), "sts:GetCallerIdentity");
    assert_eq!(calls.remove(0), "ecs:RunTask");
    assert_eq!(calls.last().map(String::as_str), Some("ecs:StopTask"));
    for call in &calls {
        assert!(
            ["ecs:DescribeTasks", "ec2:DescribeNetworkInterfaces", "ecs:StopTask"].contains(&call.as_str()),
            "{call}"
        );
    }
}

#[test]
fn a_dry_run_shows_the_request_and_changes_nothing() {
    let world = World::new();
    let done = world.login().args(["--dry-run", "--cpu", "512", "--memory", "1024", "--env", "A=b c"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let plan: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON on stdout");
    let request = &plan["runTask"];
    assert_eq!(request["networkConfiguration"]["awsvpcConfiguration"]["subnets"][0], "subnet-1");
    assert_eq!(request["overrides"]["cpu"], "512");
    assert!(plan["price"]["usdPerHour"].as_f64().expect("a price") > 0.02);
    let environment = request["overrides"]["containerOverrides"][0]["environment"].as_array().expect("variables");
    assert!(environment.iter().any(|variable| variable["name"] == "A" && variable["value"] == "b c"));
    let read_only = ["sts:GetCallerIdentity", "ecs:DescribeTaskDefinition"];
    assert!(world.calls().iter().all(|call| read_only.contains(&call.as_str())), "{:?}", world.calls());
}

#[test]
fn what_a_dry_run_shows_is_what_is_sent() {
    let world = World::new();
    let flags = ["--env", "A=b", "--ephemeral-storage", "30", "--task-role-arn", "arn:aws:iam::000000000000:role/r"];
    let shown = world.login().arg("--dry-run").args(flags).run();
    let done = world.login().args(flags).args(["--", "true"]).run();
    assert_eq!((shown.code, done.code), (0, 0), "{}{}", shown.stderr, done.stderr);
    let plan: serde_json::Value = serde_json::from_slice(&shown.stdout).expect("JSON on stdout");
    let sent = world.stand_in().journal().into_iter().find(|call| call.action == "RunTask").expect("a RunTask").request;
    assert_eq!(without_secrets(&plan["runTask"]), without_secrets(&sent));
}

/// The request with each run's own values replaced.
fn without_secrets(request: &serde_json::Value) -> serde_json::Value {
    let mut request = request.clone();
    let sent: Vec<&str> = vec!["_AUTHORIZED_PUBLIC_KEY", "_FARGATE_LOGIN_HOST_SEED", "_FARGATE_LOGIN_RUN"];
    request["clientToken"] = "run".into();
    for tag in request["tags"].as_array_mut().expect("tags") {
        if tag["key"] == "fargate-login:run" {
            tag["value"] = "run".into();
        }
    }
    let environment = request["overrides"]["containerOverrides"][0]["environment"].as_array_mut().expect("variables");
    for variable in environment {
        if sent.iter().any(|name| variable["name"] == *name) {
            variable["value"] = "run".into();
        }
    }
    request
}

#[test]
fn local_is_one_command() {
    let world = World::new();
    let local = ["--local", "-n", "test-cli", "-sg", "sg-1", "-sn", "subnet-1"];
    let program = world.program().env("AWS_PROFILE", "a-profile-that-is-not-there").args(local);
    let mut terminal = Terminal::start(&program);
    terminal.expect_prompt();
    terminal.send("echo ok-$USER; exit 7\r");
    terminal.expect("ok-");
    assert_eq!(terminal.wait(), 7, "{}", terminal.screen());
    assert_eq!(world.calls(), Vec::<String>::new(), "no call left the embedded stand-in");
}

#[test]
fn timings_for_machines_separate_our_time_from_that_of_aws() {
    let world = World::new();
    let done = world.login().args(["--timings=json", "-q", "--", "true"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let timings: serde_json::Value = serde_json::from_str(&done.stderr).expect("one JSON object");
    let owners: Vec<_> = timings["phases"].as_array().expect("phases").iter().map(|phase| &phase["owner"]).collect();
    for owner in ["client", "aws", "session"] {
        assert!(owners.iter().any(|known| *known == owner), "{owner} in {timings}");
    }
}

#[test]
fn a_sidecar_that_ends_does_not_end_the_task() {
    let two = r#"{"family": "two", "networkMode": "awsvpc", "cpu": "256", "memory": "512", "containerDefinitions": [
        {"name": "sidecar", "image": "sidecar", "essential": false, "command": ["exit 3"]},
        {"name": "cli", "image": "fargate-login/test-cli:latest"}]}"#;
    let world = World::with(|config| {
        let entry_point = vec!["/bin/sh".into(), "-c".into()];
        config.images.push(local_fargate::ProcessImage { name: "sidecar".to_owned(), entry_point, env: Vec::new() });
        config.task_definitions.push(two.to_owned());
    });
    let done = world.login().args(["-n", "two", "--shell-command", "echo here; exit 4"]).run();
    assert_eq!((done.code, done.text().as_str()), (4, "here\n"), "{}", done.stderr);
    let ended: std::collections::BTreeMap<_, _> = world.stopped_task().exit_codes.into_iter().collect();
    assert_eq!(ended["sidecar"], Some(3));
    assert_eq!(ended["cli"], Some(4));
}

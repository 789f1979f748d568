//! `ps`, `stop` and `gc` with tasks that run: everybody's are seen, nobody's are stopped by mistake.

use e2e::program::Running;
use e2e::redact::redact;
use e2e::{Finished, World};
use local_fargate::Fault;
use serde_json::{Value, json};

/// A session that stays until it is stopped, and the id of its task.
fn session(world: &World, flags: &[&str]) -> (Running, String) {
    let before = world.stand_in().tasks().len();
    let mut running = world.login().args(flags).args(["--shell-command", "echo ready; exec sleep 1000"]).start();
    running.read_until("ready");
    let arn = world.stand_in().tasks()[before].arn.clone();
    (running, arn.rsplit('/').next().expect("an id").to_owned())
}

/// A task of this tool that somebody else has started, by what their client sends.
fn somebody_elses(world: &World) -> String {
    let sent = world.stand_in().journal().into_iter().find(|call| call.action == "RunTask").expect("a RunTask");
    let mut request = sent.request;
    request["clientToken"] = "another".into();
    request["tags"] = json!([{"key": "fargate-login:caller", "value": "arn:aws:iam::000000000000:user/joe"}]);
    let reply = world.call("ecs", "RunTask", &request).expect("a task");
    let arn = reply["tasks"][0]["taskArn"].as_str().expect("an ARN").to_owned();
    world.wait_running(&arn);
    arn.rsplit('/').next().expect("an id").to_owned()
}

/// A task of another tool.
fn another_tools(world: &World) -> String {
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"], "assignPublicIp": "ENABLED"}});
    let request = json!({"taskDefinition": "sleeper", "launchType": "FARGATE", "startedBy": "cron", "networkConfiguration": network});
    let reply = world.call("ecs", "RunTask", &request).expect("a task");
    reply["tasks"][0]["taskArn"].as_str().expect("an ARN").rsplit('/').next().expect("an id").to_owned()
}

fn world() -> World {
    World::with(|config| {
        let entry_point = vec!["/bin/sleep".into(), "1000".into()];
        config.images.push(local_fargate::ProcessImage { name: "sleeper".to_owned(), entry_point, env: Vec::new() });
        let sleeper = json!({
            "family": "sleeper", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256",
            "memory": "512", "containerDefinitions": [{"name": "sleeper", "image": "sleeper"}],
        });
        config.task_definitions.push(sleeper.to_string());
    })
}

fn ps(world: &World, flags: &[&str]) -> Vec<Value> {
    let done = world.program().args(["ps", "-o", "json"]).args(flags).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    serde_json::from_slice(&done.stdout).expect("a list")
}

fn is_stopped(world: &World, id: &str) -> bool {
    let tasks = world.stand_in().tasks();
    let task = tasks.iter().find(|task| task.arn.ends_with(id)).expect("a task");
    task.stop_code.is_some()
}

fn told(done: &Finished) -> String {
    let lines: Vec<_> =
        done.stderr.lines().filter(|line| line.starts_with("error:") || line.starts_with("hint:")).collect();
    redact(&format!("exit status {}\n{}\n", done.code, lines.join("\n")))
}

#[test]
fn ps_shows_the_tasks_of_this_tool_and_no_others() {
    let world = world();
    let (running, id) = session(&world, &["--idle-timeout", "30m", "--max-lifetime", "2h"]);
    another_tools(&world);
    let seen = ps(&world, &[]);
    assert_eq!(seen.len(), 1, "{seen:?}");
    let (seen, address) = (&seen[0], world.stand_in().tasks()[0].address.clone());
    assert_eq!(seen["task_id"], id.as_str());
    assert_eq!((&seen["cluster"], &seen["phase"]), (&json!("default"), &json!("running")));
    assert_eq!(seen["task_definition"], "test-cli:1");
    assert_eq!(seen["caller"], "arn:aws:iam::000000000000:user/local");
    assert_eq!((seen["address"].as_str(), &seen["idle_limit_seconds"]), (address.as_deref(), &json!(1800)));
    assert!(seen["usd_so_far"].as_f64().expect("a cost") > 0.0, "{seen}");
    let instant = |name: &str| seen[name].as_str().expect("an instant").parse::<jiff::Timestamp>().expect("RFC 3339");
    assert_eq!((instant("deadline") - instant("created_at")).get_seconds(), 7200);
    let table = world.program().arg("ps").run();
    let table: Vec<String> = table.text().lines().map(str::to_owned).collect();
    assert_eq!(table.len(), 2, "{table:?}");
    assert!(table[0].starts_with("TASK          AGE"), "{table:?}");
    for word in [&id[..12], "user/local", "running", "1h59m", "30m", "$0.000"] {
        assert!(table[1].contains(word), "{word} in {table:?}");
    }
    let done = world.program().args(["stop", &id[..8]]).run();
    assert_eq!(
        (done.code, done.text()),
        (0, format!("{id}\tstopped, was running, of user/local\n")),
        "{}",
        done.stderr
    );
    assert_eq!(running.wait().code, 129, "the command was hung up");
    assert!(ps(&world, &[]).is_empty(), "what is being stopped is not shown");
}

#[test]
fn all_clusters_are_looked_through() {
    let world = world();
    world.call("ecs", "CreateCluster", &json!({"clusterName": "tools"})).expect("made");
    let (here, _) = session(&world, &[]);
    let (there, id) = session(&world, &["-cluster", "tools"]);
    let clusters = |seen: &[Value]| {
        seen.iter().map(|task| task["cluster"].as_str().expect("a name").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(clusters(&ps(&world, &["--all-clusters"])), ["default", "tools"]);
    assert_eq!(clusters(&ps(&world, &["-cluster", "tools"])), ["tools"]);
    let elsewhere = world.program().args(["stop", &id]).run();
    assert_eq!(elsewhere.code, 255, "it is in another cluster: {}", elsewhere.stderr);
    assert!(!is_stopped(&world, &id));
    let done = world.program().args(["stop", "--all", "--all-clusters"]).run();
    assert_eq!((done.code, done.text().lines().count()), (0, 2), "{}", done.stderr);
    let _ = (here.wait(), there.wait());
}

#[test]
fn stop_all_stops_ones_own_and_everybody_stops_the_rest() {
    let world = world();
    let (running, own) = session(&world, &[]);
    let (others, foreign) = (somebody_elses(&world), another_tools(&world));
    let done = world.program().args(["stop", "--all"]).run();
    assert_eq!(
        (done.code, done.text()),
        (0, format!("{own}\tstopped, was running, of user/local\n")),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains("1 left alone"), "{}", done.stderr);
    assert_eq!([is_stopped(&world, &own), is_stopped(&world, &others)], [true, false]);
    let done = world.program().args(["stop", "--all", "--everybody"]).run();
    assert_eq!(
        (done.code, done.text()),
        (0, format!("{others}\tstopped, was running, of user/joe\n")),
        "{}",
        done.stderr
    );
    assert!(!is_stopped(&world, &foreign), "another tool's");
    let _ = running.wait();
}

#[test]
fn gc_leaves_running_sessions_alone() {
    let world = world();
    let (running, id) = session(&world, &[]);
    let others = somebody_elses(&world);
    let done = world.program().arg("gc").run();
    assert_eq!((done.code, done.text().as_str()), (0, ""), "{}", done.stderr);
    assert!(done.stderr.contains("0 tasks stopped"), "{}", done.stderr);
    assert!(!is_stopped(&world, &id) && !is_stopped(&world, &others));
    assert_eq!(world.program().args(["stop", &id]).run().code, 0);
    let _ = running.wait();
}

#[test]
fn what_cannot_be_listed_or_stopped_is_told() {
    let world = world();
    let (running, id) = session(&world, &[]);
    let nowhere = world.program().args(["ps", "-cluster", "nowhere"]).run();
    let unknown = world.program().args(["stop", "no-such-task"]).run();
    world.stand_in().inject(Fault::AccessDenied { action: "ecs:StopTask".to_owned() });
    let refused = world.program().args(["stop", &id]).run();
    assert!(!is_stopped(&world, &id));
    world.stand_in().inject(Fault::AccessDenied { action: "ecs:ListTasks".to_owned() });
    let denied = world.program().arg("ps").run();
    insta::assert_snapshot!([nowhere, unknown, refused, denied].iter().map(told).collect::<Vec<_>>().join("\n"));
    running.signal(nix::sys::signal::Signal::SIGKILL);
    let _ = running.wait();
}

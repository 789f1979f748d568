//! `services`, `tasks` and `describe`: whoever has launched it, all of it is told, and nothing twice.

pub(crate) mod account;
mod failures;
mod pages;

use e2e::{Terminal, World};
use serde_json::{Value, json};

pub(crate) use account::account;
use account::{list, run_task};

#[test]
fn tasks_of_everybody_are_told_with_what_one_chooses_by() {
    let world = account(&[("web", 2)]);
    let seen = list(&world, &["tasks"]);
    assert_eq!(seen.len(), 2, "{seen:?}");
    let described = world.call("ecs", "DescribeTasks", &json!({"tasks": [seen[0]["taskArn"]]})).expect("described");
    let described = &described["tasks"][0];
    for name in ["taskArn", "clusterArn", "taskDefinitionArn", "group", "startedBy", "lastStatus", "cpu", "memory"] {
        assert_eq!(seen[0][name], described[name], "{name}");
    }
    assert_eq!((&seen[0]["group"], &seen[0]["enableExecuteCommand"]), (&json!("service:web"), &json!(true)));
    let (app, runtime_id) = (&seen[0]["containers"][0], &described["containers"][0]["runtimeId"]);
    assert_eq!((&app["name"], &app["runtimeId"]), (&json!("app"), runtime_id));
    assert_eq!(app["executeCommandAgent"]["lastStatus"], "RUNNING");
    let id = seen[0]["taskArn"].as_str().and_then(|arn| arn.rsplit('/').next()).expect("an id");
    assert_eq!(app["target"], format!("ecs:default_{id}_{}", runtime_id.as_str().expect("a text")));
    assert_eq!(
        seen[0]["publicIp"], seen[0]["privateIpv4Address"],
        "the stand-in's public addresses are the private ones"
    );
    assert!(seen[0]["publicIp"].is_string() && seen[0]["createdAt"].is_string(), "{}", seen[0]);
    assert_eq!(seen[0]["tags"], json!([{"key": "team", "value": "shop"}]));
}

#[test]
fn a_terminal_shows_tables() {
    let world = account(&[("web-frontend", 2)]);
    for (command, words) in [
        ("services", ["SERVICE", "web-frontend", "2/2", "COMPLETED"]),
        ("tasks", ["TASK  ", "ADDRESS", "RUNNING", "yes"]),
    ] {
        let mut terminal = Terminal::start(&world.program().arg(command));
        words.iter().for_each(|word| terminal.expect(word));
        assert_eq!(terminal.wait(), 0, "{}", terminal.screen());
        // The spinner's line comes before, and is wiped out in place.
        let table: Vec<_> =
            terminal.screen().lines().map(str::to_owned).skip_while(|line| !line.contains("EXEC")).collect();
        assert!(table.len() > 1, "{}", terminal.screen());
        assert!(table[1..].iter().all(|line| line.chars().count() <= 80), "{table:?}");
    }
    let piped = world.program().arg("tasks").run();
    assert!(piped.text().lines().all(|line| !line.contains('…')), "what is no terminal is not cut: {}", piped.text());
}

#[test]
fn services_tell_how_they_stand() {
    let world = account(&[("web", 2), ("worker", 0)]);
    let seen = list(&world, &["services"]);
    let names: Vec<_> = seen.iter().map(|service| service["serviceName"].as_str().expect("a name")).collect();
    assert_eq!(names, ["web", "worker"]);
    let web = &seen[0];
    assert_eq!([&web["desiredCount"], &web["runningCount"], &web["pendingCount"]], [&json!(2), &json!(2), &json!(0)]);
    assert_eq!((&web["enableExecuteCommand"], &web["rolloutState"]), (&json!(true), &json!("COMPLETED")));
    assert_eq!(web["awsvpcConfiguration"]["subnets"], json!(["subnet-1"]));
    let of_worker = list(&world, &["tasks", "--service", "worker"]);
    assert_eq!(of_worker, Vec::<Value>::new());
    let of_web = list(&world, &["tasks", "--service", web["serviceArn"].as_str().expect("an ARN")]);
    assert_eq!(of_web.len(), 2);
}

#[test]
fn a_task_is_described_by_its_id_by_a_beginning_by_its_arn_and_after_its_end() {
    let world = account(&[]);
    let (arn, other) = (run_task(&world, "default", "web"), run_task(&world, "default", "web"));
    world.call("ecs", "StopTask", &json!({"task": other, "reason": "maintenance"})).expect("stopped");
    world.wait_stopped(&other);
    let id = arn.rsplit('/').next().expect("an id");
    let described = |name: &str, flags: &[&str]| {
        let done = world.program().args(["describe", name, "-o", "json"]).args(flags).run();
        assert_eq!(done.code, 0, "{name}: {}", done.stderr);
        serde_json::from_slice::<Value>(&done.stdout).expect("JSON")
    };
    for (name, flags) in [(id, &[][..]), (&id[..10], &[]), (&arn, &["-cluster", "elsewhere"]), (&id[..10], &["-A"])] {
        assert_eq!(described(name, flags)["taskArn"], arn.as_str(), "{name}");
    }
    assert_eq!(list(&world, &["tasks"]), [described(id, &[])], "both tell the same");
    let stopped = other.rsplit('/').next().expect("an id");
    for name in [stopped, &stopped[..10]] {
        let seen = described(name, &[]);
        assert_eq!((&seen["lastStatus"], &seen["stoppedReason"]), (&json!("STOPPED"), &json!("maintenance")));
        assert_eq!(seen["containers"][0]["executeCommandAgent"]["lastStatus"], "STOPPED");
    }
    let lately = world.program().args(["tasks", "--stopped"]).run();
    assert!(lately.text().contains("maintenance"), "{}{}", lately.text(), lately.stderr);
    let text = world.program().args(["describe", &id[..10]]).run();
    let target = described(id, &[])["containers"][1]["target"].as_str().expect("a target").to_owned();
    for words in [
        &arn,
        "Group:           family:web",
        "ECS Exec:        yes",
        "Container proxy",
        "Tags:            team=shop",
        &target,
    ] {
        assert!(text.text().contains(words), "{words} in {}", text.text());
    }
}

#[test]
fn the_agent_runs_after_its_container_and_ends_with_it() {
    let world = World::with(|config| {
        let entry_point = vec!["/bin/sleep".into(), "1000".into()];
        config.images.push(local_fargate::ProcessImage { name: "app:42".to_owned(), entry_point, env: Vec::new() });
        config.images.push(local_fargate::ProcessImage {
            name: "proxy:1".to_owned(),
            entry_point: vec!["/bin/sleep".into(), "1000".into()],
            env: Vec::new(),
        });
        config.task_definitions.push(account::definition().to_string());
    });
    let reply = world.call("ecs", "RunTask", &account::request("default", "web", 1)).expect("a task");
    let task = &reply["tasks"][0];
    assert_eq!(
        task["containers"][0]["managedAgents"],
        json!([{"name": "ExecuteCommandAgent", "lastStatus": "PENDING"}])
    );
    let arn = task["taskArn"].as_str().expect("an ARN");
    let agents = || {
        let seen = world.call("ecs", "DescribeTasks", &json!({"tasks": [arn]})).expect("described");
        let containers = seen["tasks"][0]["containers"].as_array().cloned().unwrap_or_default();
        containers.iter().map(|known| known["managedAgents"][0]["lastStatus"].clone()).collect::<Vec<_>>()
    };
    world.wait_until(|_| agents() == ["RUNNING", "RUNNING"]);
    let table = world.program().arg("tasks").run();
    assert!(table.text().contains(" yes "), "{}{}", table.text(), table.stderr);
    world.call("ecs", "StopTask", &json!({"task": arn})).expect("stopped");
    world.wait_until(|_| agents() == ["STOPPED", "STOPPED"]);
}

//! `dependsOn`: who starts before whom, and what happens when that cannot be.

use serde_json::{Value, json};

use super::{container, describe, log, register, run, run_to_its_end, shell, shell_with, world};

fn after(name: &str, condition: &str) -> Value {
    json!({"dependsOn": [{"containerName": name, "condition": condition}]})
}

#[test]
fn a_container_starts_after_those_that_have_to_succeed_and_sees_what_they_left() {
    let Some(world) = world() else { return };
    let volume = |read_only: bool| json!([{"sourceVolume": "handed-on", "containerPath": "/v", "readOnly": read_only}]);
    let first =
        shell_with("first", "ls /v; echo made > /v/file", json!({"essential": false, "mountPoints": volume(false)}));
    let mut second =
        shell_with("second", "cat /v/file; touch /v/other 2>/dev/null || echo no", after("first", "SUCCESS"));
    second["mountPoints"] = volume(true);
    // The one that waits stands first: the order of the list is not the order of the starts.
    let containers = json!([second, first]);
    let more = json!({"volumes": [{"name": "handed-on"}]});
    for _ in 0..2 {
        let task = run_to_its_end(&world, containers.clone(), more.clone());
        assert_eq!(log(&world, &task, "first"), Vec::<String>::new(), "a task's volume is empty at first");
        assert_eq!(log(&world, &task, "second"), ["made", "no"]);
        assert_eq!(task["stoppedReason"], "Essential container in task exited");
    }
    let left = e2e::docker::lines(&["volume", "ls", "--quiet", "--filter", "label=local-fargate.task"]);
    let ours: Vec<_> = left.iter().filter(|name| name.ends_with("-handed-on")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}

#[test]
fn a_container_whose_dependency_fails_never_starts() {
    let Some(world) = world() else { return };
    let first = shell_with("first", "exit 7", json!({"essential": false}));
    let task =
        run_to_its_end(&world, json!([first, shell_with("second", "true", after("first", "SUCCESS"))]), json!({}));
    assert_eq!(container(&task, "first")["exitCode"], 7);
    assert_eq!(container(&task, "second")["exitCode"], 143);
    let reason = container(&task, "second")["reason"].as_str().expect("a reason");
    assert!(
        reason.contains("failed to resolve container ordering dependency") && reason.contains("Exit: 7"),
        "{reason}"
    );
    assert_eq!((&task["stopCode"], &task["startedAt"]), (&json!("EssentialContainerExited"), &Value::Null));
}

#[test]
fn health_is_what_the_check_finds() {
    let Some(world) = world() else { return };
    let check =
        json!({"essential": false, "healthCheck": {"command": ["CMD-SHELL", "test -e /tmp/well"], "interval": 5}});
    let app = shell_with("app", "touch /tmp/well; exec sleep 1000", check);
    let user = shell_with("user", "echo it is well", after("app", "HEALTHY"));
    let task = run_to_its_end(&world, json!([app, user]), json!({}));
    assert_eq!(log(&world, &task, "user"), ["it is well"]);
    assert_eq!(container(&task, "app")["healthStatus"], "HEALTHY");
    assert_eq!(container(&task, "app")["exitCode"], 137, "it did not listen to SIGTERM, as PID 1");
}

#[test]
fn what_started_first_is_stopped_last() {
    let Some(world) = world() else { return };
    // The first says goodbye only to those who are still there.
    let serve = "mkdir /w; echo hi > /w/x; httpd -p 8080 -h /w; trap 'exit 0' TERM; while :; do sleep 0.1; done";
    let server = shell_with("server", serve, json!({"essential": false}));
    let get = "wget -qO- http://localhost:8080/x >/dev/null";
    let line = format!(
        "until {get} 2>&1; do sleep 0.1; done; trap '{get} && exit 5; exit 6' TERM; echo up; while :; do sleep 0.1; done"
    );
    register(&world, json!([server, shell_with("client", &line, after("server", "START"))]), json!({}))
        .expect("registered");
    let arn = run(&world);
    world.wait_for_log(&arn, "client", "up");
    world.call("ecs", "StopTask", &json!({"task": arn, "reason": "enough"})).expect("asked");
    world.wait_stopped(&arn);
    let task = describe(&world, &arn);
    assert_eq!(container(&task, "client")["exitCode"], 5, "{task}");
    assert_eq!(container(&task, "server")["exitCode"], 0);
    assert_eq!((&task["stopCode"], &task["stoppedReason"]), (&json!("UserInitiated"), &json!("enough")));
}

#[test]
fn a_container_that_is_not_essential_ends_alone() {
    let Some(world) = world() else { return };
    let short = shell_with("short", "exit 3", json!({"essential": false}));
    let long = shell_with("long", "echo done; exit 4", after("short", "COMPLETE"));
    let task = run_to_its_end(&world, json!([short, long, shell("third", "exec sleep 1000")]), json!({}));
    let codes: Vec<_> = ["short", "long", "third"].map(|name| container(&task, name)["exitCode"].clone()).into();
    assert_eq!(codes, [3, 4, 137]);
}

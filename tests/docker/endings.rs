//! How tasks end, and that nothing is left of them.

use e2e::{Terminal, docker};
use serde_json::{Value, json};

use super::{container, describe, register, run, run_to_its_end, shell, shell_with, world};

#[test]
fn a_missing_image_is_told_as_fargate_does() {
    let Some(world) = world() else { return };
    let app = json!({"name": "app", "image": "registry.invalid/none:1"});
    let task = run_to_its_end(&world, json!([app]), json!({}));
    assert_eq!((&task["stopCode"], &task["startedAt"]), (&json!("TaskFailedToStart"), &Value::Null));
    let reason = task["stoppedReason"].as_str().expect("a reason");
    assert!(reason.starts_with("CannotPullContainerError: pull image manifest has been retried"), "{reason}");
    assert!(reason.ends_with("registry.invalid/none:1: not found"), "{reason}");
    assert_eq!(container(&task, "app")["exitCode"], Value::Null);
}

#[test]
fn an_image_for_another_machine_is_told_as_fargate_does() {
    let Some(world) = world() else { return };
    let other = if cfg!(target_arch = "x86_64") { "ARM64" } else { "X86_64" };
    let platform = json!({"runtimePlatform": {"cpuArchitecture": other, "operatingSystemFamily": "LINUX"}});
    let task = run_to_its_end(&world, json!([shell("app", "true")]), platform);
    let reason = task["stoppedReason"].as_str().expect("a reason");
    assert!(reason.contains("does not contain descriptor matching platform 'linux/"), "{reason}");
}

#[test]
fn a_program_that_is_not_there_is_told() {
    let Some(world) = world() else { return };
    let app = json!({"name": "app", "command": ["/no/such/program"]});
    let task = run_to_its_end(&world, json!([app]), json!({}));
    let reason = container(&task, "app")["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("CannotStartContainerError:") && reason.contains("/no/such/program"), "{reason}");
    assert_eq!(task["stopCode"], "TaskFailedToStart");
}

#[test]
fn out_of_memory_is_137_and_says_so() {
    let Some(world) = world() else { return };
    let app = shell_with("app", "exec tail /dev/zero", json!({"memory": 16}));
    let task = run_to_its_end(&world, json!([app]), json!({}));
    assert_eq!(container(&task, "app")["exitCode"], 137);
    assert_eq!(container(&task, "app")["reason"], "OutOfMemoryError: Container killed due to memory usage");
    assert_eq!(task["stopCode"], "EssentialContainerExited");
}

#[test]
fn a_container_that_does_not_stop_is_killed_when_its_time_is_up() {
    let Some(world) = world() else { return };
    let deaf = shell_with("deaf", "trap '' TERM; echo up; while :; do sleep 0.1; done", json!({"stopTimeout": 2}));
    register(&world, json!([deaf]), json!({})).expect("registered");
    let arn = run(&world);
    world.wait_for_log(&arn, "deaf", "up");
    world.call("ecs", "StopTask", &json!({"task": arn})).expect("asked");
    world.wait_stopped(&arn);
    let task = describe(&world, &arn);
    assert_eq!(container(&task, "deaf")["exitCode"], 137);
    assert_eq!(container(&task, "deaf")["reason"], Value::Null, "nobody was out of memory");
}

#[test]
fn a_task_leaves_nothing_and_neither_does_the_stand_in() {
    let Some(mut world) = world() else { return };
    register(&world, json!([shell("app", "echo up; exec sleep 1000")]), json!({"volumes": [{"name": "v"}]}))
        .expect("registered");
    let (first, second) = (run(&world), run(&world));
    let id = |arn: &str| arn.rsplit('/').next().expect("an id").to_owned();
    for arn in [&first, &second] {
        world.wait_for_log(arn, "app", "up");
        assert_eq!(docker::containers(&id(arn)).len(), 2, "the container, and the one that holds the network");
    }
    world.call("ecs", "StopTask", &json!({"task": first})).expect("asked");
    world.wait_stopped(&first);
    assert_eq!(docker::containers(&id(&first)), Vec::<String>::new());
    world.end();
    assert_eq!(docker::containers(&id(&second)), Vec::<String>::new());
    let volumes =
        docker::lines(&["volume", "ls", "--quiet", "--filter", &format!("label=local-fargate.task={}", id(&second))]);
    assert_eq!(volumes, Vec::<String>::new());
}

#[test]
fn a_command_that_runs_out_of_memory_is_told_by_its_status_and_nothing_is_left() {
    let Some(mut world) = world() else { return };
    if !docker::has(e2e::world::IMAGE) {
        return;
    }
    let definition = include_str!("../../task-definitions/test-cli.json");
    let mut definition: Value = serde_json::from_str(definition).expect("JSON");
    definition["containerDefinitions"][0]["memory"] = 64.into();
    world.call("ecs", "RegisterTaskDefinition", &definition).expect("registered");
    let login = world.program().args(["-n", "test-cli", "-sg", "sg-1", "-sn", "subnet-1"]);
    let done = login.args(["--", "tail", "/dev/zero"]).run();
    // The kernel ends the largest process, and the init is the smallest.
    assert_eq!(done.code, 137, "{}", done.stderr);
    let task = world.stopped_task();
    assert_eq!(task.exit_codes, [("cli".to_owned(), Some(137))], "the session's own");
    let id = task.arn.rsplit('/').next().expect("an id").to_owned();
    world.end();
    assert_eq!(docker::containers(&id), Vec::<String>::new());
}

#[test]
fn a_pid_1_that_is_killed_takes_the_session_along() {
    let Some(world) = world() else { return };
    if !docker::has(e2e::world::IMAGE) {
        return;
    }
    let login = world.program().args(["-n", "test-cli", "-sg", "sg-1", "-sn", "subnet-1"]);
    let mut terminal = Terminal::start(&login);
    terminal.expect("$ ");
    let id = world.task().arn.rsplit('/').next().expect("an id").to_owned();
    let of_task = format!("label=local-fargate.task={id}");
    let named = docker::lines(&["ps", "--quiet", "--filter", &of_task, "--filter", "label=local-fargate.container"]);
    let _ = docker::lines(&["kill", "--signal", "KILL", &named[0]]);
    assert_eq!(terminal.wait(), 255, "{}", terminal.screen());
    assert!(terminal.is_restored());
    assert_eq!(world.stopped_task().exit_codes, [("cli".to_owned(), Some(137))]);
}

//! A stand-in that is killed: the next one sweeps what it left.

use e2e::{World, api, docker};
use nix::sys::signal::Signal;
use serde_json::json;

use super::shell;

#[test]
fn the_next_start_sweeps_what_a_killed_stand_in_left() {
    if !docker::is_there() {
        return;
    }
    docker::make_busybox();
    let world = World::new();
    let home = tempfile::tempdir().expect("a directory");
    let mut app = shell("app", "exec sleep 1000");
    app["image"] = docker::BUSYBOX.into();
    let definition = json!({
        "family": "left", "cpu": "256", "memory": "512", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
        "volumes": [{"name": "left"}], "containerDefinitions": [app],
    });
    let service = json!({
        "serviceName": "left", "taskDefinition": "left", "desiredCount": 1, "launchType": "FARGATE",
        "networkConfiguration": {"awsvpcConfiguration": {"subnets": ["subnet-1"]}},
    });
    let file = |name: &str, content: &serde_json::Value| {
        let path = home.path().join(name);
        std::fs::write(&path, content.to_string()).expect("a file");
        path
    };
    let local = world.program().args(["local", "--launcher", "docker", "--listen", "127.0.0.1:0"]);
    let mut first = local
        .clone()
        .args(["--task-definition-file".into(), file("definition", &definition)])
        .args(["--service-file".into(), file("service", &service)])
        .start();
    let endpoint = listening(&mut first);
    let list = || api::call(&endpoint, "ecs", "ListTasks", &json!({"serviceName": "left"})).expect("listed");
    let running = || {
        let task = list()["taskArns"][0].as_str()?.to_owned();
        let described = api::call(&endpoint, "ecs", "DescribeTasks", &json!({"tasks": [task]})).expect("described");
        (described["tasks"][0]["lastStatus"] == "RUNNING").then_some(task)
    };
    let task = loop {
        if let Some(task) = running() {
            break task;
        }
    };
    let id = task.rsplit('/').next().expect("an id");
    first.signal(Signal::SIGKILL);
    assert_eq!(first.wait().code, 128 + 9);
    assert_eq!(docker::containers(id).len(), 2, "nobody swept yet");
    let mut second = local.start();
    let _ = listening(&mut second);
    assert_eq!(docker::containers(id), Vec::<String>::new());
    let volumes = docker::lines(&["volume", "ls", "--quiet", "--filter", &format!("label=local-fargate.task={id}")]);
    assert_eq!(volumes, Vec::<String>::new());
    second.signal(Signal::SIGTERM);
    assert_eq!(second.wait().code, 0);
}

/// The endpoint that a stand-in says it listens on.
fn listening(running: &mut e2e::program::Running) -> String {
    let line = running.hear("listening on ");
    line.trim().trim_start_matches("listening on ").to_owned()
}

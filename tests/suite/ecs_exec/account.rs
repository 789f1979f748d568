//! An account with tasks that ECS Exec gets into: real processes, so that commands have something to run beside.

use std::ffi::OsString;
use std::time::Instant;

use e2e::world::{PATIENCE, processes_at};
use e2e::{Program, World};
use local_fargate::{Config, ProcessImage};
use serde_json::{Value, json};

/// A container that sleeps.
pub(super) fn container(name: &str) -> Value {
    json!({"name": name, "image": "app:1", "environment": [{"name": "GREETING", "value": "hello"}]})
}

/// A task definition.
pub(super) fn definition(family: &str, containers: &[Value]) -> Value {
    json!({
        "family": family, "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "taskRoleArn": "arn:aws:iam::000000000000:role/web", "containerDefinitions": containers,
    })
}

/// A RunTask request.
pub(super) fn request(family: &str, exec: bool) -> Value {
    let network = json!({"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"});
    json!({
        "taskDefinition": family, "launchType": "FARGATE", "enableExecuteCommand": exec,
        "networkConfiguration": {"awsvpcConfiguration": network},
    })
}

/// A world whose image `app:1` sleeps, with the families `web` (one container, `app`) and `pair` (`app` and `proxy`).
pub(super) fn world(configure: impl FnOnce(&mut Config)) -> World {
    World::with(|config| {
        let entry_point = ["/bin/sleep", "100000"].map(OsString::from).into();
        config.images.push(ProcessImage { name: "app:1".to_owned(), entry_point, env: Vec::new() });
        config.task_definitions.push(definition("web", &[container("app")]).to_string());
        config.task_definitions.push(definition("pair", &[container("app"), container("proxy")]).to_string());
        configure(config);
    })
}

/// Launches a task and waits until it runs; answers its ARN.
pub(super) fn run(world: &World, request: &Value) -> String {
    let reply = world.call("ecs", "RunTask", request).expect("a task");
    let arn = reply["tasks"][0]["taskArn"].as_str().expect("an ARN").to_owned();
    world.wait_running(&arn);
    arn
}

/// Makes a service and waits until so many tasks run.
pub(super) fn service(world: &World, name: &str, count: usize) {
    let mut request = request("web", true);
    request["serviceName"] = name.into();
    request["desiredCount"] = count.into();
    let before = running(world);
    world.call("ecs", "CreateService", &request).expect("a service");
    world.wait_until(|world| running(world) == before + count);
}

fn running(world: &World) -> usize {
    world.stand_in().tasks().iter().filter(|task| task.last_status == "RUNNING").count()
}

/// One task with one container.
pub(crate) fn one_task() -> World {
    one_task_in(|_| {})
}

/// The same, in a world that was told more.
pub(super) fn one_task_in(configure: impl FnOnce(&mut Config)) -> World {
    let world = world(configure);
    run(&world, &request("web", true));
    world
}

/// `fargate-login exec`.
pub(super) fn exec(world: &World) -> Program {
    world.program().arg("exec")
}

/// Asserts that sessions were started and are over, because somebody has asked for that.
pub(super) fn assert_terminated(world: &World) {
    assert!(world.calls().contains(&"ssm:TerminateSession".to_owned()), "{:?}", world.calls());
    world.wait_until(|world| world.stand_in().sessions().iter().all(|session| session.is_over));
    assert!(!world.stand_in().sessions().is_empty());
}

/// Waits until nothing runs in the tasks but their containers' own processes.
pub(super) fn assert_alone(world: &World) {
    let began = Instant::now();
    for task in world.stand_in().tasks() {
        let address = task.address.expect("an address");
        while processes_at(&address).len() > task.pids.len() {
            assert!(began.elapsed() < PATIENCE, "left running: {:?}", processes_at(&address));
            std::thread::yield_now();
        }
    }
}

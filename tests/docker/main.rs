//! Tasks that are real containers: what a task definition says means on Docker what it means on Fargate, and nothing is left.

mod any_image;
mod definition;
mod endings;
mod images;
mod order;
mod partition;
mod places;
mod services;
mod survivors;

use e2e::{World, docker};
use local_fargate::Launcher;
use serde_json::{Value, json};

/// A stand-in whose tasks are containers; `None` without Docker.
fn world() -> Option<World> {
    world_with(|_| {})
}

fn world_with(configure: impl FnOnce(&mut local_fargate::Config)) -> Option<World> {
    docker::is_there().then(|| {
        docker::make_busybox();
        World::with(|config| {
            config.launcher = Launcher::Docker;
            configure(config);
        })
    })
}

/// Registers a task definition of these containers, all of busybox unless they say otherwise.
fn register(world: &World, containers: Value, more: Value) -> Result<(), e2e::api::Refusal> {
    let mut containers = containers;
    for container in containers.as_array_mut().expect("a list") {
        let container = container.as_object_mut().expect("an object");
        container.entry("image").or_insert_with(|| docker::BUSYBOX.into());
    }
    let mut request = json!({
        "family": "test", "cpu": "256", "memory": "512", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
        "executionRoleArn": "arn:aws:iam::000000000000:role/execution", "containerDefinitions": containers,
    });
    for (name, value) in more.as_object().expect("an object") {
        request[name] = value.clone();
    }
    world.call("ecs", "RegisterTaskDefinition", &request).map(drop)
}

/// Runs the task definition `test` and returns the task's ARN.
fn run(world: &World) -> String {
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"], "assignPublicIp": "ENABLED"}});
    let request = json!({"taskDefinition": "test", "launchType": "FARGATE", "networkConfiguration": network});
    let reply = world.call("ecs", "RunTask", &request).expect("it runs");
    reply["tasks"][0]["taskArn"].as_str().expect("a task").to_owned()
}

/// Registers, runs and waits for the end; describes the task then.
fn run_to_its_end(world: &World, containers: Value, more: Value) -> Value {
    register(world, containers, more).expect("registered");
    let arn = run(world);
    world.wait_stopped(&arn);
    describe(world, &arn)
}

fn describe(world: &World, arn: &str) -> Value {
    let reply = world.call("ecs", "DescribeTasks", &json!({"tasks": [arn]})).expect("described");
    reply["tasks"][0].clone()
}

/// A container of a described task.
fn container<'a>(task: &'a Value, name: &str) -> &'a Value {
    let containers = task["containers"].as_array().expect("containers");
    containers.iter().find(|container| container["name"] == name).expect("that container")
}

/// A container that runs a line of shell.
fn shell(name: &str, line: &str) -> Value {
    json!({"name": name, "command": ["sh", "-c", line]})
}

/// The same with more members.
fn shell_with(name: &str, line: &str, more: Value) -> Value {
    let mut container = shell(name, line);
    for (name, value) in more.as_object().expect("an object") {
        container[name] = value.clone();
    }
    container
}

fn log(world: &World, task: &Value, container: &str) -> Vec<String> {
    world.stand_in().log(task["taskArn"].as_str().expect("an ARN"), container)
}

//! An account that others use: services and tasks without a process of their own.

use e2e::World;
use serde_json::{Value, json};

/// A service's task definition, whose images have no program here.
pub(crate) fn definition() -> Value {
    json!({
        "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "taskRoleArn": "arn:aws:iam::000000000000:role/web",
        "containerDefinitions": [{"name": "app", "image": "app:42"}, {"name": "proxy", "image": "proxy:1"}],
    })
}

fn network() -> Value {
    json!({"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"}})
}

/// A RunTask request for tasks that ECS Exec gets into.
pub(crate) fn request(cluster: &str, family: &str, count: usize) -> Value {
    json!({
        "cluster": cluster, "taskDefinition": family, "count": count, "launchType": "FARGATE",
        "enableExecuteCommand": true, "networkConfiguration": network(), "tags": [{"key": "team", "value": "shop"}],
    })
}

/// Launches a task; answers its ARN.
pub(super) fn run_task(world: &World, cluster: &str, family: &str) -> String {
    let reply = world.call("ecs", "RunTask", &request(cluster, family, 1)).expect("a task");
    reply["tasks"][0]["taskArn"].as_str().expect("an ARN").to_owned()
}

/// Makes a service that keeps so many tasks.
pub(super) fn create_service(world: &World, cluster: &str, name: &str, count: usize) {
    let request = json!({
        "cluster": cluster, "serviceName": name, "taskDefinition": "web", "desiredCount": count, "launchType": "FARGATE",
        "enableExecuteCommand": true, "networkConfiguration": network(), "propagateTags": "SERVICE",
        "tags": [{"key": "team", "value": "shop"}],
    });
    world.call("ecs", "CreateService", &request).expect("a service");
}

/// Waits until so many tasks run.
pub(super) fn wait_for(world: &World, count: usize) {
    world.wait_until(|world| {
        world.stand_in().tasks().iter().filter(|task| task.last_status == "RUNNING").count() == count
    });
}

/// A world whose default cluster has these services, with so many tasks each.
pub(crate) fn account(services: &[(&str, usize)]) -> World {
    let world = World::with(|config| {
        config.idle_images = ["app:42", "proxy:1"].map(str::to_owned).to_vec();
        config.task_definitions.push(definition().to_string());
    });
    services.iter().for_each(|(name, count)| create_service(&world, "default", name, *count));
    wait_for(&world, services.iter().map(|(_, count)| count).sum());
    world
}

/// What a listing tells programs.
pub(super) fn list(world: &World, words: &[&str]) -> Vec<Value> {
    let done = world.program().args(words).args(["-o", "json"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    serde_json::from_slice(&done.stdout).expect("a list")
}

//! Services: as many tasks as wanted, replaced when they stop.

use serde_json::{Value, json};

use super::{register, shell, world};

fn tasks(world: &e2e::World) -> Vec<String> {
    let listed = world.call("ecs", "ListTasks", &json!({"serviceName": "web"})).expect("listed");
    listed["taskArns"].as_array().expect("a list").iter().map(|arn| arn.as_str().expect("text").to_owned()).collect()
}

fn described(world: &e2e::World) -> Value {
    let reply = world.call("ecs", "DescribeServices", &json!({"services": ["web", "none"]})).expect("described");
    assert_eq!(reply["failures"][0]["reason"], "MISSING");
    reply["services"][0].clone()
}

#[test]
fn a_service_keeps_its_tasks_and_drains() {
    let Some(world) = world() else { return };
    register(&world, json!([shell("app", "echo up; exec sleep 1000")]), json!({})).expect("registered");
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"}});
    let request = json!({
        "serviceName": "web", "taskDefinition": "test", "desiredCount": 1, "launchType": "FARGATE", "networkConfiguration": network,
    });
    world.call("ecs", "CreateService", &request).expect("made");
    let twice = world.call("ecs", "CreateService", &request);
    assert!(twice.is_err_and(|(_, message)| message.contains("idempotent")));
    world.wait_until(|world| tasks(world).len() == 1);
    let first = tasks(&world).remove(0);
    world.wait_running(&first);
    let service = described(&world);
    assert_eq!((&service["runningCount"], &service["networkConfiguration"]), (&json!(1), &network));
    world.call("ecs", "StopTask", &json!({"task": first})).expect("asked");
    world.wait_until(|world| tasks(world).iter().any(|arn| *arn != first));
    let second = tasks(&world).into_iter().find(|arn| *arn != first).expect("another one");
    world.wait_running(&second);
    let refused = world.call("ecs", "DeleteService", &json!({"service": "web"}));
    assert!(refused.is_err(), "it still wants a task");
    world.call("ecs", "UpdateService", &json!({"service": "web", "desiredCount": 0})).expect("changed");
    world.wait_stopped(&second);
    world.call("ecs", "DeleteService", &json!({"service": "web"})).expect("deleted");
    world.wait_until(|world| described(world)["status"] == "INACTIVE");
    assert_eq!(world.stand_in().tasks().len(), 2);
}

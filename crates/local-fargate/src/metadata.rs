//! What a task can ask about itself: task metadata version 4 and its role's credentials. On Fargate that is 169.254.170.2; here
//! it is a port of ours, told to the task by `ECS_CONTAINER_METADATA_URI_V4` and `AWS_CONTAINER_CREDENTIALS_FULL_URI`.

use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::clock;
use crate::state::Shared;
use crate::task::{Container, Task};

/// Seconds that credentials are said to be valid: longer than any task here lives.
const CREDENTIALS_LIFE: f64 = 7.0 * 86_400.0;

/// Answers a GET.
pub(crate) fn answer(shared: &Shared, path: &str) -> Response {
    let found = path.strip_prefix("/v4/").and_then(|rest| metadata(shared, rest)).or_else(|| credentials(shared, path));
    match found {
        Some(body) => ([("content-type", "application/json")], body.to_string()).into_response(),
        None => (StatusCode::NOT_FOUND, "404 page not found\n").into_response(),
    }
}

fn metadata(shared: &Shared, rest: &str) -> Option<Value> {
    let (runtime_id, is_of_task) = match rest.strip_suffix("/task") {
        Some(runtime_id) => (runtime_id, true),
        None => (rest, false),
    };
    let world = shared.lock();
    let asks = |container: &&Container| container.runtime_id == runtime_id;
    let (task, asking) = world.tasks.iter().find_map(|task| Some((task, task.containers.iter().find(asks)?)))?;
    Some(if is_of_task { of_task(shared, task) } else { of_container(task, asking) })
}

fn of_task(shared: &Shared, task: &Task) -> Value {
    let number = |name: &str| task.launch.member(name).and_then(|text| text.parse::<f64>().ok()).unwrap_or_default();
    let time = |name: &str| task.time(name).map(clock::text);
    json!({
        "Cluster": shared.arn(&format!("cluster/{}", task.launch.cluster)),
        "TaskARN": task.arn,
        "Family": task.launch.definition.family,
        "Revision": task.launch.definition.revision.to_string(),
        "DesiredStatus": task.desired_status(),
        "KnownStatus": task.state.as_str(),
        // vCPUs and MiB.
        "Limits": {"CPU": number("cpu") / 1024.0, "Memory": number("memory")},
        "PullStartedAt": time("pullStartedAt"),
        "PullStoppedAt": time("pullStoppedAt"),
        "AvailabilityZone": shared.zone(task.interface.subnet.zone),
        "LaunchType": "FARGATE",
        "Containers": task.containers.iter().map(|known| of_container(task, known)).collect::<Vec<_>>(),
    })
}

fn of_container(task: &Task, container: &Container) -> Value {
    let definition = task.launch.containers().iter().find(|known| known.name == container.name);
    let family = if task.interface.address.is_ipv6() { "IPv6Addresses" } else { "IPv4Addresses" };
    json!({
        "DockerId": container.runtime_id,
        "Name": container.name,
        "DockerName": container.name,
        "Image": definition.map(|known| known.image.as_str()),
        "Labels": {
            "com.amazonaws.ecs.cluster": task.launch.cluster,
            "com.amazonaws.ecs.container-name": container.name,
            "com.amazonaws.ecs.task-arn": task.arn,
            "com.amazonaws.ecs.task-definition-family": task.launch.definition.family,
            "com.amazonaws.ecs.task-definition-version": task.launch.definition.revision.to_string(),
        },
        "DesiredStatus": task.desired_status(),
        "KnownStatus": container.last_status,
        "Type": "NORMAL",
        "ContainerARN": container.arn,
        "Networks": [{"NetworkMode": "awsvpc", family: [task.interface.address.to_string()]}],
    })
}

/// `/v2/credentials/<task id>`: as made up as everything else.
fn credentials(shared: &Shared, path: &str) -> Option<Value> {
    let id = path.strip_prefix("/v2/credentials/")?;
    let world = shared.lock();
    let task = world.tasks.iter().find(|task| task.id == id)?;
    let role = task.role()?;
    let expiration = clock::text(task.time("createdAt").unwrap_or_default() + CREDENTIALS_LIFE);
    Some(json!({
        "RoleArn": role,
        "AccessKeyId": "local-task",
        "SecretAccessKey": "local",
        "Token": "local",
        "Expiration": expiration,
    }))
}

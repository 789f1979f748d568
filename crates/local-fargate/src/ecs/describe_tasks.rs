//! `DescribeTasks`, and how a task is described anywhere: members absent until they are known, numbers of the task and its
//! containers as text, times as seconds since the epoch.

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::managed_agents;
use crate::error::ApiError;
use crate::fault::Fault;
use crate::lifecycle::Attachment;
use crate::protocol::aws_json;
use crate::state::Shared;
use crate::task::{Container, Interface, Task};

/// Most tasks of one call.
const TASKS_MAX: usize = 100;
/// GiB of ephemeral storage that a task gets unasked (ECS developer guide, "Fargate task ephemeral storage").
const STORAGE_DEFAULT: i64 = 20;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    cluster: Option<String>,
    tasks: Vec<String>,
    include: Vec<String>,
}

/// Answers a call.
pub(super) fn call(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(request)?;
    if request.tasks.is_empty() {
        return Err(ApiError::invalid("Tasks cannot be empty."));
    }
    if request.tasks.len() > TASKS_MAX {
        return Err(ApiError::invalid("tasks can have at most 100 items."));
    }
    let mut world = shared.lock();
    let cluster = shared.cluster_name(&world, request.cluster.as_deref()).ok_or_else(ApiError::cluster_not_found)?;
    let are_missing = world.faults.take(|fault| matches!(fault, Fault::Missing { .. }).then_some(())).is_some();
    let with_tags = request.include.iter().any(|include| include == "TAGS");
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for name in &request.tasks {
        match world.task(&cluster, name).filter(|task| !are_missing && task.visible_at <= Instant::now()) {
            Some(task) => tasks.push(described(shared, task, with_tags)),
            None => {
                let arn = match name.starts_with("arn:") {
                    true => name.clone(),
                    false => shared.arn(&format!("task/{cluster}/{name}")),
                };
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    Ok(json!({"tasks": tasks, "failures": failures}))
}

/// A task as the API shows it. Its tags are gone once somebody wants it stopped.
pub(super) fn described(shared: &Shared, task: &Task, with_tags: bool) -> Value {
    let launch = &task.launch;
    let storage = launch.overrides["ephemeralStorage"]["sizeInGiB"]
        .as_i64()
        .or_else(|| launch.definition.body["ephemeralStorage"]["sizeInGiB"].as_i64())
        .unwrap_or(STORAGE_DEFAULT);
    let architecture = if launch.is_arm() { "arm64" } else { "x86_64" };
    let tags = if with_tags && !task.is_stopping { launch.tags.as_slice() } else { &[] };
    let mut body = json!({
        "attachments": [attachment(task)],
        "attributes": [{"name": "ecs.cpu-architecture", "value": architecture}],
        "availabilityZone": shared.zone(task.interface.subnet.zone),
        "clusterArn": shared.arn(&format!("cluster/{}", launch.cluster)),
        "containers": task.containers.iter().map(|known| container(shared, task, known)).collect::<Vec<_>>(),
        "cpu": launch.member("cpu").unwrap_or_default(),
        "memory": launch.member("memory").unwrap_or_default(),
        "desiredStatus": task.desired_status(),
        "lastStatus": task.state.as_str(),
        "enableExecuteCommand": launch.exec,
        "ephemeralStorage": {"sizeInGiB": storage},
        "fargateEphemeralStorage": {"sizeInGiB": storage},
        "group": launch.group,
        "overrides": overrides(task),
        "platformVersion": launch.platform_version,
        "platformFamily": "Linux",
        "tags": tags,
        "taskArn": task.arn,
        "taskDefinitionArn": launch.definition.body["taskDefinitionArn"],
        "version": task.version,
    });
    let mut set = |name: &str, value: Value| body[name] = value;
    match &launch.provider {
        Some(provider) => set("capacityProviderName", provider.as_str().into()),
        None => set("launchType", "FARGATE".into()),
    }
    if let Some(by) = &launch.started_by {
        set("startedBy", by.as_str().into());
    }
    // Why it stops is told from the moment on when it is meant to.
    if let Some((code, reason)) = task.stop_code.zip(task.stopped_reason.as_deref()).filter(|_| task.is_stopping) {
        set("stopCode", code.into());
        set("stoppedReason", reason.into());
    }
    if task.interface.existed {
        set("connectivity", "CONNECTED".into());
        set("healthStatus", task.health().into());
    }
    for (name, at) in &task.times {
        set(name, (*at).into());
    }
    body
}

fn attachment(task: &Task) -> Value {
    let interface = &task.interface;
    let mut details = vec![("subnetId", interface.subnet.id.to_owned())];
    if interface.existed {
        details.push(("networkInterfaceId", interface.id.clone()));
        details.push(("macAddress", interface.mac.clone()));
        details.push(("privateDnsName", interface.dns_name()));
        let family = if interface.address.is_ipv6() { "ipv6Address" } else { "privateIPv4Address" };
        details.push((family, interface.address.to_string()));
    }
    let details: Vec<_> = details.into_iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
    json!({
        "id": interface.attachment_id,
        "type": "ElasticNetworkInterface",
        "status": interface.status.as_str(),
        "details": details,
    })
}

fn container(shared: &Shared, task: &Task, container: &Container) -> Value {
    let definition = task.launch.containers().iter().find(|known| known.name == container.name);
    let given = task.launch.container_override(&container.name);
    let cpu = given.and_then(|given| given.cpu).or(definition.map(|known| known.cpu));
    let memory = given.and_then(|given| given.memory).or(definition.and_then(|known| known.memory));
    let reserved =
        given.and_then(|given| given.memory_reservation).or(definition.and_then(|known| known.memory_reservation));
    let mut body = json!({
        "containerArn": container.arn,
        "taskArn": task.arn,
        "name": container.name,
        "image": definition.map(|known| known.image.as_str()),
        "lastStatus": container.last_status,
        "networkBindings": [],
        "networkInterfaces": interfaces(&task.interface),
        "healthStatus": container.health.as_str(),
        "cpu": cpu.unwrap_or(0).to_string(),
    });
    let mut set = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            body[name] = value;
        }
    };
    set("memory", memory.map(|mib| mib.to_string().into()));
    set("memoryReservation", reserved.map(|mib| mib.to_string().into()));
    set("imageDigest", container.image_digest.clone().map(Value::from));
    set("exitCode", container.exit_code.map(Value::from));
    set("reason", container.reason.clone().map(Value::from));
    // The runtime gives its id when it makes the container.
    set("managedAgents", managed_agents::described(&shared.config.agents, task, container));
    set("runtimeId", container.was_started().then(|| container.runtime_id.clone().into()));
    body
}

fn interfaces(interface: &Interface) -> Vec<Value> {
    if interface.status == Attachment::Precreated || !interface.existed {
        return Vec::new();
    }
    let family = if interface.address.is_ipv6() { "ipv6Address" } else { "privateIpv4Address" };
    vec![json!({"attachmentId": interface.attachment_id, family: interface.address.to_string()})]
}

/// Every container has an entry, whether anything of it was overridden or not.
fn overrides(task: &Task) -> Value {
    let given = &task.launch.overrides;
    let entries = given["containerOverrides"].as_array().cloned().unwrap_or_default();
    let entry = |name: &str| {
        entries.iter().find(|known| known["name"] == *name).cloned().unwrap_or_else(|| json!({"name": name}))
    };
    let mut body = Map::new();
    let containers = task.containers.iter().map(|container| entry(&container.name));
    body.insert("containerOverrides".to_owned(), containers.collect());
    body.insert("inferenceAcceleratorOverrides".to_owned(), json!([]));
    for name in ["cpu", "memory", "taskRoleArn", "executionRoleArn", "ephemeralStorage"] {
        if let Some(value) = given.get(name) {
            body.insert(name.to_owned(), value.clone());
        }
    }
    Value::Object(body)
}

//! Task definitions: `RegisterTaskDefinition`, `DeregisterTaskDefinition`, `DescribeTaskDefinition`, `ListTaskDefinitions`.

mod check;
mod check_container;

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::page::{PAGE_MAX, page};
use super::validate;
use crate::clock;
use crate::definition::{Definition, Request};
use crate::error::ApiError;
use crate::protocol::aws_json;
use crate::state::{Shared, World};

/// Longest request, as the quotas have it: 64 KiB.
const SIZE_MAX: usize = 64 * 1024;

/// Members of a request that are described again as they were given.
const KEPT: [&str; 13] = [
    "family",
    "taskRoleArn",
    "executionRoleArn",
    "networkMode",
    "containerDefinitions",
    "volumes",
    "placementConstraints",
    "requiresCompatibilities",
    "runtimePlatform",
    "ephemeralStorage",
    "pidMode",
    "ipcMode",
    "proxyConfiguration",
];

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Named {
    task_definition: Option<String>,
    include: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Listing {
    family_prefix: Option<String>,
    status: Option<String>,
    sort: Option<String>,
}

/// Answers RegisterTaskDefinition.
pub(crate) fn register(shared: &Shared, members: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(members)?;
    if members.to_string().len() > SIZE_MAX {
        return Err(ApiError::client("Actual length of the task definition exceeds the limit of 65536 bytes."));
    }
    let is_fargate = request.requires_compatibilities.iter().any(|name| name == "FARGATE");
    let mut size = check::check(&request, is_fargate)?;
    if !is_fargate {
        // Not asked for, and still compatible.
        size = check::check(&request, true).unwrap_or_default();
    }
    validate::tags(&request.tags)?;
    let mut world = shared.lock();
    let revision = 1 + world.definitions.iter().filter(|known| known.family == request.family).count();
    let revision = u32::try_from(revision).unwrap_or(u32::MAX);
    let mut body = described(shared, members, revision);
    body["compatibilities"] = if size.is_some() { json!(["EC2", "FARGATE"]) } else { json!(["EC2"]) };
    if let Some((cpu, memory)) = size {
        body["cpu"] = cpu.to_string().into();
        body["memory"] = memory.to_string().into();
    }
    let tags = request.tags.clone();
    let family = request.family.clone();
    let definition = Definition { family, revision, active: true, body: body.clone(), tags: tags.clone(), request };
    world.definitions.push(Arc::new(definition));
    Ok(json!({"taskDefinition": body, "tags": tags}))
}

fn described(shared: &Shared, members: &Value, revision: u32) -> Value {
    let family = members["family"].as_str().unwrap_or_default();
    let mut body = json!({
        "taskDefinitionArn": shared.arn(&format!("task-definition/{family}:{revision}")),
        "revision": revision,
        "status": "ACTIVE",
        "volumes": [],
        "placementConstraints": [],
        "registeredAt": clock::now(),
        "registeredBy": format!("arn:aws:iam::{}:user/local", crate::ACCOUNT),
    });
    for name in KEPT {
        if let Some(value) = members.get(name) {
            body[name] = value.clone();
        }
    }
    for container in body["containerDefinitions"].as_array_mut().into_iter().flatten() {
        add_defaults(container);
    }
    body
}

/// Members that ECS describes whether they were given or not.
fn add_defaults(container: &mut Value) {
    let defaults = [
        ("cpu", json!(0)),
        ("essential", json!(true)),
        ("environment", json!([])),
        ("portMappings", json!([])),
        ("mountPoints", json!([])),
        ("volumesFrom", json!([])),
        ("systemControls", json!([])),
    ];
    if let Some(members) = container.as_object_mut() {
        for (name, value) in defaults {
            members.entry(name).or_insert(value);
        }
        for mapping in members.get_mut("portMappings").and_then(Value::as_array_mut).into_iter().flatten() {
            complete(mapping.as_object_mut());
        }
    }
}

/// In an awsvpc task the host's port is the container's.
fn complete(mapping: Option<&mut Map<String, Value>>) {
    if let Some(mapping) = mapping {
        let port = mapping.get("containerPort").cloned().unwrap_or_default();
        mapping.entry("hostPort").or_insert(port);
        mapping.entry("protocol").or_insert_with(|| "tcp".into());
    }
}

/// Answers DeregisterTaskDefinition; running tasks keep what they have.
pub(super) fn deregister(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Named = aws_json::parse(request)?;
    let name = request.task_definition.unwrap_or_default();
    if !name.rsplit('/').next().unwrap_or_default().contains(':') {
        return Err(ApiError::invalid(format!("Invalid revision number. Number: {name}")));
    }
    let mut world = shared.lock();
    let found = find(shared, &world, &name).ok_or_else(|| {
        ApiError::client(
            "The specified task definition does not exist. Specify a valid account, family, revision and try again.",
        )
    })?;
    let mut definition = Definition::clone(&found);
    definition.active = false;
    definition.body["status"] = "INACTIVE".into();
    definition.body["deregisteredAt"] = clock::now().into();
    let body = definition.body.clone();
    if let Some(place) = world.definitions.iter_mut().find(|known| Arc::ptr_eq(known, &found)) {
        *place = Arc::new(definition);
    }
    Ok(json!({"taskDefinition": body}))
}

/// Answers DescribeTaskDefinition.
pub(super) fn describe(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Named = aws_json::parse(request)?;
    let world = shared.lock();
    let found = find(shared, &world, request.task_definition.as_deref().unwrap_or_default());
    let definition = found.ok_or_else(|| ApiError::client("Unable to describe task definition."))?;
    let mut reply = json!({"taskDefinition": definition.body});
    if request.include.iter().any(|include| include == "TAGS") {
        reply["tags"] = definition.tags.clone().into();
    }
    Ok(reply)
}

/// Answers ListTaskDefinitions: families in alphabetical order, revisions by number.
pub(super) fn list(shared: &Shared, members: &Value) -> Result<Value, ApiError> {
    let request: Listing = aws_json::parse(members)?;
    let status = request.status.as_deref().unwrap_or("ACTIVE");
    if !["ACTIVE", "INACTIVE", "DELETE_IN_PROGRESS"].contains(&status) {
        return Err(ApiError::invalid("Invalid status."));
    }
    let world = shared.lock();
    // `familyPrefix` is the whole name of a family (ECS API reference).
    let is_wanted = |known: &&Arc<Definition>| {
        known.body["status"] == status && request.family_prefix.as_ref().is_none_or(|family| known.family == *family)
    };
    let mut listed: Vec<_> = world.definitions.iter().filter(is_wanted).collect();
    listed.sort_by_key(|known| (known.family.clone(), known.revision));
    if request.sort.as_deref() == Some("DESC") {
        listed.reverse();
    }
    let arn = |known: &&Arc<Definition>| known.body["taskDefinitionArn"].as_str().unwrap_or_default().to_owned();
    let arns: Vec<_> = listed.iter().map(arn).collect();
    page(&arns, members, PAGE_MAX, "taskDefinitionArns")
}

/// The task definition that a family (its latest active revision), a `family:revision` or an ARN names.
pub(super) fn find(shared: &Shared, world: &World, name: &str) -> Option<Arc<Definition>> {
    let name = shared.local_name(name, "task-definition/")?;
    let found = match name.split_once(':') {
        Some((family, revision)) => {
            let revision: u32 = revision.parse().ok()?;
            world.definitions.iter().find(|known| known.family == family && known.revision == revision)
        }
        None => world.definitions.iter().rfind(|known| known.family == name && known.active),
    };
    found.cloned()
}

pub(super) fn not_found() -> ApiError {
    ApiError::client("TaskDefinition not found.")
}

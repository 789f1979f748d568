//! `CreateService`.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{placement, task_definitions, validate};
use super::described;
use crate::clock;
use crate::definition::{Definition, TaskOverride};
use crate::error::ApiError;
use crate::launch::Place;
use crate::protocol::aws_json;
use crate::service::{self, Service, Status};
use crate::state::{Shared, World};
use crate::task::Launch;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    cluster: Option<String>,
    service_name: String,
    task_definition: Option<String>,
    desired_count: Option<i64>,
    scheduling_strategy: Option<String>,
    deployment_controller: Option<Controller>,
    platform_version: Option<String>,
    tags: Vec<Value>,
    enable_execute_command: bool,
    propagate_tags: Option<String>,
    #[serde(rename = "enableECSManagedTags")]
    managed_tags: bool,
    #[serde(flatten)]
    placement: placement::Request,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Controller {
    #[serde(rename = "type")]
    kind: String,
}

/// Answers a call.
pub(crate) fn create(shared: &Arc<Shared>, members: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(members)?;
    let (service, reply) = {
        let mut world = shared.lock();
        let service = check(shared, &world, &request, members)?;
        // One of this name is INACTIVE, as was just checked, and has no driver any more.
        world.services.retain(|known| known.arn != service.arn);
        world.services.push(service.clone());
        let reply = json!({"service": described(&world, &service, true)});
        (service, reply)
    };
    shared.drivers.spawn(service::drive(Arc::clone(shared), service.arn));
    Ok(reply)
}

fn check(shared: &Shared, world: &World, request: &Request, members: &Value) -> Result<Service, ApiError> {
    let name = &request.service_name;
    let valid = (1..=255).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !valid {
        return Err(ApiError::invalid("Invalid identifier: Identifier is for service."));
    }
    let cluster = shared.cluster_name(world, request.cluster.as_deref()).ok_or_else(ApiError::cluster_not_found)?;
    let twin = world
        .services
        .iter()
        .any(|known| known.cluster == cluster && known.name == *name && known.status != Status::Inactive);
    if twin {
        return Err(ApiError::invalid("Creation of service was not idempotent."));
    }
    validate::tags(&request.tags)?;
    let desired = desired(request.scheduling_strategy.as_deref(), request.desired_count)?;
    let mut body = body(shared, request, members, &cluster)?;
    let definition = match request.task_definition.as_deref() {
        Some(name) => Some(task_definitions::find(shared, world, name).ok_or_else(task_definitions::not_found)?),
        None if body["deploymentController"]["type"] == "EXTERNAL" => None,
        None => return Err(ApiError::invalid("TaskDefinition can not be blank.")),
    };
    let mut template = None;
    if let Some(definition) = definition {
        body["taskDefinition"] = definition.body["taskDefinitionArn"].clone();
        add_deployment(&mut body);
        template = self::template(world, request, &definition, &cluster)?;
    }
    Ok(Service {
        arn: shared.arn(&format!("service/{cluster}/{name}")),
        name: name.clone(),
        status: Status::Active,
        desired,
        body,
        tags: request.tags.clone(),
        template,
        cluster,
    })
}

fn desired(strategy: Option<&str>, count: Option<i64>) -> Result<usize, ApiError> {
    match (strategy, count) {
        (None | Some("REPLICA"), Some(count @ 0..)) => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
        (None | Some("REPLICA"), _) => Err(ApiError::invalid("The desired count must be 0 or more.")),
        (Some("DAEMON"), _) => Err(ApiError::invalid("The daemon scheduling strategy is not supported on Fargate.")),
        (Some(other), _) => Err(ApiError::invalid(format!("Invalid schedulingStrategy: {other}"))),
    }
}

/// What its tasks are launched from; a service for EC2 has none here, as nobody has container instances.
fn template(
    world: &World,
    request: &Request,
    definition: &Arc<Definition>,
    cluster: &str,
) -> Result<Option<(Launch, Place)>, ApiError> {
    if matches!(request.placement.launch_type.as_deref(), Some("EC2" | "EXTERNAL")) {
        return Ok(None);
    }
    definition.check_runnable()?;
    if request.enable_execute_command && definition.request.task_role_arn.is_none() {
        let message = "The service couldn't be created because a valid taskRoleArn is not being used.";
        return Err(ApiError::invalid(message));
    }
    let record = world.clusters.get(cluster).cloned().unwrap_or_default();
    let placed = request.placement.check(&record)?;
    let launch = Launch {
        cluster: cluster.to_owned(),
        definition: Arc::clone(definition),
        overrides: Value::Null,
        overridden: TaskOverride::default(),
        tags: propagated(request, definition)?,
        group: format!("service:{}", request.service_name),
        started_by: Some(DEPLOYMENT.to_owned()),
        exec: request.enable_execute_command,
        platform_version: validate::platform_version(request.platform_version.as_deref())?,
        provider: placed.provider,
    };
    Ok(Some((launch, placed.place)))
}

/// Tags that each of its tasks gets.
fn propagated(request: &Request, definition: &Definition) -> Result<Vec<Value>, ApiError> {
    match request.propagate_tags.as_deref() {
        None | Some("NONE") => Ok(Vec::new()),
        Some("SERVICE") => Ok(request.tags.clone()),
        Some("TASK_DEFINITION") => Ok(definition.tags.clone()),
        Some(other) => Err(ApiError::invalid(format!("Invalid propagateTags: {other}"))),
    }
}

/// Id of the only deployment that a service here ever has.
const DEPLOYMENT: &str = "ecs-svc/1234567890123456789";

fn body(shared: &Shared, request: &Request, members: &Value, cluster: &str) -> Result<Value, ApiError> {
    let controller = request.deployment_controller.as_ref().map_or("ECS", |controller| controller.kind.as_str());
    if !["ECS", "CODE_DEPLOY", "EXTERNAL"].contains(&controller) {
        return Err(ApiError::invalid(format!("Invalid deployment controller type: {controller}")));
    }
    let mut body = json!({
        "serviceArn": shared.arn(&format!("service/{cluster}/{}", request.service_name)),
        "serviceName": request.service_name,
        "clusterArn": shared.arn(&format!("cluster/{cluster}")),
        "loadBalancers": members.get("loadBalancers").cloned().unwrap_or_else(|| json!([])),
        "serviceRegistries": members.get("serviceRegistries").cloned().unwrap_or_else(|| json!([])),
        "platformFamily": "Linux",
        "deploymentConfiguration": {"maximumPercent": 200, "minimumHealthyPercent": 100},
        "deployments": [],
        "events": [],
        "createdAt": clock::now(),
        "createdBy": format!("arn:aws:iam::{}:user/local", crate::ACCOUNT),
        "placementConstraints": [],
        "placementStrategy": [],
        "healthCheckGracePeriodSeconds": 0,
        "schedulingStrategy": "REPLICA",
        "deploymentController": {"type": controller},
        "enableECSManagedTags": request.managed_tags,
        "propagateTags": request.propagate_tags.as_deref().unwrap_or("NONE"),
        "enableExecuteCommand": request.enable_execute_command,
    });
    let placement = &request.placement;
    if let Some(awsvpc) = placement.network_configuration.as_ref().and_then(|given| given.awsvpc_configuration.as_ref())
    {
        body["networkConfiguration"] = awsvpc.described();
    }
    if placement.capacity_provider_strategy.is_empty() {
        body["launchType"] = placement.launch_type.as_deref().unwrap_or("EC2").into();
    } else {
        body["capacityProviderStrategy"] = members["capacityProviderStrategy"].clone();
    }
    if body["launchType"] != "EC2" {
        body["platformVersion"] = request.platform_version.as_deref().unwrap_or("LATEST").into();
    }
    Ok(body)
}

/// The deployment repeats what it runs; its numbers are filled in when somebody asks.
pub(super) fn add_deployment(body: &mut Value) {
    let now = clock::now();
    let mut deployment = json!({
        "id": DEPLOYMENT,
        "status": "PRIMARY",
        "failedTasks": 0,
        "createdAt": now,
        "updatedAt": now,
        "rolloutStateReason": "",
    });
    for name in [
        "taskDefinition",
        "launchType",
        "capacityProviderStrategy",
        "platformVersion",
        "platformFamily",
        "networkConfiguration",
    ] {
        if let Some(value) = body.get(name) {
            deployment[name] = value.clone();
        }
    }
    body["deployments"] = json!([deployment]);
}

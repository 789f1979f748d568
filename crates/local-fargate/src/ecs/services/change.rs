//! `UpdateService` and `DeleteService`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::task_definitions;
use super::create::add_deployment;
use super::{described, find, not_found};
use crate::error::ApiError;
use crate::protocol::aws_json;
use crate::service::{Service, Status};
use crate::state::Shared;

/// Members of UpdateService that change something here; others are refused rather than passed over.
const PLAYED: [&str; 4] = ["cluster", "service", "desiredCount", "taskDefinition"];

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    cluster: Option<String>,
    service: String,
    desired_count: Option<i64>,
    task_definition: Option<String>,
    force: bool,
}

/// Answers UpdateService: another number of tasks, or another task definition.
pub(in super::super) fn update(shared: &Shared, members: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(members)?;
    let unplayed = members.as_object().and_then(|members| members.keys().find(|name| !PLAYED.contains(&name.as_str())));
    if let Some(name) = unplayed {
        return Err(ApiError::invalid(format!("UpdateService with {name} is not played here.")));
    }
    let desired = request.desired_count.map(usize::try_from).transpose();
    let desired = desired.map_err(|_| ApiError::invalid("The desired count must be 0 or more."))?;
    let definition = request
        .task_definition
        .as_deref()
        .map(|name| task_definitions::find(shared, &shared.lock(), name).ok_or_else(task_definitions::not_found));
    let definition = definition.transpose()?;
    change(shared, &request, |service| {
        if let (Some(definition), Some(_)) = (&definition, &service.template) {
            definition.check_runnable()?;
        }
        service.desired = desired.unwrap_or(service.desired);
        if let Some(definition) = definition {
            service.body["taskDefinition"] = definition.body["taskDefinitionArn"].clone();
            add_deployment(&mut service.body);
            if let Some((launch, _)) = &mut service.template {
                launch.definition = definition;
            }
        }
        Ok(())
    })
}

/// Answers DeleteService; one that still wants tasks needs force.
pub(in super::super) fn delete(shared: &Shared, members: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(members)?;
    change(shared, &request, |service| {
        if service.desired > 0 && !request.force {
            return Err(ApiError::invalid("The service cannot be stopped while it is scaled above 0."));
        }
        service.desired = 0;
        service.status = Status::Draining;
        Ok(())
    })
}

fn change(
    shared: &Shared,
    request: &Request,
    change: impl FnOnce(&mut Service) -> Result<(), ApiError>,
) -> Result<Value, ApiError> {
    let reply = {
        let mut world = shared.lock();
        let cluster =
            shared.cluster_name(&world, request.cluster.as_deref()).ok_or_else(ApiError::cluster_not_found)?;
        let arn = find(shared, &world, &cluster, &request.service).ok_or_else(not_found)?.arn.clone();
        let service = world.services.iter_mut().rfind(|known| known.arn == arn).ok_or_else(not_found)?;
        if service.status != Status::Active {
            return Err(ApiError::new("ServiceNotActiveException", "Service was not ACTIVE."));
        }
        change(service)?;
        let changed = service.clone();
        json!({"service": described(&world, &changed, true)})
    };
    shared.wake();
    Ok(reply)
}

//! Services: `DescribeServices` and `ListServices`; what changes them is in the files below.

mod change;
mod create;

use serde::Deserialize;
use serde_json::{Value, json};

use super::page::page;
use crate::error::ApiError;
use crate::lifecycle::State;
use crate::protocol::aws_json;
use crate::service::{Service, Status};
use crate::state::{Shared, World};

pub(crate) use create::create;

pub(super) use change::{delete, update};

/// Most services of one DescribeServices call.
const SERVICES_MAX: usize = 10;
/// Services of a ListServices page, unasked.
const PAGE: i64 = 10;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Description {
    cluster: Option<String>,
    services: Vec<String>,
    include: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Listing {
    cluster: Option<String>,
    launch_type: Option<String>,
    scheduling_strategy: Option<String>,
}

/// Answers DescribeServices.
pub(super) fn describe(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Description = aws_json::parse(request)?;
    if request.services.is_empty() {
        return Err(ApiError::invalid("Services cannot be empty."));
    }
    if request.services.len() > SERVICES_MAX {
        return Err(ApiError::invalid("Services can have at most 10 items."));
    }
    let world = shared.lock();
    let cluster = shared.cluster_name(&world, request.cluster.as_deref()).ok_or_else(ApiError::cluster_not_found)?;
    let with_tags = request.include.iter().any(|include| include == "TAGS");
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for name in &request.services {
        match find(shared, &world, &cluster, name) {
            Some(service) => services.push(described(&world, service, with_tags)),
            None => {
                let arn = match name.starts_with("arn:") {
                    true => name.clone(),
                    false => shared.arn(&format!("service/{cluster}/{name}")),
                };
                failures.push(json!({"arn": arn, "reason": "MISSING"}));
            }
        }
    }
    Ok(json!({"services": services, "failures": failures}))
}

/// Answers ListServices: those that are not INACTIVE.
pub(super) fn list(shared: &Shared, members: &Value) -> Result<Value, ApiError> {
    let request: Listing = aws_json::parse(members)?;
    let world = shared.lock();
    let cluster = shared.cluster_name(&world, request.cluster.as_deref()).ok_or_else(ApiError::cluster_not_found)?;
    let is_wanted = |service: &&Service| {
        let is = |wanted: &Option<String>, member: &str| {
            wanted.as_ref().is_none_or(|wanted| service.body[member] == *wanted)
        };
        service.cluster == cluster
            && service.status != Status::Inactive
            && is(&request.launch_type, "launchType")
            && is(&request.scheduling_strategy, "schedulingStrategy")
    };
    let arns: Vec<_> = world.services.iter().filter(is_wanted).map(|service| service.arn.clone()).collect();
    page(&arns, members, PAGE, "serviceArns")
}

/// The service of a cluster by name or ARN; of those of one name, the one that was made last.
pub(super) fn find<'a>(shared: &Shared, world: &'a World, cluster: &str, given: &str) -> Option<&'a Service> {
    let path = shared.local_name(given, "service/")?;
    let name = match path.rsplit_once('/') {
        Some((of_cluster, name)) if of_cluster == cluster => name,
        Some(_) => return None,
        None => path,
    };
    world.services.iter().rfind(|service| service.cluster == cluster && service.name == name)
}

pub(super) fn not_found() -> ApiError {
    ApiError::new("ServiceNotFoundException", "Service not found.")
}

fn described(world: &World, service: &Service, with_tags: bool) -> Value {
    let mut body = service.body.clone();
    let (running, pending) =
        (service.count(world, &[State::Running]), service.count(world, &[State::Provisioning, State::Pending]));
    for (name, value) in [
        ("status", json!(service.status.as_str())),
        ("desiredCount", json!(service.desired)),
        ("runningCount", json!(running)),
        ("pendingCount", json!(pending)),
    ] {
        body[name] = value;
    }
    let deployments = body["deployments"].as_array_mut().into_iter().flatten();
    for deployment in deployments {
        deployment["desiredCount"] = service.desired.into();
        deployment["runningCount"] = running.into();
        deployment["pendingCount"] = pending.into();
        let is_done = running == service.desired;
        deployment["rolloutState"] = if is_done { "COMPLETED" } else { "IN_PROGRESS" }.into();
    }
    if with_tags {
        body["tags"] = service.tags.clone().into();
    }
    body
}

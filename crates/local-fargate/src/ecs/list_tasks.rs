//! `ListTasks`: tasks by desired status and filters; `startedBy` suffers no filter beside it.

use serde::Deserialize;
use serde_json::Value;

use super::page::{PAGE_MAX, page};
use super::services;
use crate::error::ApiError;
use crate::protocol::aws_json;
use crate::state::Shared;
use crate::task::Task;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    cluster: Option<String>,
    container_instance: Option<String>,
    family: Option<String>,
    started_by: Option<String>,
    service_name: Option<String>,
    desired_status: Option<String>,
    launch_type: Option<String>,
}

/// Answers a call.
pub(super) fn call(shared: &Shared, members: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(members)?;
    let others = [
        &request.container_instance,
        &request.family,
        &request.service_name,
        &request.desired_status,
        &request.launch_type,
    ];
    if request.started_by.is_some() && others.into_iter().any(Option::is_some) {
        return Err(ApiError::invalid("startedBy cannot be combined with other filters."));
    }
    if request.desired_status.as_deref().is_some_and(|status| !["RUNNING", "PENDING", "STOPPED"].contains(&status)) {
        return Err(ApiError::invalid("Invalid desired status."));
    }
    let world = shared.lock();
    let cluster = shared.cluster_name(&world, request.cluster.as_deref()).ok_or_else(ApiError::cluster_not_found)?;
    if let Some(name) = &request.service_name {
        services::find(shared, &world, &cluster, name).ok_or_else(services::not_found)?;
    }
    let matching = world.tasks.iter().filter(|task| task.launch.cluster == cluster && request.matches(task));
    let arns: Vec<_> = matching.map(|task| task.arn.clone()).collect();
    page(&arns, members, PAGE_MAX, "taskArns")
}

impl Request {
    fn matches(&self, task: &Task) -> bool {
        let launch = &task.launch;
        let is =
            |wanted: &Option<String>, found: Option<&str>| wanted.as_deref().is_none_or(|wanted| Some(wanted) == found);
        let service = launch.group.strip_prefix("service:");
        let wanted_service = self.service_name.as_deref().map(|name| name.rsplit('/').next().unwrap_or(name));
        task.desired_status() == self.desired_status.as_deref().unwrap_or("RUNNING")
            && is(&self.family, Some(&launch.definition.family))
            && is(&self.started_by, launch.started_by.as_deref())
            && is(&self.launch_type, launch.provider.is_none().then_some("FARGATE"))
            && wanted_service.is_none_or(|wanted| service == Some(wanted))
            && self.container_instance.is_none()
    }
}

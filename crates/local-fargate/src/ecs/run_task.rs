//! `RunTask`: every check the real one makes, then tasks that start in PROVISIONING.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::describe_tasks::described;
use super::{placement, task_definitions, validate};
use crate::error::ApiError;
use crate::fault::Fault;
use crate::launch::{self, Place};
use crate::protocol::aws_json;
use crate::state::{Replay, Shared, World};
use crate::task::Launch;

/// Most tasks of one call.
const COUNT_MAX: i64 = 10;
/// Longest `clientToken`.
const TOKEN_MAX: usize = 64;

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    cluster: Option<String>,
    task_definition: Option<String>,
    count: Option<i64>,
    client_token: Option<String>,
    started_by: Option<String>,
    group: Option<String>,
    tags: Vec<Value>,
    propagate_tags: Option<String>,
    #[serde(rename = "enableECSManagedTags")]
    managed_tags: bool,
    enable_execute_command: bool,
    platform_version: Option<String>,
    overrides: Value,
    #[serde(flatten)]
    placement: placement::Request,
}

/// Answers a call.
pub(super) fn call(shared: &Arc<Shared>, members: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(members)?;
    let token = request.client_token.clone().unwrap_or_default();
    let (launch, place) = check(shared, request)?;
    let key = (launch.cluster.clone(), token);
    let count = members["count"].as_i64().unwrap_or(1);
    let (answer, tasks) = {
        // One lock over all of it: of two calls with one token, one starts tasks.
        let mut world = shared.lock();
        if let Some(answer) = replay(shared, &world, &key, members) {
            return answer;
        }
        let refused = world.faults.take(refusal);
        let failures: Vec<_> = refused.iter().map(|reason| json!({"reason": reason})).collect();
        let wanted = if refused.is_none() { 0..count } else { 0..0 };
        let tasks: Vec<_> = wanted.map(|_| launch::enter(shared, &mut world, launch.clone(), &place)).collect();
        if !key.1.is_empty() {
            let (tasks, failures) = (tasks.clone(), failures.clone());
            let replay = Replay { request: without_token(members), tasks, failures, at: Instant::now() };
            world.tokens.insert(key, replay);
        }
        (json!({"tasks": all_described(shared, &world, &tasks), "failures": failures}), tasks)
    };
    tasks.into_iter().for_each(|arn| launch::drive(shared, arn));
    shared.wake();
    Ok(answer)
}

fn all_described(shared: &Shared, world: &World, arns: &[String]) -> Vec<Value> {
    world.tasks.iter().filter(|task| arns.contains(&task.arn)).map(|task| described(shared, task, true)).collect()
}

/// HTTP 200 and no task: how a lack of capacity looks. AWS writes the apostrophe as U+2019.
fn refusal(fault: &Fault) -> Option<&'static str> {
    match fault {
        Fault::Capacity => {
            Some("Capacity is unavailable at this time. Please try again later or in a different availability zone")
        }
        Fault::VcpuQuota => Some("You\u{2019}ve reached the limit on the number of vCPUs you can run concurrently"),
        _ => None,
    }
}

/// The same token: the same tasks, or a conflict if anything else differs.
fn replay(shared: &Shared, world: &World, key: &(String, String), members: &Value) -> Option<Result<Value, ApiError>> {
    let known = world.tokens.get(key)?;
    if known.request != without_token(members) {
        let message = "The clientToken was used before with other parameters.";
        return Some(Err(ApiError::conflict(message, &known.tasks)));
    }
    Some(Ok(json!({"tasks": all_described(shared, world, &known.tasks), "failures": known.failures})))
}

fn without_token(members: &Value) -> Value {
    let mut members = members.clone();
    if let Some(members) = members.as_object_mut() {
        members.remove("clientToken");
    }
    members
}

fn check(shared: &Shared, request: Request) -> Result<(Launch, Place), ApiError> {
    let mut world = shared.lock();
    if !request.tags.is_empty() && world.faults.denies("ecs:TagResource") {
        return Err(ApiError::denied("ecs", "TagResource"));
    }
    let cluster = shared.cluster_name(&world, request.cluster.as_deref()).ok_or_else(ApiError::cluster_not_found)?;
    let definition = task_definitions::find(shared, &world, request.task_definition.as_deref().unwrap_or_default());
    let definition = definition.ok_or_else(task_definitions::not_found)?;
    definition.check_runnable()?;
    if !(1..=COUNT_MAX).contains(&request.count.unwrap_or(1)) {
        return Err(ApiError::invalid("count must be between 1 and 10"));
    }
    let token = request.client_token.as_deref().unwrap_or_default();
    if token.len() > TOKEN_MAX || !token.bytes().all(|byte| (33..=126).contains(&byte)) {
        return Err(ApiError::invalid("clientToken must be at most 64 characters in the range of 33-126."));
    }
    validate::started_by(request.started_by.as_deref().unwrap_or_default())?;
    validate::tags(&request.tags)?;
    let overridden = validate::overrides(&request.overrides, &definition)?;
    if request.enable_execute_command
        && overridden.task_role_arn.is_none()
        && definition.request.task_role_arn.is_none()
    {
        return Err(ApiError::invalid("The task definition must have a task role to use the execute command feature."));
    }
    let cluster_record = world.clusters.get(&cluster).cloned().unwrap_or_default();
    let placed = request.placement.check(&cluster_record)?;
    let launch = Launch {
        provider: placed.provider,
        platform_version: validate::platform_version(request.platform_version.as_deref())?,
        group: request.group.unwrap_or_else(|| format!("family:{}", definition.family)),
        tags: tags(request.tags, request.propagate_tags.as_deref(), request.managed_tags, &definition.tags, &cluster)?,
        overrides: request.overrides,
        overridden,
        started_by: request.started_by,
        exec: request.enable_execute_command,
        definition,
        cluster,
    };
    Ok((launch, placed.place))
}

fn tags(
    mut tags: Vec<Value>,
    propagate: Option<&str>,
    managed: bool,
    of_definition: &[Value],
    cluster: &str,
) -> Result<Vec<Value>, ApiError> {
    match propagate {
        None | Some("NONE") => {}
        Some("TASK_DEFINITION") => {
            let more = of_definition.iter().filter(|tag| tags.iter().all(|known| known["key"] != tag["key"]));
            tags.extend(more.cloned().collect::<Vec<_>>());
        }
        Some(other) => return Err(ApiError::invalid(format!("propagateTags cannot be {other} for RunTask."))),
    }
    if managed {
        tags.push(json!({"key": "aws:ecs:clusterName", "value": cluster}));
    }
    Ok(tags)
}

//! `StopTask`: the wish is recorded and answered at once; the processes get their signal from the task's driver.

use serde::Deserialize;
use serde_json::{Value, json};

use super::describe_tasks::described;
use crate::error::ApiError;
use crate::lifecycle::Event;
use crate::protocol::aws_json;
use crate::state::Shared;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    cluster: Option<String>,
    task: Option<String>,
    reason: Option<String>,
}

/// Answers a call.
pub(super) fn call(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(request)?;
    let arn = {
        let world = shared.lock();
        let cluster =
            shared.cluster_name(&world, request.cluster.as_deref()).ok_or_else(ApiError::cluster_not_found)?;
        let found = world.task(&cluster, request.task.as_deref().unwrap_or_default());
        found.map(|task| task.arn.clone()).ok_or_else(|| ApiError::invalid("The referenced task was not found."))?
    };
    let body = shared.update(&arn, |task| {
        task.explain("UserInitiated", request.reason.unwrap_or_else(|| "Task stopped by user".to_owned()));
        task.advance(Event::StopAsked);
        task.stop.cancel();
        described(shared, task, false)
    });
    // Found above, and tasks are forgotten an hour after their end at the earliest.
    Ok(json!({"task": body}))
}

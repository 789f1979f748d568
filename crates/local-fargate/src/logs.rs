//! CloudWatch Logs (AWS JSON 1.1): what containers with the `awslogs` driver write, and the operations that read it.

mod filter_log_events;
mod get_log_events;
mod groups;
mod store;
mod streams;

use serde_json::Value;

use crate::error::ApiError;
use crate::state::Shared;

pub(crate) use store::{Delay, Store, Writer};

/// Answers a call.
pub(crate) fn call(shared: &Shared, action: &str, request: &Value) -> Result<Value, ApiError> {
    match action {
        "CreateLogGroup" => groups::create(shared, request),
        "DeleteLogGroup" => groups::delete(shared, request),
        "DescribeLogGroups" => groups::describe(shared, request),
        "DescribeLogStreams" => streams::describe(shared, request),
        "GetLogEvents" => get_log_events::call(shared, request),
        "FilterLogEvents" => filter_log_events::call(shared, request),
        _ => Err(ApiError::new("UnknownOperationException", "")),
    }
}

fn no_such(what: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", format!("The specified log {what} does not exist."))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

/// A group's name out of a name or an ARN, whichever of the two members was given.
fn group_name(name: Option<String>, identifier: Option<String>) -> Result<String, ApiError> {
    match (name, identifier) {
        (Some(name), None) => Ok(name),
        (None, Some(identifier)) => {
            Ok(identifier.rsplit_once("log-group:").map_or(identifier.as_str(), |(_, name)| name).to_owned())
        }
        _ => Err(invalid("Either logGroupName or logGroupIdentifier must be specified, but not both.")),
    }
}

/// Where a page begins, out of a token of ours.
fn begin(token: Option<&str>) -> Result<usize, ApiError> {
    token.map_or(Ok(0), |token| token.parse().map_err(|_| invalid("The specified nextToken is invalid.")))
}

/// Size of a page, within what the operation allows.
fn limit(given: Option<i64>, most: usize) -> Result<usize, ApiError> {
    let Some(given) = given else { return Ok(most) };
    let out_of_range = || {
        invalid(format!(
            "1 validation error detected: Value '{given}' at 'limit' failed to satisfy constraint: 1 to {most}"
        ))
    };
    usize::try_from(given).ok().filter(|size| (1..=most).contains(size)).ok_or_else(out_of_range)
}

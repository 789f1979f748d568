//! ECS (AWS JSON 1.1): one operation, or one family of them, to a file.

mod clusters;
mod describe_tasks;
mod fargate;
mod list_tasks;
mod placement;
mod run_task;
mod services;
mod stop_task;
mod task_definitions;
mod validate;

use std::sync::Arc;

use serde_json::Value;

use crate::error::ApiError;
use crate::state::Shared;

pub(crate) use services::create as create_service;
pub(crate) use task_definitions::register;

/// Answers a call.
pub(crate) fn call(shared: &Arc<Shared>, action: &str, request: &Value) -> Result<Value, ApiError> {
    match action {
        "RunTask" => run_task::call(shared, request),
        "DescribeTasks" => describe_tasks::call(shared, request),
        "StopTask" => stop_task::call(shared, request),
        "ListTasks" => list_tasks::call(shared, request),
        "RegisterTaskDefinition" => task_definitions::register(shared, request),
        "DeregisterTaskDefinition" => task_definitions::deregister(shared, request),
        "DescribeTaskDefinition" => task_definitions::describe(shared, request),
        "ListTaskDefinitions" => task_definitions::list(shared, request),
        "CreateService" => services::create(shared, request),
        "UpdateService" => services::update(shared, request),
        "DeleteService" => services::delete(shared, request),
        "DescribeServices" => services::describe(shared, request),
        "ListServices" => services::list(shared, request),
        "DescribeClusters" => clusters::describe(shared, request),
        "ListClusters" => clusters::list(shared, request),
        "CreateCluster" => clusters::create(shared, request),
        _ => Err(ApiError::new("UnknownOperationException", "")),
    }
}

/// One page of a list: `maxResults` from 1 to 100 (without it, `default`), `nextToken` is where the next page begins.
fn page(all: &[String], size: Option<i64>, token: Option<&str>, default: i64, member: &str) -> Result<Value, ApiError> {
    let size = size.unwrap_or(default);
    if !(1..=100).contains(&size) {
        return Err(ApiError::invalid("maxResults must be between 1 and 100"));
    }
    let bad_token = || ApiError::invalid("Invalid token");
    let begin = match token {
        None => 0,
        Some(token) => token.parse::<usize>().ok().filter(|begin| *begin <= all.len()).ok_or_else(bad_token)?,
    };
    let end = all.len().min(begin + usize::try_from(size).unwrap_or(100));
    let mut page = serde_json::json!({member: all.get(begin..end).unwrap_or_default()});
    if end < all.len() {
        page["nextToken"] = end.to_string().into();
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_each_other_and_have_bounds() {
        let all: Vec<_> = ["a", "b", "c"].map(str::to_owned).into();
        let first = page(&all, Some(2), None, 100, "arns").expect("a page");
        assert_eq!(first, serde_json::json!({"arns": ["a", "b"], "nextToken": "2"}));
        let second = page(&all, Some(2), Some("2"), 100, "arns").expect("a page");
        assert_eq!(second, serde_json::json!({"arns": ["c"]}));
        for (size, token) in [(Some(0), None), (Some(101), None), (None, Some("x")), (None, Some("4"))] {
            assert_eq!(
                page(&all, size, token, 100, "arns").map_err(|error| error.code),
                Err("InvalidParameterException")
            );
        }
    }
}

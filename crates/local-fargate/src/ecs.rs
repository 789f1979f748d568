//! ECS (AWS JSON 1.1): one operation, or one family of them, to a file.

mod clusters;
mod describe_tasks;
mod execute_command;
mod fargate;
mod list_tasks;
mod managed_agents;
mod page;
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
        "ExecuteCommand" => execute_command::call(shared, request),
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

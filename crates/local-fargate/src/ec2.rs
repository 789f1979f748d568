//! EC2 (Query protocol): the three Describe operations that tell where a task is, one to a file.

mod describe_network_interfaces;
mod describe_security_groups;
mod describe_subnets;
mod selection;

use serde_json::Value;

use crate::error::ApiError;
use crate::protocol::query::Form;
use crate::state::Shared;

/// Answers a call.
pub(crate) fn call(shared: &Shared, action: &str, form: &Form) -> Result<Value, ApiError> {
    match action {
        "DescribeNetworkInterfaces" => describe_network_interfaces::call(shared, form),
        "DescribeSubnets" => describe_subnets::call(shared, form),
        "DescribeSecurityGroups" => describe_security_groups::call(form),
        _ => Err(ApiError::new("InvalidAction", format!("The action {action} is not valid for this web service."))),
    }
}

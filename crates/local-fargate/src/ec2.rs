//! EC2 (Query protocol): the Describe operations that tell where a task is, and those on inbound rules of security groups; one to a file.

mod authorize_security_group_ingress;
mod describe_network_interfaces;
mod describe_security_group_rules;
mod describe_security_groups;
mod describe_subnets;
mod group;
mod ip_permissions;
mod revoke_security_group_ingress;
mod rule;
mod selection;
mod tag_specification;
#[cfg(test)]
mod tests;

use serde_json::Value;

pub(crate) use self::rule::Rule;
pub use self::rule::RuleSummary;

use crate::error::ApiError;
use crate::protocol::query::Form;
use crate::state::Shared;

/// Answers a call.
pub(crate) fn call(shared: &Shared, action: &str, form: &Form) -> Result<Value, ApiError> {
    match action {
        "DescribeNetworkInterfaces" => describe_network_interfaces::call(shared, form),
        "DescribeSubnets" => describe_subnets::call(shared, form),
        "DescribeSecurityGroups" => describe_security_groups::call(shared, form),
        "DescribeSecurityGroupRules" => describe_security_group_rules::call(shared, form),
        "AuthorizeSecurityGroupIngress" => authorize_security_group_ingress::call(shared, form),
        "RevokeSecurityGroupIngress" => revoke_security_group_ingress::call(shared, form),
        _ => Err(ApiError::new("InvalidAction", format!("The action {action} is not valid for this web service."))),
    }
}

/// A request that only asks whether it would succeed ends here, when it would (EC2 API reference, `DryRun`).
fn dry_run(form: &Form) -> Result<(), ApiError> {
    if form.text("DryRun") != Some("true") {
        return Ok(());
    }
    let message = "Request would have succeeded, but DryRun flag is set.";
    Err(ApiError { status: 412, ..ApiError::new("DryRunOperation", message) })
}

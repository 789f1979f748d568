//! `RevokeSecurityGroupIngress`: takes inbound rules away, by id or by what they admit; all of a request or none.

use serde_json::{Value, json};

use super::{dry_run, group, ip_permissions};
use crate::error::ApiError;
use crate::protocol::query::Form;
use crate::state::{Shared, World};

/// Answers a call.
pub(super) fn call(shared: &Shared, form: &Form) -> Result<Value, ApiError> {
    form.only(&[
        "GroupId",
        "GroupName",
        "SecurityGroupRuleId",
        "IpPermissions",
        "CidrIp",
        "FromPort",
        "ToPort",
        "IpProtocol",
        "DryRun",
    ])?;
    let group = group::named(form)?;
    let ids = form.list("SecurityGroupRuleId");
    let mut world = shared.lock();
    let ids = if ids.is_empty() {
        by_permission(&world, group, form)?
    } else {
        if form.has_below("IpPermissions") || form.text("CidrIp").is_some() {
            let message = "The parameter securityGroupRuleIds cannot be used with the parameter ipPermissions";
            return Err(ApiError::new("InvalidParameterCombination", message));
        }
        by_id(&world, group, ids)?
    };
    dry_run(form)?;
    let (revoked, kept) = std::mem::take(&mut world.rules).into_iter().partition(|rule| ids.contains(&rule.id));
    let revoked: Vec<super::rule::Rule> = revoked;
    world.rules = kept;
    drop(world);
    shared.wake();
    let items: Vec<Value> = revoked.iter().map(|rule| rule.revoked_item()).collect();
    Ok(json!({"return": true, "revokedSecurityGroupRuleSet": items}))
}

fn by_id(world: &World, group: &str, ids: Vec<String>) -> Result<Vec<String>, ApiError> {
    super::describe_security_group_rules::check_ids(&ids)?;
    let is_there = |id: &&String| world.rules.iter().any(|rule| rule.id == **id && rule.group == group);
    match ids.iter().find(|id| !is_there(id)) {
        Some(missing) => Err(ApiError::new(
            "InvalidSecurityGroupRuleId.NotFound",
            format!("The security group rule ID '{missing}' does not exist"),
        )),
        None => Ok(ids),
    }
}

/// In a VPC that is not the default one, a rule that is not there is an error (EC2 API reference,
/// RevokeSecurityGroupIngress); none of ours is.
fn by_permission(world: &World, group: &str, form: &Form) -> Result<Vec<String>, ApiError> {
    let permissions = ip_permissions::read(form)?;
    let found = permissions.iter().map(|permission| {
        let mut rules = world.rules.iter().filter(|rule| rule.group == group);
        rules.find(|rule| rule.permission.is_same(permission)).map(|rule| rule.id.clone())
    });
    found.collect::<Option<_>>().ok_or_else(|| {
        let message = "The specified rule does not exist in this security group.";
        ApiError::new("InvalidPermission.NotFound", message)
    })
}

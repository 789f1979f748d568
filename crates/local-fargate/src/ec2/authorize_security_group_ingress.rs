//! `AuthorizeSecurityGroupIngress`: adds inbound rules, all of a request or none.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::ip_permissions::Permission;
use super::rule::Rule;
use super::{dry_run, group, ip_permissions, tag_specification};
use crate::draw::Draw;
use crate::error::ApiError;
use crate::fault::Fault;
use crate::protocol::query::Form;
use crate::state::{Shared, World};

/// Inbound rules of one group; counted for IPv4 and for IPv6 on its own (Amazon VPC User Guide, quotas).
const RULES_MAX: usize = 60;

/// Answers a call.
pub(super) fn call(shared: &Shared, form: &Form) -> Result<Value, ApiError> {
    form.only(&[
        "GroupId",
        "GroupName",
        "IpPermissions",
        "CidrIp",
        "FromPort",
        "ToPort",
        "IpProtocol",
        "TagSpecification",
        "DryRun",
    ])?;
    let group = group::named(form)?;
    let permissions = ip_permissions::read(form)?;
    let tags = tag_specification::read(form, "security-group-rule")?;
    let mut world = shared.lock();
    if !tags.is_empty() && world.faults.take(denies_tags).is_some() {
        return Err(ApiError::denied("ec2", "CreateTags"));
    }
    check(&world, group, &permissions)?;
    dry_run(form)?;
    let added: Vec<Rule> = permissions
        .into_iter()
        .map(|permission| {
            world.authorized += 1;
            // Not the stream of the task with the same number.
            let id = format!("sgr-0{}", Draw::new(!shared.config.seed, world.authorized).hex(16));
            Rule { id, group: group.to_owned(), permission, tags: tags.clone() }
        })
        .collect();
    let items: Vec<Value> = added.iter().map(|rule| rule.item(shared)).collect();
    world.rules.extend(added);
    drop(world);
    shared.wake();
    Ok(json!({"return": true, "securityGroupRuleSet": items}))
}

fn denies_tags(fault: &Fault) -> Option<()> {
    matches!(fault, Fault::AccessDenied { action } if action == "ec2:CreateTags").then_some(())
}

fn check(world: &World, group: &str, permissions: &[Permission]) -> Result<(), ApiError> {
    let of_group = || world.rules.iter().filter(|rule| rule.group == group).map(|rule| &rule.permission);
    if let Some(known) = permissions.iter().find(|new| of_group().any(|known| known.is_same(new))) {
        let message = format!("the specified rule \"{}\" already exists", known.words());
        return Err(ApiError::new("InvalidPermission.Duplicate", message));
    }
    let is_v4 = |permission: &&Permission| matches!(permission.cidr, IpNet::V4(_));
    let v4 = of_group().chain(permissions).filter(is_v4).count();
    let v6 = of_group().chain(permissions).count() - v4;
    if v4.max(v6) > RULES_MAX {
        let message = "The maximum number of rules per security group has been reached.";
        return Err(ApiError::new("RulesPerSecurityGroupLimitExceeded", message));
    }
    Ok(())
}

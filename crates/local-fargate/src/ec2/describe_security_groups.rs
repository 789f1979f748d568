//! `DescribeSecurityGroups`: the groups and their inbound rules, which are kept and not enforced: nothing filters packets here.

use serde_json::{Value, json};

use super::rule;
use super::selection::Selection;
use crate::ACCOUNT;
use crate::error::ApiError;
use crate::network::{SECURITY_GROUPS, SecurityGroup};
use crate::protocol::query::Form;
use crate::state::{Shared, World};

const SELECTION: Selection<'_> = Selection {
    set: "securityGroupInfo",
    ids: ("GroupId", "groupId"),
    not_found: ("InvalidGroup.NotFound", "The security group '{}' does not exist"),
    filters: &[("vpc-id", &["vpcId"]), ("group-id", &["groupId"]), ("group-name", &["groupName"])],
};

/// Answers a call.
pub(super) fn call(shared: &Shared, form: &Form) -> Result<Value, ApiError> {
    let items = {
        let world = shared.lock();
        SECURITY_GROUPS.iter().map(|group| item(&world, group)).collect()
    };
    SELECTION.page(items, form)
}

fn item(world: &World, group: &SecurityGroup) -> Value {
    json!({
        "groupId": group.id,
        "groupName": group.name,
        "groupDescription": group.name,
        "vpcId": group.vpc,
        "ownerId": ACCOUNT,
        "ipPermissions": rule::permissions(world.rules.iter().filter(|rule| rule.group == group.id)),
        "ipPermissionsEgress": [],
        "tagSet": [],
    })
}

//! `DescribeSecurityGroups`: groups without rules, since nothing filters packets here.

use serde_json::{Value, json};

use super::selection::Selection;
use crate::ACCOUNT;
use crate::error::ApiError;
use crate::network::{SECURITY_GROUPS, SecurityGroup};
use crate::protocol::query::Form;

const SELECTION: Selection<'_> = Selection {
    set: "securityGroupInfo",
    ids: ("GroupId", "groupId"),
    not_found: ("InvalidGroup.NotFound", "The security group '{}' does not exist"),
    filters: &[("vpc-id", &["vpcId"]), ("group-id", &["groupId"]), ("group-name", &["groupName"])],
};

/// Answers a call.
pub(super) fn call(form: &Form) -> Result<Value, ApiError> {
    SELECTION.page(SECURITY_GROUPS.iter().map(item).collect(), form)
}

fn item(group: &SecurityGroup) -> Value {
    json!({
        "groupId": group.id,
        "groupName": group.name,
        "groupDescription": group.name,
        "vpcId": group.vpc,
        "ownerId": ACCOUNT,
        "ipPermissions": [],
        "ipPermissionsEgress": [],
        "tagSet": [],
    })
}

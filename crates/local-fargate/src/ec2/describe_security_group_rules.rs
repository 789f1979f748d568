//! `DescribeSecurityGroupRules`: inbound rules; outbound ones are not kept.

use serde_json::Value;

use super::selection::Selection;
use crate::error::ApiError;
use crate::protocol::query::Form;
use crate::state::Shared;

const SELECTION: Selection<'_> = Selection {
    set: "securityGroupRuleSet",
    ids: ("SecurityGroupRuleId", "securityGroupRuleId"),
    not_found: ("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '{}' does not exist"),
    filters: &[
        ("group-id", &["groupId"]),
        ("security-group-rule-id", &["securityGroupRuleId"]),
        ("tag-key", &["tagSet", "key"]),
    ],
};

/// Answers a call.
pub(super) fn call(shared: &Shared, form: &Form) -> Result<Value, ApiError> {
    check_ids(&form.list("SecurityGroupRuleId"))?;
    let items = shared.lock().rules.iter().map(|rule| rule.item(shared)).collect();
    SELECTION.page(items, form)
}

/// Refuses what is no id at all.
pub(super) fn check_ids(ids: &[String]) -> Result<(), ApiError> {
    let is_shaped = |id: &&String| {
        id.strip_prefix("sgr-")
            .is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit()))
    };
    match ids.iter().find(|id| !is_shaped(id)) {
        Some(id) => Err(ApiError::new(
            "InvalidSecurityGroupRuleId.Malformed",
            format!("Invalid id: \"{id}\" (expecting \"sgr-...\")"),
        )),
        None => Ok(()),
    }
}

//! The security group that a request to change rules names.

use crate::error::ApiError;
use crate::network::SECURITY_GROUPS;
use crate::protocol::query::Form;

/// Id of the group.
pub(super) fn named(form: &Form) -> Result<&'static str, ApiError> {
    if let Some(name) = form.text("GroupName") {
        // Names are for a default VPC, and there is none here (boto/boto3, issue 1697).
        let message = format!("The security group '{name}' does not exist in default VPC 'none'");
        return Err(ApiError::new("InvalidGroup.NotFound", message));
    }
    let id = form.text("GroupId").ok_or_else(|| {
        ApiError::new("MissingParameter", "The request must contain the parameter groupName or groupId")
    })?;
    if !id.starts_with("sg-") {
        let message = format!("Invalid id: \"{id}\" (expecting \"sg-...\")");
        return Err(ApiError::new("InvalidGroupId.Malformed", message));
    }
    let found = SECURITY_GROUPS.iter().find(|group| group.id == id).map(|group| group.id);
    found.ok_or_else(|| ApiError::new("InvalidGroup.NotFound", format!("The security group '{id}' does not exist")))
}

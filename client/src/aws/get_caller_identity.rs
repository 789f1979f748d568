//! `sts:GetCallerIdentity`: who is paying. Needs no permission.

use super::{Aws, ServiceError};

/// ARN of the caller.
///
/// # Errors
/// [`ServiceError`]; credentials that are expired or wrong show here first.
pub async fn get_caller_identity(aws: &Aws) -> Result<Option<String>, ServiceError> {
    let reply = aws.sts.get_caller_identity().send().await;
    let reply = reply.map_err(|error| ServiceError::new("sts:GetCallerIdentity", &error))?;
    Ok(reply.arn)
}

//! STS: `GetCallerIdentity`, the same made-up user for everybody.

use serde_json::{Value, json};

use crate::ACCOUNT;
use crate::error::ApiError;

/// Answers a call.
pub(crate) fn call(action: &str) -> Result<Value, ApiError> {
    match action {
        "GetCallerIdentity" => {
            Ok(json!({"Arn": format!("arn:aws:iam::{ACCOUNT}:user/local"), "UserId": "AIDALOCAL", "Account": ACCOUNT}))
        }
        _ => Err(ApiError::new("InvalidAction", format!("Could not find operation {action} for version 2011-06-15"))),
    }
}

//! `CreateLogGroup`, `DeleteLogGroup`, `DescribeLogGroups`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::store::Group;
use super::{begin, invalid, limit, no_such};
use crate::ACCOUNT;
use crate::error::ApiError;
use crate::protocol::aws_json;
use crate::state::Shared;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Named {
    log_group_name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Listing {
    log_group_name_prefix: Option<String>,
    limit: Option<i64>,
    next_token: Option<String>,
}

/// Most groups of a page.
const PAGE: usize = 50;
/// Longest name.
const NAME_MAX: usize = 512;

/// Answers CreateLogGroup.
pub(super) fn create(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let Named { log_group_name: name } = aws_json::parse(request)?;
    let valid = |c: char| c.is_ascii_alphanumeric() || ".-_/#".contains(c);
    if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(valid) {
        return Err(invalid(format!("Invalid logGroupName '{name}'.")));
    }
    let mut groups = shared.logs.lock();
    if groups.contains_key(&name) {
        return Err(ApiError::new("ResourceAlreadyExistsException", "The specified log group already exists"));
    }
    groups.insert(name, Group::new());
    Ok(Value::Null)
}

/// Answers DeleteLogGroup.
pub(super) fn delete(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let Named { log_group_name: name } = aws_json::parse(request)?;
    shared.logs.lock().remove(&name).map(|_| Value::Null).ok_or_else(|| no_such("group"))
}

/// Answers DescribeLogGroups, in alphabetical order.
pub(super) fn describe(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Listing = aws_json::parse(request)?;
    let (begin, size) = (begin(request.next_token.as_deref())?, limit(request.limit, PAGE)?);
    let groups = shared.logs.lock();
    let prefix = request.log_group_name_prefix.unwrap_or_default();
    let matching = groups.iter().filter(|(name, _)| name.starts_with(&prefix));
    let all: Vec<_> = matching.map(|(name, group)| described(shared, name, group)).collect();
    let page: Vec<_> = all.iter().skip(begin).take(size).collect();
    let mut reply = json!({"logGroups": page});
    if begin + size < all.len() {
        reply["nextToken"] = (begin + size).to_string().into();
    }
    Ok(reply)
}

fn described(shared: &Shared, name: &str, group: &Group) -> Value {
    let arn = format!("arn:aws:logs:{}:{ACCOUNT}:log-group:{name}", shared.config.region);
    json!({
        "logGroupName": name,
        "creationTime": group.created,
        "metricFilterCount": 0,
        "arn": format!("{arn}:*"),
        "logGroupArn": arn,
        "logGroupClass": "STANDARD",
        // Counted once a day at the real service, so mostly behind.
        "storedBytes": 0,
    })
}

//! AWS JSON 1.1, which ECS, CloudWatch Logs, Systems Manager and KMS speak: the operation in a header, members as JSON, types as strict as the service's own.

use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::error::ApiError;

pub(crate) const CONTENT_TYPE: &str = "application/x-amz-json-1.1";
/// What stands before the operation in `X-Amz-Target`, and the service's name in a signature.
const TARGETS: [(&str, &str); 4] = [
    ("AmazonEC2ContainerServiceV20141113.", "ecs"),
    ("Logs_20140328.", "logs"),
    ("AmazonSSM.", "ssm"),
    ("TrentService.", "kms"),
];

/// Service and operation of an `X-Amz-Target`.
pub(crate) fn operation(target: &str) -> Option<(&'static str, &str)> {
    TARGETS.iter().find_map(|(prefix, service)| Some((*service, target.strip_prefix(prefix)?)))
}

/// The members of a request, those that are null left out: for the service there is no difference.
pub(crate) fn members(body: &[u8]) -> Result<Value, ApiError> {
    let mut members: Value = serde_json::from_slice(body).map_err(|error| serialization(&error))?;
    if !members.is_object() {
        return Err(ApiError::new("SerializationException", "Start of structure or map found where not expected."));
    }
    remove_nulls(&mut members);
    Ok(members)
}

/// The request as an operation understands it; a member of the wrong type is refused before anything else is looked at.
pub(crate) fn parse<T: DeserializeOwned>(members: &Value) -> Result<T, ApiError> {
    T::deserialize(members).map_err(|error| serialization(&error))
}

fn serialization(error: &serde_json::Error) -> ApiError {
    // The position and the kind: values may be secret.
    let kind = match error.classify() {
        serde_json::error::Category::Data => "a member has the wrong type",
        _ => "the request is not JSON",
    };
    ApiError::new("SerializationException", kind)
}

fn remove_nulls(value: &mut Value) {
    match value {
        Value::Object(members) => {
            members.retain(|_, member| !member.is_null());
            members.values_mut().for_each(remove_nulls);
        }
        Value::Array(items) => items.iter_mut().for_each(remove_nulls),
        _ => {}
    }
}

/// Body of an error: real ECS has `__type` and lower-case `message`.
pub(crate) fn error(error: &ApiError) -> Value {
    let mut body = json!({"__type": error.code, "message": error.message});
    if !error.resources.is_empty() {
        body["resourceIds"] = json!(error.resources);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    #[derive(Default)]
    struct Request {
        max_results: Option<i64>,
        tasks: Vec<String>,
    }

    #[test]
    fn null_is_absent_and_types_are_kept() {
        let parsed = |text: &str| members(text.as_bytes()).and_then(|members| parse::<Request>(&members));
        assert_eq!(parsed(r#"{"tasks": null, "maxResults": null, "other": 1}"#), Ok(Request::default()));
        assert_eq!(parsed(r#"{"tasks": "x"}"#).map_err(|error| error.code), Err("SerializationException"));
        assert_eq!(parsed(r#"{"maxResults": "1"}"#).map_err(|error| error.code), Err("SerializationException"));
        assert_eq!(parsed("[]").map_err(|error| error.code), Err("SerializationException"));
    }

    #[test]
    fn errors_look_as_ecs_writes_them() {
        let conflict = ApiError::conflict("m", &["arn:1".to_owned()]);
        let body = r#"{"__type":"ConflictException","message":"m","resourceIds":["arn:1"]}"#;
        assert_eq!(error(&conflict).to_string(), body);
    }
}

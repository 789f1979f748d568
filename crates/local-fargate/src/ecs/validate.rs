//! The limits that RunTask holds its callers to (ECS API reference).

use serde_json::Value;

use super::fargate;
use crate::definition::{Definition, TaskOverride};
use crate::error::ApiError;
use crate::protocol::aws_json;

/// Largest `overrides`, JSON punctuation included.
const OVERRIDES_MAX_CHARS: usize = 8192;

/// `startedBy`: letters, digits, `-`, `/` and `_`, at most 128.
pub(crate) fn started_by(text: &str) -> Result<(), ApiError> {
    let valid = text.len() <= 128 && text.chars().all(|c| c.is_ascii_alphanumeric() || "-/_".contains(c));
    if valid {
        Ok(())
    } else {
        Err(ApiError::invalid("startedBy contains invalid characters or is longer than 128 characters."))
    }
}

/// `tags`: at most 50, no key twice, no key of AWS's.
pub(crate) fn tags(tags: &[Value]) -> Result<(), ApiError> {
    if tags.len() > 50 {
        return Err(ApiError::invalid("Too many tags: at most 50 are allowed."));
    }
    let text = |tag: &Value, name: &str| tag[name].as_str().unwrap_or_default().to_owned();
    let allowed = |text: &str| text.chars().all(|c| c.is_alphanumeric() || " _.:/=+-@".contains(c));
    for tag in tags {
        let (key, value) = (text(tag, "key"), text(tag, "value"));
        if key.is_empty()
            || key.chars().count() > 128
            || value.chars().count() > 256
            || !allowed(&key)
            || !allowed(&value)
        {
            return Err(ApiError::invalid(format!("Invalid tag: {key}")));
        }
        if key.to_lowercase().starts_with("aws:") {
            return Err(ApiError::invalid("Tag keys that start with aws: are reserved."));
        }
        if tags.iter().filter(|other| text(other, "key") == key).count() > 1 {
            return Err(ApiError::invalid(format!("Duplicate tag key: {key}")));
        }
    }
    Ok(())
}

/// `overrides`: length, types, container names, sizes, storage.
pub(crate) fn overrides(overrides: &Value, definition: &Definition) -> Result<TaskOverride, ApiError> {
    if overrides.is_null() {
        return Ok(TaskOverride::default());
    }
    if overrides.to_string().chars().count() > OVERRIDES_MAX_CHARS {
        return Err(ApiError::invalid("Container Overrides length must be at most 8192"));
    }
    let parsed: TaskOverride = aws_json::parse(overrides)?;
    for container in &parsed.container_overrides {
        let name =
            container.name.as_ref().ok_or_else(|| ApiError::invalid("Container name is required in an override."))?;
        if definition.request.container_definitions.iter().all(|known| known.name != *name) {
            return Err(ApiError::invalid(format!(
                "Override for container named {name} is not a container in the TaskDefinition."
            )));
        }
        if container.environment.iter().any(|variable| variable.name.is_empty()) {
            return Err(ApiError::invalid("Environment variable name must not be empty."));
        }
    }
    let described = |name: &str| definition.body[name].as_str().unwrap_or_default();
    let cpu = parsed.cpu.as_deref().unwrap_or_else(|| described("cpu"));
    fargate::size(cpu, parsed.memory.as_deref().unwrap_or_else(|| described("memory")))?;
    match &parsed.ephemeral_storage {
        Some(storage) if !(21..=200).contains(&storage.size_in_gib) => {
            Err(ApiError::invalid("EphemeralStorage size must be between 21 and 200 GiB."))
        }
        _ => Ok(parsed),
    }
}

/// `platformVersion` as it will be described: LATEST is a number by then.
pub(crate) fn platform_version(given: Option<&str>) -> Result<&'static str, ApiError> {
    match given {
        None | Some("LATEST" | "1.4.0") => Ok("1.4.0"),
        Some("1.3.0") => Ok("1.3.0"),
        Some(_) => Err(ApiError::new("PlatformUnknownException", "The specified platform version does not exist.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn e_mail_addresses_are_no_started_by() {
        assert!(started_by("ecs-fargate-login").is_ok());
        assert!(started_by("me@example.org").is_err());
    }
}

//! Values that say what is forwarded.

use super::values::BadValue;
use crate::forward::announce::Format;
use crate::forward::spec::{Forward, Listen, RemoteForward, SpecError, Target};

/// Hexadecimal digits in an instance's id: those of today, and the old ones.
const INSTANCE_DIGITS: [usize; 2] = [17, 8];

impl From<SpecError> for BadValue {
    fn from(error: SpecError) -> Self {
        Self { shown: Some(error.part), ..Self::new(error.complaint, error.hint) }
    }
}

/// `-L`.
pub(super) fn forward(text: &str) -> Result<Forward, BadValue> {
    Ok(Forward::parse(text)?)
}

/// `-R`.
pub(super) fn remote_forward(text: &str) -> Result<RemoteForward, BadValue> {
    Ok(RemoteForward::parse(text)?)
}

/// `-D`.
pub(super) fn listen(text: &str) -> Result<Listen, BadValue> {
    Ok(Listen::parse(text)?)
}

/// `-W`.
pub(super) fn target(text: &str) -> Result<Target, BadValue> {
    Ok(Target::parse(text)?)
}

/// How listeners are told.
pub(super) fn format(text: &str) -> Result<Format, BadValue> {
    match text {
        "text" => Ok(Format::Text),
        "json" => Ok(Format::Json),
        "env" => Ok(Format::Env),
        _ => Err(BadValue::new("is not a format", "write `text`, `json` or `env`")),
    }
}

/// What Systems Manager calls a container or an instance.
pub(super) fn session_target(text: &str) -> Result<String, BadValue> {
    let is_hex = |text: &str| text.chars().all(|c| c.is_ascii_hexdigit());
    let is_known = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    let is_instance = |digits: &str| INSTANCE_DIGITS.contains(&digits.len()) && is_hex(digits);
    let is_good = match text.split_once(':') {
        Some(("ecs", container)) => {
            // Names of clusters may hold the separator, ids may not.
            let parts: Vec<&str> = container.rsplitn(3, '_').collect();
            parts.len() == 3 && parts.iter().all(|part| !part.is_empty() && part.chars().all(is_known))
        }
        Some(_) => false,
        None => ["i-", "mi-"].iter().any(|prefix| text.strip_prefix(prefix).is_some_and(is_instance)),
    };
    if is_good {
        return Ok(text.to_owned());
    }
    Err(BadValue::new(
        "is not a target",
        "write `ecs:CLUSTER_TASK_RUNTIMEID`, as `fargate-login describe TASK` shows it, or the id of an instance, `i-...` or `mi-...`",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_containers_and_instances() {
        for good in [
            "ecs:shop_0123456789abcdef0123456789abcdef_0123456789abcdef0123456789abcdef-0527074092",
            "ecs:my_shop_01_02",
            "i-0123456789abcdef0",
            "i-01234567",
            "mi-0123456789abcdef0",
        ] {
            assert_eq!(session_target(good).ok().as_deref(), Some(good));
        }
        for bad in [
            "",
            "web",
            "ecs:",
            "ecs:shop_1",
            "ecs:_1_2",
            "ecs:shop_1_",
            "i-",
            "i-xyz01234",
            "ec2:i-01234567",
            "ecs:a b_1_2",
        ] {
            assert!(session_target(bad).is_err(), "{bad}");
        }
    }
}

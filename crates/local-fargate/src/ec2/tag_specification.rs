//! `TagSpecification` of a request that makes something: the tags that it is to have.

use crate::error::ApiError;
use crate::protocol::query::Form;

/// Most tags of a resource, and the longest key and value (EC2 User Guide, "Tag restrictions").
const TAGS_MAX: usize = 50;
const KEY_MAX_CHARS: usize = 128;
const VALUE_MAX_CHARS: usize = 256;

/// Keys and values for a resource of this type.
pub(super) fn read(form: &Form, resource_type: &str) -> Result<Vec<(String, String)>, ApiError> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for number in 1.. {
        let prefix = format!("TagSpecification.{number}");
        if !form.has_below(&prefix) {
            break;
        }
        let given = form.text(&format!("{prefix}.ResourceType")).unwrap_or_default();
        if given != resource_type {
            return Err(invalid(format!("'{given}' is not a valid taggable resource type for this operation.")));
        }
        for number in 1.. {
            let Some(key) = form.text(&format!("{prefix}.Tag.{number}.Key")) else { break };
            let value = form.text(&format!("{prefix}.Tag.{number}.Value")).unwrap_or_default();
            check(key, value)?;
            if tags.iter().any(|(known, _)| known == key) {
                return Err(invalid(format!("Duplicate tag key '{key}' specified.")));
            }
            tags.push((key.to_owned(), value.to_owned()));
        }
    }
    if tags.len() > TAGS_MAX {
        return Err(ApiError::new("TagLimitExceeded", "The maximum number of Tags for a resource has been reached."));
    }
    Ok(tags)
}

fn check(key: &str, value: &str) -> Result<(), ApiError> {
    if key.is_empty() {
        return Err(invalid("Tag key cannot be empty"));
    }
    if key.chars().count() > KEY_MAX_CHARS {
        return Err(invalid(format!("Tag key exceeds the maximum length of {KEY_MAX_CHARS} characters")));
    }
    if value.chars().count() > VALUE_MAX_CHARS {
        return Err(invalid(format!("Tag value exceeds the maximum length of {VALUE_MAX_CHARS} characters")));
    }
    if key.to_lowercase().starts_with("aws:") {
        return Err(invalid("Tag keys starting with 'aws:' are reserved for internal use"));
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterValue", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(form: &str) -> Result<Vec<(String, String)>, &'static str> {
        read(&Form::parse(form.as_bytes()), "security-group-rule").map_err(|error| error.code)
    }

    #[test]
    fn tags_are_of_the_right_type_and_within_limits() {
        let of_rule = "TagSpecification.1.ResourceType=security-group-rule&TagSpecification.1.Tag.1.";
        assert_eq!(
            tags(&format!("{of_rule}Key=a&TagSpecification.1.Tag.1.Value=b")),
            Ok(vec![("a".into(), "b".into())])
        );
        assert_eq!(tags("GroupId=sg-1"), Ok(vec![]));
        for form in [
            "TagSpecification.1.ResourceType=security-group&TagSpecification.1.Tag.1.Key=a".to_owned(),
            format!("{of_rule}Key=aws:a"),
            format!("{of_rule}Key={}", "k".repeat(129)),
            format!("{of_rule}Key=k&TagSpecification.1.Tag.1.Value={}", "v".repeat(257)),
            format!("{of_rule}Key=k&TagSpecification.1.Tag.2.Key=k"),
        ] {
            assert_eq!(tags(&form), Err("InvalidParameterValue"), "{form}");
        }
    }
}

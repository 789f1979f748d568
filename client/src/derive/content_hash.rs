//! By what a derived task definition is found again: its family, and a hash of everything in it.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// End of every family that we register.
pub const FAMILY_END: &str = "-fargate-login";
/// Longest family (ECS API reference, RegisterTaskDefinition).
const FAMILY_MAX_CHARS: usize = 255;
/// Digits of the hash that tell apart long families which begin alike.
const SHORT_HASH_DIGITS: usize = 8;
/// Lists that ECS gives back in any order, though they are the same: by name.
const IN_ANY_ORDER: [&str; 2] = ["environment", "secrets"];

/// The family of what is derived from a family. One that would be too long is cut, and a hash of the whole name keeps it
/// apart from its like.
#[must_use]
pub fn family_of(original: &str) -> String {
    // ECS takes only ASCII letters, digits, `-` and `_` in a family.
    let room = FAMILY_MAX_CHARS - FAMILY_END.len();
    if original.chars().count() <= room {
        return format!("{original}{FAMILY_END}");
    }
    let beginning: String = original.chars().take(room - SHORT_HASH_DIGITS - 1).collect();
    let hash = hex(&Sha256::digest(original));
    format!("{beginning}-{}{FAMILY_END}", &hash[..SHORT_HASH_DIGITS])
}

/// SHA-256 of the definition, as hexadecimal digits: of its JSON without white space, with members sorted by name.
#[must_use]
pub(super) fn content_hash(definition: &Map<String, Value>) -> String {
    let canonical = canonical(&Value::Object(definition.clone()));
    hex(&Sha256::digest(canonical.to_string()))
}

fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<(&String, &Value)> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            let member = |(name, value): (&String, &Value)| (name.clone(), in_order(name, canonical(value)));
            sorted.into_iter().map(member).collect()
        }
        Value::Array(items) => items.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

fn in_order(name: &str, value: Value) -> Value {
    match value {
        Value::Array(mut items) if IN_ANY_ORDER.contains(&name) => {
            // Stable: of one name given twice the last counts, and stays last.
            items.sort_by_key(|item| item.get("name").and_then(Value::as_str).unwrap_or_default().to_owned());
            Value::Array(items)
        }
        other => other,
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hash(value: Value) -> String {
        content_hash(value.as_object().expect("an object"))
    }

    #[test]
    fn the_hash_is_of_what_is_said_and_not_of_how() {
        let one = json!({"family": "a", "containerDefinitions": [{"name": "x", "environment":
            [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]}]});
        let same = json!({"containerDefinitions": [{"environment":
            [{"value": "2", "name": "B"}, {"name": "A", "value": "1"}], "name": "x"}], "family": "a"});
        assert_eq!(hash(one.clone()), hash(same));
        let other = json!({"family": "a", "containerDefinitions": [{"name": "x", "environment":
            [{"name": "A", "value": "1"}, {"name": "B", "value": "3"}]}]});
        assert_ne!(hash(one), hash(other));
        assert_ne!(hash(json!({"command": ["a", "b"]})), hash(json!({"command": ["b", "a"]})));
        // `printf '{"a":1}' | sha256sum`
        let known = "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862";
        assert_eq!(hash(json!({"a": 1})), known);
    }

    #[test]
    fn long_families_are_cut_and_stay_apart() {
        assert_eq!(family_of("web"), "web-fargate-login");
        let (one, two) = ("a".repeat(254) + "1", "a".repeat(254) + "2");
        assert_eq!(family_of(&one).len(), FAMILY_MAX_CHARS);
        assert!(family_of(&one).ends_with(FAMILY_END));
        assert_ne!(family_of(&one), family_of(&two));
        assert_eq!(family_of(&"b".repeat(241)).len(), FAMILY_MAX_CHARS);
    }
}

//! What a derived task definition changes, as a unified diff that may be shown to anybody.

use serde_json::{Map, Value};
use similar::TextDiff;

use super::OF_ANSWERS;
use crate::aws::describe_task_definition::TaskDefinition;

/// Shown in place of a value.
const HIDDEN: &str = "(hidden)";
/// Lines around a change, as in every diff.
const CONTEXT: usize = 3;
/// Parts of an option's name that make its value a secret, such as `splunk-token` or `apikey`.
const SECRET: [&str; 4] = ["token", "key", "secret", "password"];

/// The lines that differ, each side under its name. Ends with a line feed. What only answers have is not compared, and values
/// of environment variables are hidden: they stay as they are anyway.
pub(super) fn unified(original: &TaskDefinition, derived: &Map<String, Value>, name: &str) -> String {
    let mut before = original.json.clone();
    for member in OF_ANSWERS {
        before.shift_remove(member);
    }
    let (before, after) = (text(before), text(derived.clone()));
    let diff = TextDiff::from_lines(&before, &after);
    diff.unified_diff().context_radius(CONTEXT).header(&original.name(), name).to_string()
}

fn text(definition: Map<String, Value>) -> String {
    let mut value = Value::Object(definition);
    if let Some(Value::Array(containers)) = value.get_mut("containerDefinitions") {
        containers.iter_mut().for_each(hide);
    }
    format!("{value:#}\n")
}

fn hide(container: &mut Value) {
    if let Some(Value::Array(variables)) = container.get_mut("environment") {
        for variable in variables {
            variable["value"] = HIDDEN.into();
        }
    }
    for member in ["logConfiguration", "firelensConfiguration"] {
        if let Some(Value::Object(options)) = container.get_mut(member).and_then(|log| log.get_mut("options")) {
            for (name, value) in options {
                let name = name.to_lowercase();
                if SECRET.iter().any(|part| name.contains(part)) {
                    *value = HIDDEN.into();
                }
            }
        }
    }
}

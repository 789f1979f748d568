//! Members of a task definition's JSON: containers and their names, lists, and what is left out.

use serde_json::{Map, Value};

use crate::aws::describe_task_definition::TaskDefinition;

/// Its containers.
pub(super) fn containers(definition: &TaskDefinition) -> &[Value] {
    list(definition.json.get("containerDefinitions"))
}

/// Name of a container, or of a volume.
pub(super) fn name_of(value: &Value) -> &str {
    text(value, "name")
}

/// Names of containers.
pub(super) fn names_in(containers: &[Value]) -> impl Iterator<Item = &str> {
    containers.iter().map(name_of)
}

/// A member that is text; empty when it is not there.
pub(super) fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// A list; empty when it is not there.
pub(super) fn list(value: Option<&Value>) -> &[Value] {
    value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A list to be changed, made where there is none.
pub(super) fn array_of<'a>(object: &'a mut Map<String, Value>, member: &str) -> &'a mut Vec<Value> {
    let value = object.entry(member).or_insert_with(|| Value::Array(Vec::new()));
    if !value.is_array() {
        *value = Value::Array(Vec::new());
    }
    match value {
        Value::Array(array) => array,
        // Made an array in the line above.
        _ => unreachable!("an array"),
    }
}

/// Takes members away, and notes those that said something.
pub(super) fn leave_out(object: &mut Map<String, Value>, members: &[&str], prefix: &str, left_out: &mut Vec<String>) {
    for member in members {
        if object.shift_remove(*member).is_some_and(|value| !says_nothing(&value)) {
            left_out.push(format!("{prefix}{member}"));
        }
    }
}

/// The service fills members that nobody gave with empty lists.
fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        _ => false,
    }
}

/// Whether there is a place to write: the root filesystem, a volume, or memory.
pub(super) fn can_write(container: &Map<String, Value>) -> bool {
    let is = |value: &Value, member: &str| value.get(member).and_then(Value::as_bool).unwrap_or(false);
    let read_only = container.get("readonlyRootFilesystem").and_then(Value::as_bool).unwrap_or(false);
    let memory = container.get("linuxParameters").and_then(|parameters| parameters.get("tmpfs"));
    !read_only
        || list(container.get("mountPoints")).iter().any(|mount| !is(mount, "readOnly"))
        || !list(memory).is_empty()
}

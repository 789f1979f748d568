//! The other containers: which of them the console needs, and what they are beside it.

use serde_json::{Map, Value, json};

use super::members::{array_of, leave_out, list, name_of, text};

/// Members that bring traffic to a sidecar, or have it found.
const OF_THE_SERVICE: [&str; 3] = ["portMappings", "dockerLabels", "links"];

/// Names of the containers that stay beside the chosen one: all, if wished for, else those without which it or they would not
/// start: what they depend on, what they take volumes from, and where they log to.
pub(super) fn kept<'a>(all: &'a [Value], chosen: &str, with_sidecars: bool) -> Vec<&'a str> {
    let mut needed: Vec<&Value> = all.iter().filter(|container| name_of(container) == chosen).collect();
    let mut next = 0;
    while let Some(container) = needed.get(next).copied() {
        for other in all.iter().filter(|other| needs(container, other)) {
            if !needed.iter().any(|known| name_of(known) == name_of(other)) {
                needed.push(other);
            }
        }
        next += 1;
    }
    let stays = |container: &&Value| {
        let name = name_of(container);
        name != chosen && (with_sidecars || needed.iter().any(|needed| name_of(needed) == name))
    };
    all.iter().filter(stays).map(name_of).collect()
}

/// Whether `container` does not start without `other`.
fn needs(container: &Value, other: &Value) -> bool {
    let name = name_of(other);
    let names =
        |list_of: &str, member: &str| list(container.get(list_of)).iter().any(|item| text(item, member) == name);
    let logs_there = container.get("logConfiguration").is_some_and(|log| text(log, "logDriver") == "awsfirelens")
        && is_log_router(other);
    names("dependsOn", "containerName") || names("volumesFrom", "sourceContainer") || logs_there
}

/// Whether a container is FireLens's log router.
pub(super) fn is_log_router(container: &Value) -> bool {
    container.get("firelensConfiguration").is_some_and(Value::is_object)
}

/// A container as it is beside the console: nobody reaches it from outside, and its end is not the end of the task.
pub(super) fn beside(definition: &Value, chosen: &str, kept: &[&str], left_out: &mut Vec<String>) -> Value {
    let mut container = definition.as_object().cloned().unwrap_or_default();
    leave_out(&mut container, &OF_THE_SERVICE, &format!("{}.", name_of(definition)), left_out);
    container.insert("essential".to_owned(), false.into());
    let with_chosen: Vec<&str> = kept.iter().copied().chain([chosen]).collect();
    keep_dependencies(&mut container, &with_chosen);
    if container.contains_key("dependsOn") {
        for dependency in array_of(&mut container, "dependsOn") {
            // The console has no health check any more, and does not end before the task.
            if text(dependency, "containerName") == chosen {
                *dependency = json!({ "containerName": chosen, "condition": "START" });
            }
        }
    }
    Value::Object(container)
}

/// Forgets dependencies on containers, and volumes from containers, that are not kept.
pub(super) fn keep_dependencies(container: &mut Map<String, Value>, kept: &[&str]) {
    for (member, name) in [("dependsOn", "containerName"), ("volumesFrom", "sourceContainer")] {
        if let Some(Value::Array(items)) = container.get_mut(member) {
            items.retain(|item| kept.contains(&text(item, name)));
        }
    }
}

//! Whether tasks of a definition can run on Fargate at all, and if not, everything that stands in the way.

use serde_json::Value;

use super::error::DeriveError;
use super::members::{containers, list, name_of, text};
use crate::aws::describe_task_definition::TaskDefinition;

/// Refuses a task definition for other machines than Fargate's Linux ones (ECS Developer Guide, Fargate task definition
/// differences).
///
/// # Errors
/// [`DeriveError::NotForFargate`], [`DeriveError::Windows`].
pub(super) fn check(definition: &TaskDefinition) -> Result<(), DeriveError> {
    if let Some(family) = definition.platform("operatingSystemFamily").filter(|family| *family != "LINUX") {
        return Err(DeriveError::Windows { name: definition.name(), family: family.to_owned() });
    }
    let mut obstacles = of_the_task(definition);
    obstacles.extend(containers(definition).iter().flat_map(of_a_container));
    match obstacles.is_empty() {
        true => Ok(()),
        false => Err(DeriveError::NotForFargate { name: definition.name(), obstacles }),
    }
}

fn of_the_task(definition: &TaskDefinition) -> Vec<String> {
    let mut obstacles = Vec::new();
    match definition.text("networkMode") {
        Some("awsvpc") => {}
        Some(mode) => obstacles.push(format!("its network mode is {mode}, not awsvpc")),
        None => obstacles.push("it has no network mode, which is bridge, not awsvpc".to_owned()),
    }
    let names = |member: &str| list(definition.json.get(member)).iter().filter_map(Value::as_str).collect::<Vec<_>>();
    let required = names("requiresCompatibilities");
    let found = names("compatibilities");
    if !required.is_empty() && !required.contains(&"FARGATE") {
        obstacles.push(format!("it is registered for {} only", required.join(" and ")));
    } else if required.is_empty() && !found.is_empty() && !found.contains(&"FARGATE") {
        obstacles.push(format!("ECS found it fit for {} only", found.join(" and ")));
    }
    for member in ["cpu", "memory"] {
        if definition.text(member).is_none_or(str::is_empty) {
            obstacles.push(format!("it has no {member} for the whole task"));
        }
    }
    for volume in list(definition.json.get("volumes")) {
        let host = volume.get("host").and_then(|host| host.get("sourcePath")).and_then(Value::as_str);
        if let Some(path) = host.filter(|path| !path.is_empty()) {
            obstacles.push(format!("its volume {} is {path} of the instance", name_of(volume)));
        } else if volume.get("dockerVolumeConfiguration").is_some_and(Value::is_object) {
            obstacles.push(format!("its volume {} is one of Docker's", name_of(volume)));
        }
    }
    obstacles
}

fn of_a_container(container: &Value) -> Vec<String> {
    let name = name_of(container);
    let mut obstacles = Vec::new();
    if container.get("privileged").and_then(Value::as_bool) == Some(true) {
        obstacles.push(format!("its container {name} is privileged"));
    }
    if list(container.get("resourceRequirements")).iter().any(|item| text(item, "type") == "GPU") {
        obstacles.push(format!("its container {name} needs a GPU"));
    }
    obstacles
}

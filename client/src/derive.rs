//! Any image, without rebuilding it: a task definition that starts our init in somebody else's container, made from theirs.
//!
//! The derivation works on the JSON that the service holds, not on types: a member that AWS adds is carried over like
//! all others. What is left out is named here, member by member, and told.

mod candidate;
mod carrier;
mod content_hash;
mod difference;
mod error;
mod fargate;
mod members;
mod question;
pub mod reuse;
mod same_content;
mod sidecars;
#[cfg(test)]
mod tests;

use serde_json::{Map, Value, json};

use crate::aws::describe_task_definition::TaskDefinition;

pub use carrier::default_image;
pub use content_hash::{FAMILY_END, family_of};
pub use error::DeriveError;
pub use question::choose;
pub use reuse::Mark;

use members::{containers, name_of, names_in};

/// Most containers of a task definition (ECS service quotas).
const CONTAINERS_MAX: usize = 10;
/// Members that are only in answers.
const OF_ANSWERS: [&str; 9] = [
    "taskDefinitionArn",
    "revision",
    "status",
    "requiresAttributes",
    "compatibilities",
    "registeredAt",
    "registeredBy",
    "deregisteredAt",
    "deleteRequestedAt",
];
/// Members of the task that a console has no use for, or that Fargate does not take: the service mesh's proxy; placement on
/// instances; and a PID namespace that the containers share, in which the init would not be PID 1.
const NOT_FOR_A_CONSOLE: [&str; 5] =
    ["proxyConfiguration", "placementConstraints", "inferenceAccelerators", "pidMode", "ipcMode"];
/// Members of the chosen container that make it a member of a service: who reaches it, who finds it (labels are what Traefik,
/// Prometheus and Datadog look for), who restarts it.
const OF_THE_SERVICE: [&str; 5] = ["portMappings", "healthCheck", "dockerLabels", "restartPolicy", "links"];

/// How to derive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wishes {
    /// Image of the carrier, which brings the init.
    pub init_image: String,
    /// Start the image's own entry point, with the init as its arguments.
    pub keep_entrypoint: bool,
    /// Keep the other containers.
    pub with_sidecars: bool,
    /// Mount a writable `/tmp`.
    pub add_tmp: bool,
}

/// A task definition made from another. `Debug` shows no environment variables.
#[derive(Clone, PartialEq, Eq)]
pub struct Derived {
    /// The request of RegisterTaskDefinition, without tags.
    pub request: Map<String, Value>,
    /// What it was made from.
    pub original: TaskDefinition,
    /// Container that starts the init.
    pub container: String,
    /// SHA-256 of the request, as hexadecimal digits.
    pub content_hash: String,
    /// What of the original is not in it, such as `container nginx` or `web.portMappings`.
    pub left_out: Vec<String>,
}

impl std::fmt::Debug for Derived {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Derived")
            .field("original", &self.original)
            .field("container", &self.container)
            .field("content_hash", &self.content_hash)
            .field("left_out", &self.left_out)
            .finish_non_exhaustive()
    }
}

impl Derived {
    /// Makes a task definition in which `container` starts our init.
    ///
    /// # Errors
    /// [`DeriveError`], when its tasks could not run on Fargate or nobody could work in them.
    pub fn new(original: &TaskDefinition, container: &str, wishes: &Wishes) -> Result<Self, DeriveError> {
        if carrier::is_in(original) {
            return Err(DeriveError::AlreadyDerived { name: original.name() });
        }
        fargate::check(original)?;
        carrier::check_architecture(original, &wishes.init_image)?;
        let all = containers(original);
        let kept = sidecars::kept(all, container, wishes.with_sidecars);
        let mut left_out: Vec<String> = names_in(all)
            .filter(|name| *name != container && !kept.contains(name))
            .map(|name| format!("container {name}"))
            .collect();
        let mut definitions = Vec::new();
        for definition in all {
            match name_of(definition) {
                name if name == container => {
                    definitions.push(chosen(definition, &kept, wishes, &mut left_out)?);
                    definitions.push(carrier::container(definition, &wishes.init_image));
                }
                name if kept.contains(&name) => {
                    definitions.push(sidecars::beside(definition, container, &kept, &mut left_out));
                }
                _ => {}
            }
        }
        if definitions.len() > CONTAINERS_MAX {
            return Err(DeriveError::TooManyContainers { count: definitions.len(), most: CONTAINERS_MAX });
        }
        let mut request = of_the_task(original, &mut left_out);
        request.insert("containerDefinitions".to_owned(), Value::Array(definitions));
        let content_hash = content_hash::content_hash(&request);
        reuse::label(&mut request, &original.name(), &content_hash);
        let original = original.clone();
        Ok(Self { request, original, container: container.to_owned(), content_hash, left_out })
    }

    /// Family that it is registered in.
    #[must_use]
    pub fn family(&self) -> &str {
        self.request.get("family").and_then(Value::as_str).unwrap_or_default()
    }

    /// The original beside what is made of it, as a unified diff, with values that may be secret hidden.
    #[must_use]
    pub fn diff(&self) -> String {
        difference::unified(&self.original, &self.request, &format!("{} (derived)", self.family()))
    }
}

/// Whether the container starts our init already, as far as that can be known without its image.
#[must_use]
pub fn starts_the_init(original: &TaskDefinition, container: &str, init_image: &str) -> bool {
    containers(original).iter().any(|c| name_of(c) == container && carrier::is_aboard(c, init_image))
}

/// Everything but the containers.
fn of_the_task(original: &TaskDefinition, left_out: &mut Vec<String>) -> Map<String, Value> {
    let mut task = original.json.clone();
    for member in OF_ANSWERS {
        task.shift_remove(member);
    }
    members::leave_out(&mut task, &NOT_FOR_A_CONSOLE, "", left_out);
    task.insert("family".to_owned(), family_of(original.family()).into());
    task.insert("requiresCompatibilities".to_owned(), json!(["FARGATE"]));
    task.insert("networkMode".to_owned(), "awsvpc".into());
    let volumes = members::array_of(&mut task, "volumes");
    for volume in volumes.iter_mut().filter_map(Value::as_object_mut) {
        // The service says at launch what is behind such a volume; a console gets an empty one that ends with the task.
        let name = volume.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
        members::leave_out(volume, &["configuredAtLaunch"], &format!("volume {name}."), left_out);
    }
    volumes.push(carrier::volume());
    task
}

/// The container that becomes the console.
fn chosen(
    definition: &Value,
    kept: &[&str],
    wishes: &Wishes,
    left_out: &mut Vec<String>,
) -> Result<Value, DeriveError> {
    let name = name_of(definition);
    let mut container = definition.as_object().cloned().unwrap_or_default();
    members::leave_out(&mut container, &OF_THE_SERVICE, &format!("{name}."), left_out);
    container.insert("essential".to_owned(), true.into());
    sidecars::keep_dependencies(&mut container, kept);
    if wishes.add_tmp {
        carrier::add_tmp(&mut container);
    } else if !members::can_write(&container) {
        return Err(DeriveError::NowhereToWrite { container: name.to_owned() });
    }
    carrier::board(&mut container, wishes.keep_entrypoint);
    Ok(Value::Object(container))
}

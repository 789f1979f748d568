//! Which container becomes the console.

use serde_json::Value;

use super::carrier;
use super::error::DeriveError;
use super::members::{containers, name_of, names_in};
use super::sidecars::is_log_router;
use crate::aws::describe_task_definition::TaskDefinition;
use crate::cli::nearest::nearest;

/// What can be said without asking anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Candidate {
    /// This container.
    One(String),
    /// One of these, more than one.
    Several(Vec<String>),
}

/// The container of this name; without a name, the only essential one. A log router or a mesh's proxy is essential too, but
/// nobody's console.
///
/// # Errors
/// [`DeriveError::NoSuchContainer`], [`DeriveError::NoContainers`].
pub(super) fn candidate(definition: &TaskDefinition, name: Option<&str>) -> Result<Candidate, DeriveError> {
    let all = containers(definition);
    if let Some(name) = name {
        return if names_in(all).any(|known| known == name) {
            Ok(Candidate::One(name.to_owned()))
        } else {
            Err(DeriveError::NoSuchContainer {
                name: name.to_owned(),
                definition: definition.name(),
                nearest: nearest(name, names_in(all)).map(str::to_owned),
                known: names_in(all).map(str::to_owned).collect(),
            })
        };
    }
    let proxy = definition.json.get("proxyConfiguration").and_then(|proxy| proxy.get("containerName"));
    let is_one = |container: &&Value| {
        let name = name_of(container);
        !is_log_router(container) && proxy.and_then(Value::as_str) != Some(name) && name != carrier::NAME
    };
    // A container is essential unless it says otherwise (ECS API reference, ContainerDefinition).
    let is_essential = |container: &&Value| container.get("essential").and_then(Value::as_bool) != Some(false);
    let candidates: Vec<&Value> = all.iter().filter(is_one).collect();
    let essential: Vec<&Value> = candidates.iter().copied().filter(is_essential).collect();
    let left = if essential.is_empty() { candidates } else { essential };
    match left.as_slice() {
        [] => Err(DeriveError::NoContainers { definition: definition.name() }),
        [one] => Ok(Candidate::One(name_of(one).to_owned())),
        several => Ok(Candidate::Several(several.iter().map(|container| name_of(container).to_owned()).collect())),
    }
}

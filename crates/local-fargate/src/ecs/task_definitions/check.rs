//! What RegisterTaskDefinition demands of a task as a whole, and of its containers together (ECS API reference,
//! RegisterTaskDefinition; messages as seen from the real service where they are known).

use super::super::fargate;
use super::check_container;
use crate::definition::{Dependency, Request};
use crate::error::ApiError;

/// Most containers of a task (ECS service quotas).
const CONTAINERS_MAX: usize = 10;

/// CPU units and MiB, where the definition says them; for Fargate it must.
pub(super) fn check(request: &Request, is_fargate: bool) -> Result<Option<(u32, u32)>, ApiError> {
    let family = &request.family;
    let is_name = (1..=255).contains(&family.len()) && is_identifier(family);
    if !is_name {
        return Err(ApiError::client("Family contains invalid characters."));
    }
    let containers = &request.container_definitions;
    if containers.is_empty() {
        return Err(ApiError::client("Container list cannot be empty."));
    }
    if containers.len() > CONTAINERS_MAX {
        return Err(ApiError::client("A task definition can have at most 10 containers."));
    }
    if let Some(unknown) = request.requires_compatibilities.iter().find(|name| !known_compatibility(name)) {
        return Err(ApiError::client(format!("Invalid compatibility: {unknown}")));
    }
    for (index, container) in containers.iter().enumerate() {
        check_container::check(container, request, is_fargate)?;
        if containers.iter().take(index).any(|other| other.name == container.name) {
            return Err(ApiError::client(format!("Duplicate container name: {}", container.name)));
        }
    }
    if containers.iter().all(|container| !container.essential) {
        return Err(ApiError::client("A task definition must have at least one essential container."));
    }
    volumes(request, is_fargate)?;
    dependencies(request)?;
    if !is_fargate {
        return Ok(None);
    }
    fargate_only(request)?;
    let missing =
        |what: &str| ApiError::client(format!("Fargate requires that '{what}' be defined at the task level."));
    let cpu = request.cpu.as_deref().ok_or_else(|| missing("cpu"))?;
    let memory = request.memory.as_deref().ok_or_else(|| missing("memory"))?;
    fargate::size(cpu, memory).map(Some)
}

pub(super) fn is_identifier(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
}

fn known_compatibility(name: &str) -> bool {
    ["EC2", "FARGATE", "EXTERNAL", "MANAGED_INSTANCES"].contains(&name)
}

fn fargate_only(request: &Request) -> Result<(), ApiError> {
    if request.network_mode.as_deref() != Some("awsvpc") {
        return Err(ApiError::client("Fargate only supports network mode 'awsvpc'."));
    }
    if request.ipc_mode.is_some() {
        return Err(ApiError::client("Fargate does not support 'ipcMode'."));
    }
    if request.pid_mode.as_deref().is_some_and(|mode| mode != "task") {
        return Err(ApiError::client("Fargate only supports PID mode 'task'."));
    }
    if !request.placement_constraints.is_empty() {
        return Err(ApiError::client("Fargate does not support placement constraints."));
    }
    let platform = request.runtime_platform.clone().unwrap_or_default();
    if !matches!(platform.cpu_architecture.as_deref(), None | Some("X86_64" | "ARM64")) {
        return Err(ApiError::client("Invalid cpuArchitecture."));
    }
    if !matches!(platform.operating_system_family.as_deref(), None | Some("LINUX")) {
        return Err(ApiError::client("Only the operating system family LINUX is played here."));
    }
    match &request.ephemeral_storage {
        Some(storage) if !(21..=200).contains(&storage.size_in_gib) => {
            Err(ApiError::client("EphemeralStorage size must be between 21 and 200 GiB."))
        }
        _ => Ok(()),
    }
}

fn volumes(request: &Request, is_fargate: bool) -> Result<(), ApiError> {
    for volume in &request.volumes {
        if volume.name.is_empty() || !is_identifier(&volume.name) {
            return Err(ApiError::client("Volume name contains invalid characters."));
        }
        let of_host = volume.host.as_ref().is_some_and(|host| host.source_path.is_some());
        if is_fargate && (of_host || volume.docker_volume_configuration.is_some()) {
            return Err(ApiError::client(format!(
                "When networkMode=awsvpc on Fargate, the volume {} can have neither a host source path nor a Docker volume configuration.",
                volume.name
            )));
        }
    }
    for container in &request.container_definitions {
        for mount in &container.mount_points {
            if request.volumes.iter().all(|volume| volume.name != mount.source_volume) {
                return Err(ApiError::client(format!("Unknown volume '{}'.", mount.source_volume)));
            }
        }
        for from in &container.volumes_from {
            if request.container_definitions.iter().all(|other| other.name != from.source_container) {
                return Err(ApiError::client(format!("Unknown container '{}' in volumesFrom.", from.source_container)));
            }
        }
    }
    Ok(())
}

fn dependencies(request: &Request) -> Result<(), ApiError> {
    let containers = &request.container_definitions;
    for container in containers {
        for Dependency { container_name, condition } in &container.depends_on {
            let on = containers.iter().find(|other| other.name == *container_name && other.name != container.name);
            let on = on.ok_or_else(|| {
                ApiError::client(format!("Container {} depends on unknown container {container_name}.", container.name))
            })?;
            match condition.as_str() {
                "START" => {}
                "COMPLETE" | "SUCCESS" if !on.essential => {}
                "COMPLETE" | "SUCCESS" => {
                    return Err(ApiError::client(
                        "A dependency container with SUCCESS or COMPLETE condition cannot be an essential container",
                    ));
                }
                "HEALTHY" if on.health_check.is_some() => {}
                "HEALTHY" => {
                    return Err(ApiError::client(format!(
                        "The container {container_name} has no health check, which the dependency condition HEALTHY requires."
                    )));
                }
                _ => return Err(ApiError::client(format!("Invalid dependency condition: {condition}"))),
            }
        }
    }
    // Takes away what depends on nothing that is left; what cannot be taken away is a circle.
    let mut left: Vec<_> = containers.iter().collect();
    loop {
        let names: Vec<_> = left.iter().map(|container| container.name.clone()).collect();
        let before = left.len();
        left.retain(|container| container.depends_on.iter().any(|on| names.contains(&on.container_name)));
        match left.len() {
            0 => return Ok(()),
            after if after == before => {
                return Err(ApiError::client("The container dependencies of the task definition form a cycle."));
            }
            _ => {}
        }
    }
}

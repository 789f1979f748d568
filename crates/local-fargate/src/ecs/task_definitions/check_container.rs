//! What RegisterTaskDefinition demands of one container.

use super::check::is_identifier;
use crate::definition::{ContainerDefinition, HealthCheck, LogConfiguration, Request};
use crate::error::ApiError;

pub(super) fn check(container: &ContainerDefinition, request: &Request, is_fargate: bool) -> Result<(), ApiError> {
    let name = &container.name;
    if name.is_empty() || container.image.is_empty() {
        return Err(ApiError::client("Container.name and Container.image should not be null or empty."));
    }
    if name.len() > 255 || !is_identifier(name) {
        return Err(ApiError::client("Container.name contains invalid characters."));
    }
    if container.environment.iter().any(|variable| variable.name.is_empty()) {
        return Err(ApiError::client("Environment variable name must not be empty."));
    }
    if let Some(secret) = container.secrets.iter().find(|secret| secret.name.is_empty() || secret.value_from.is_empty())
    {
        return Err(ApiError::client(format!("The secret '{}' needs a name and a valueFrom.", secret.name)));
    }
    let both =
        container.secrets.iter().find(|secret| container.environment.iter().any(|known| known.name == secret.name));
    if let Some(secret) = both {
        return Err(ApiError::client(format!(
            "The secret name must be unique and not shared with any new or existing environment variables set on the container, such as '{}'.",
            secret.name
        )));
    }
    if let Some(limit) = container.memory.zip(container.memory_reservation).filter(|(hard, soft)| hard < soft) {
        return Err(ApiError::client(format!("memoryReservation {} is above memory {}.", limit.1, limit.0)));
    }
    if let Some(check) = &container.health_check {
        health(check)?;
    }
    if let Some(log) = &container.log_configuration {
        logs(log, request, is_fargate)?;
    }
    if is_fargate { fargate_only(container, request) } else { Ok(()) }
}

fn health(check: &HealthCheck) -> Result<(), ApiError> {
    let kind = check.command.first().map(String::as_str);
    if !matches!(kind, Some("CMD" | "CMD-SHELL" | "NONE")) || (kind != Some("NONE") && check.command.len() < 2) {
        return Err(ApiError::client("The health check command must begin with CMD or CMD-SHELL."));
    }
    for (name, value, range) in [
        ("interval", check.interval, 5..=300),
        ("timeout", check.timeout, 2..=60),
        ("retries", check.retries, 1..=10),
        ("startPeriod", check.start_period, 0..=300),
    ] {
        if !range.contains(&value) {
            return Err(ApiError::client(format!(
                "The health check's {name} must be between {} and {}.",
                range.start(),
                range.end()
            )));
        }
    }
    Ok(())
}

fn logs(log: &LogConfiguration, request: &Request, is_fargate: bool) -> Result<(), ApiError> {
    if is_fargate && !["awslogs", "splunk", "awsfirelens"].contains(&log.log_driver.as_str()) {
        return Err(ApiError::client(format!(
            "Fargate only supports the log drivers awslogs, splunk and awsfirelens, not {}.",
            log.log_driver
        )));
    }
    if log.log_driver != "awslogs" {
        return Ok(());
    }
    if is_fargate && request.execution_role_arn.is_none() {
        return Err(ApiError::client(
            "Fargate requires task definition to have execution role ARN to support log driver awslogs.",
        ));
    }
    let needed: &[&str] =
        if is_fargate { &["awslogs-group", "awslogs-region", "awslogs-stream-prefix"] } else { &["awslogs-group"] };
    match needed.iter().find(|option| !log.options.contains_key(**option)) {
        Some(missing) => Err(ApiError::client(format!("Log driver awslogs requires options: {missing}"))),
        None => Ok(()),
    }
}

fn fargate_only(container: &ContainerDefinition, request: &Request) -> Result<(), ApiError> {
    let linux = &container.linux_parameters;
    let refused = [
        ("privileged containers", container.privileged),
        ("'links'", !container.links.is_empty()),
        ("'hostname'", container.hostname.is_some()),
        ("'disableNetworking'", container.disable_networking),
        ("'dnsServers'", !container.dns_servers.is_empty()),
        ("'dnsSearchDomains'", !container.dns_search_domains.is_empty()),
        ("'extraHosts'", !container.extra_hosts.is_empty()),
        ("'dockerSecurityOptions'", !container.docker_security_options.is_empty()),
        ("'devices'", !linux.devices.is_empty()),
        ("'sharedMemorySize'", linux.shared_memory_size.is_some()),
        ("'maxSwap'", linux.max_swap.is_some()),
        ("'swappiness'", linux.swappiness.is_some()),
        ("capabilities but SYS_PTRACE", linux.capabilities.add.iter().any(|name| name != "SYS_PTRACE")),
    ];
    if let Some((what, _)) = refused.into_iter().find(|(_, is_there)| *is_there) {
        return Err(ApiError::client(format!("Fargate does not support {what} (container {}).", container.name)));
    }
    if !container.secrets.is_empty() && request.execution_role_arn.is_none() {
        return Err(ApiError::client(
            "When you are specifying container secrets, you must also specify a value for 'executionRoleArn'.",
        ));
    }
    let mapped = container.port_mappings.iter();
    let mismatch = mapped.filter(|port| port.host_port.is_some_and(|host| host != 0 && host != port.container_port));
    if let Some(port) = mismatch.into_iter().next() {
        return Err(ApiError::client(format!(
            "When networkMode=awsvpc, the host ports and container ports in port mappings must match (container port {}).",
            port.container_port
        )));
    }
    for (name, value, range) in
        [("stopTimeout", container.stop_timeout, 2..=120), ("startTimeout", container.start_timeout, 2..=120)]
    {
        if value.is_some_and(|seconds| !range.contains(&seconds)) {
            return Err(ApiError::client(format!("{name} must be between 2 and 120 seconds.")));
        }
    }
    Ok(())
}

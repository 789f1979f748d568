//! Services and tasks for machines, with the names that ECS gives their members. The names are documented, and stay.

use serde_json::{Value, json};

use super::exec;
use crate::aws::describe_services::Network;
use crate::aws::describe_services::listed::ListedService;
use crate::aws::describe_tasks::listed::{ExecAgent, ListedContainer, ListedTask};
use crate::aws::last_part;
use crate::aws::run_task::CapacityProvider;
use crate::fleet::clock::instant;

pub(super) fn service(service: &ListedService) -> Value {
    json!({
        "serviceArn": service.arn,
        "serviceName": service.name,
        "clusterArn": service.cluster_arn,
        "clusterName": last_part(&service.cluster_arn),
        "status": service.status,
        "desiredCount": service.desired_count,
        "runningCount": service.running_count,
        "pendingCount": service.pending_count,
        "rolloutState": service.rollout_state,
        "enableExecuteCommand": service.exec,
        "launchType": service.launch_type,
        "capacityProviderStrategy": service.capacity_providers.iter().map(provider).collect::<Vec<_>>(),
        "platformVersion": service.platform_version,
        "schedulingStrategy": service.scheduling_strategy,
        "taskDefinition": service.task_definition,
        "awsvpcConfiguration": service.network.as_ref().map(network),
        "createdAt": service.created_at.and_then(instant),
        "tags": service.tags,
    })
}

fn provider(item: &CapacityProvider) -> Value {
    json!({"capacityProvider": item.capacity_provider, "base": item.base, "weight": item.weight})
}

fn network(network: &Network) -> Value {
    json!({
        "subnets": network.subnets,
        "securityGroups": network.security_groups,
        "assignPublicIp": if network.public { "ENABLED" } else { "DISABLED" },
    })
}

pub(super) fn task(task: &ListedTask) -> Value {
    let interface = task.interface.clone().unwrap_or_default();
    let containers: Vec<_> = task.containers.iter().map(|known| container(task, known)).collect();
    json!({
        "taskArn": task.arn,
        "clusterArn": task.cluster_arn,
        "clusterName": last_part(&task.cluster_arn),
        "taskDefinitionArn": task.task_definition_arn,
        "group": task.group,
        "startedBy": task.started_by,
        "lastStatus": task.last_status,
        "desiredStatus": task.desired_status,
        "healthStatus": task.health_status,
        "enableExecuteCommand": task.exec,
        "launchType": task.launch_type,
        "capacityProviderName": task.capacity_provider,
        "platformVersion": task.platform_version,
        "availabilityZone": task.availability_zone,
        "cpu": task.cpu,
        "memory": task.memory,
        "ephemeralStorage": task.storage.map(|gib| json!({"sizeInGiB": gib})),
        "networkInterfaceId": task.interface.as_ref().map(|interface| &interface.id),
        "subnetId": interface.subnet,
        "privateIpv4Address": interface.private_ipv4,
        "ipv6Address": interface.ipv6,
        "publicIp": interface.public_ipv4,
        "createdAt": task.created_at.and_then(instant),
        "startedAt": task.started_at.and_then(instant),
        "stoppedAt": task.stopped_at.and_then(instant),
        "stopCode": task.stop_code,
        "stoppedReason": task.stopped_reason,
        "tags": task.tags,
        "containers": containers,
    })
}

fn container(task: &ListedTask, container: &ListedContainer) -> Value {
    json!({
        "name": container.name,
        "image": container.image,
        "imageDigest": container.image_digest,
        "runtimeId": container.runtime_id,
        "lastStatus": container.last_status,
        "healthStatus": container.health_status,
        "exitCode": container.exit_code,
        "reason": container.reason,
        "executeCommandAgent": container.exec_agent.as_ref().map(agent),
        "target": exec::target(task, container),
    })
}

fn agent(agent: &ExecAgent) -> Value {
    json!({
        "lastStatus": agent.last_status,
        "reason": agent.reason,
        "lastStartedAt": agent.last_started_at.and_then(instant),
    })
}

//! `ecs:RunTask`: the request as plain data, so that the plan shows exactly what is sent, and the one call that costs money.

use aws_sdk_ecs::types as ecs;
use serde::Serialize;

use super::describe_tasks::TaskState;
use super::{Aws, ServiceError};

/// A RunTask request with the API's own member names.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct RunTaskRequest {
    /// Cluster name or ARN.
    pub cluster: String,
    /// Family, `family:revision` or ARN.
    pub task_definition: String,
    /// Always 1: a run is one task.
    pub count: i32,
    /// `FARGATE`, unless a capacity provider is asked for: the API takes only one of the two.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub launch_type: Option<String>,
    /// Fargate Spot, or what the service has that the run is to be like.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub capacity_provider_strategy: Vec<CapacityProvider>,
    /// Fargate platform version.
    pub platform_version: String,
    /// Subnets, security groups, public address.
    pub network_configuration: NetworkConfiguration,
    /// The grant and whatever the user overrides.
    pub overrides: Overrides,
    /// Name of this tool: `ListTasks` can filter by it.
    pub started_by: String,
    /// Makes a retry of the same launch the same launch.
    pub client_token: String,
    /// Sent explicitly, because IAM conditions on it do not see a default.
    pub enable_execute_command: bool,
    /// Tags of the task; empty when the caller may not tag.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
}

/// One member of a capacity provider strategy.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct CapacityProvider {
    /// `FARGATE` or `FARGATE_SPOT`.
    pub capacity_provider: String,
    /// Tasks that run on this one before weights count; only one member may have any.
    #[serde(skip_serializing_if = "is_zero")]
    pub base: i32,
    /// At least one weight must be above 0.
    pub weight: i32,
}

// serde hands a reference to what it may leave out.
fn is_zero(number: &i32) -> bool {
    *number == 0
}

/// `networkConfiguration`.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NetworkConfiguration {
    /// The only kind that Fargate has.
    pub awsvpc_configuration: AwsVpcConfiguration,
}

/// `awsvpcConfiguration`.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct AwsVpcConfiguration {
    /// Subnet ids.
    pub subnets: Vec<String>,
    /// Security-group ids; none is the VPC's default group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub security_groups: Vec<String>,
    /// `ENABLED` or `DISABLED`, always sent: the default is not documented.
    pub assign_public_ip: String,
}

/// `overrides`.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Overrides {
    /// One entry: the container that serves SSH.
    pub container_overrides: Vec<ContainerOverride>,
    /// Task CPU in CPU units, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// Task memory in MiB, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Ephemeral storage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ephemeral_storage: Option<EphemeralStorage>,
    /// Task role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_role_arn: Option<String>,
}

/// `ephemeralStorage`.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct EphemeralStorage {
    /// 21 to 200.
    #[serde(rename = "sizeInGiB")]
    pub size_in_gib: i32,
}

/// One member of `containerOverrides`.
#[derive(Clone, Serialize, PartialEq, Eq)]
pub struct ContainerOverride {
    /// Container name.
    pub name: String,
    /// Environment variables; sensitive in the service's own model.
    pub environment: Vec<Variable>,
}

impl std::fmt::Debug for ContainerOverride {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContainerOverride").field("name", &self.name).finish_non_exhaustive()
    }
}

/// An environment variable of the container.
#[derive(Clone, Serialize, PartialEq, Eq)]
pub struct Variable {
    /// Name.
    pub name: String,
    /// Value.
    pub value: String,
}

/// A tag of the task.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
pub struct Tag {
    /// At most 128 characters.
    pub key: String,
    /// At most 256 characters.
    pub value: String,
}

impl Tag {
    /// A tag as ECS tells it; one without a key is none.
    pub(crate) fn read(tag: &aws_sdk_ecs::types::Tag) -> Option<Self> {
        Some(Self { key: tag.key()?.to_owned(), value: tag.value().unwrap_or_default().to_owned() })
    }
}

/// What RunTask answered: HTTP 200 also stands over "nothing was started".
#[derive(Clone, Debug)]
pub struct RunTaskReply {
    /// ARN and state of the task, if one was started.
    pub task: Option<(String, TaskState)>,
    /// `failures[]`: reason, with its detail.
    pub failures: Vec<String>,
}

/// Starts the task. Must run to completion: a dropped future may leave a task that nobody knows.
///
/// # Errors
/// [`ServiceError`]. The SDK's own retries send the same `clientToken`.
pub async fn run_task(aws: &Aws, request: &RunTaskRequest) -> Result<RunTaskReply, ServiceError> {
    let network = &request.network_configuration.awsvpc_configuration;
    let vpc = ecs::AwsVpcConfiguration::builder()
        .set_subnets(Some(network.subnets.clone()))
        .set_security_groups((!network.security_groups.is_empty()).then(|| network.security_groups.clone()))
        .assign_public_ip(network.assign_public_ip.as_str().into())
        .build();
    let tags: Vec<_> =
        request.tags.iter().map(|tag| ecs::Tag::builder().key(&tag.key).value(&tag.value).build()).collect();
    let strategy = request.capacity_provider_strategy.iter().map(|provider| {
        ecs::CapacityProviderStrategyItem::builder()
            .capacity_provider(&provider.capacity_provider)
            .set_base((provider.base != 0).then_some(provider.base))
            .weight(provider.weight)
            .build()
    });
    // The builder's only required member is the provider, which is set.
    let strategy: Vec<_> = strategy.filter_map(Result::ok).collect();
    let container = request.overrides.container_overrides.first();
    // Awsvpc subnets are the only member whose absence the builder could report, and they are set.
    let sent = aws
        .ecs
        .run_task()
        .cluster(&request.cluster)
        .task_definition(&request.task_definition)
        .count(request.count)
        .set_launch_type(request.launch_type.as_deref().map(Into::into))
        .set_capacity_provider_strategy((!strategy.is_empty()).then_some(strategy))
        .platform_version(&request.platform_version)
        .network_configuration(ecs::NetworkConfiguration::builder().set_awsvpc_configuration(vpc.ok()).build())
        .overrides(overrides(&request.overrides))
        .started_by(&request.started_by)
        .client_token(&request.client_token)
        .enable_execute_command(request.enable_execute_command)
        .set_tags((!tags.is_empty()).then_some(tags))
        .send()
        .await;
    let reply = sent.map_err(|error| ServiceError::new("ecs:RunTask", &error))?;
    let name = container.map(|container| container.name.as_str()).unwrap_or_default();
    let task = reply.tasks().first();
    let task = task.and_then(|task| Some((task.task_arn()?.to_owned(), TaskState::read(task, name))));
    let failures = reply.failures().iter().map(|failure| {
        let reason = failure.reason().unwrap_or("no reason given");
        match failure.detail() {
            Some(detail) if !detail.is_empty() => format!("{reason}: {detail}"),
            _ => reason.to_owned(),
        }
    });
    Ok(RunTaskReply { task, failures: failures.collect() })
}

fn overrides(overrides: &Overrides) -> ecs::TaskOverride {
    let containers = overrides.container_overrides.iter().map(|container| {
        let environment = container
            .environment
            .iter()
            .map(|variable| ecs::KeyValuePair::builder().name(&variable.name).value(&variable.value).build());
        let environment = environment.collect();
        ecs::ContainerOverride::builder().name(&container.name).set_environment(Some(environment)).build()
    });
    let storage = overrides.ephemeral_storage.as_ref();
    ecs::TaskOverride::builder()
        .set_container_overrides(Some(containers.collect()))
        .set_cpu(overrides.cpu.clone())
        .set_memory(overrides.memory.clone())
        .set_ephemeral_storage(
            storage.map(|storage| ecs::EphemeralStorage::builder().size_in_gib(storage.size_in_gib).build()),
        )
        .set_task_role_arn(overrides.task_role_arn.clone())
        .build()
}

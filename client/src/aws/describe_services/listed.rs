//! Services as somebody looks at them who wants to choose one: how they stand, what they run, whether one gets into their tasks.

use aws_sdk_ecs::types as ecs;
use aws_smithy_types::DateTime;

use super::{Network, provider};
use crate::aws::run_task::{CapacityProvider, Tag};
use crate::aws::{Aws, ServiceError};

/// Most services of one call (ECS API reference, DescribeServices).
pub const SERVICES_MAX: usize = 10;

/// A service, with the API's names.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ListedService {
    /// `serviceArn`.
    pub arn: String,
    /// `serviceName`.
    pub name: String,
    /// `clusterArn`.
    pub cluster_arn: String,
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    pub status: String,
    /// How many tasks it wants.
    pub desired_count: i32,
    /// How many are RUNNING.
    pub running_count: i32,
    /// How many are on their way there.
    pub pending_count: i32,
    /// `enableExecuteCommand`: whether tasks that it launches from now on have the agent.
    pub exec: bool,
    /// `FARGATE`, `EC2` or `EXTERNAL`; `None` with a capacity provider strategy.
    pub launch_type: Option<String>,
    /// Capacity provider strategy.
    pub capacity_providers: Vec<CapacityProvider>,
    /// Fargate platform version, as it was asked for.
    pub platform_version: Option<String>,
    /// `REPLICA` or `DAEMON`.
    pub scheduling_strategy: Option<String>,
    /// `taskDefinition`: ARN of its task definition.
    pub task_definition: Option<String>,
    /// Network of its tasks, when they have interfaces of their own.
    pub network: Option<Network>,
    /// `rolloutState` of its primary deployment: `COMPLETED`, `IN_PROGRESS` or `FAILED`.
    pub rollout_state: Option<String>,
    /// `createdAt`, in seconds since the epoch.
    pub created_at: Option<f64>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

/// Looks at no more than [`SERVICES_MAX`] services of one cluster. What ECS does not know (any more) is left out.
///
/// # Errors
/// [`ServiceError`].
pub async fn describe_listed(aws: &Aws, cluster: &str, arns: &[String]) -> Result<Vec<ListedService>, ServiceError> {
    let call = aws.ecs.describe_services().cluster(cluster).set_services(Some(arns.to_vec()));
    let reply = call.include(ecs::ServiceField::Tags).send().await;
    let reply = reply.map_err(|error| ServiceError::new("ecs:DescribeServices", &error))?;
    Ok(reply.services().iter().map(ListedService::read).collect())
}

impl ListedService {
    fn read(service: &ecs::Service) -> Self {
        let primary = service.deployments().iter().find(|deployment| deployment.status() == Some("PRIMARY"));
        let network = service.network_configuration().and_then(ecs::NetworkConfiguration::awsvpc_configuration);
        let own = |text: Option<&str>| text.map(str::to_owned);
        Self {
            arn: service.service_arn().unwrap_or_default().to_owned(),
            name: service.service_name().unwrap_or_default().to_owned(),
            cluster_arn: service.cluster_arn().unwrap_or_default().to_owned(),
            status: service.status().unwrap_or_default().to_owned(),
            desired_count: service.desired_count(),
            running_count: service.running_count(),
            pending_count: service.pending_count(),
            exec: service.enable_execute_command(),
            launch_type: own(service.launch_type().map(ecs::LaunchType::as_str)),
            capacity_providers: service.capacity_provider_strategy().iter().map(provider).collect(),
            platform_version: own(service.platform_version()),
            scheduling_strategy: own(service.scheduling_strategy().map(ecs::SchedulingStrategy::as_str)),
            task_definition: own(service.task_definition()),
            network: network.map(Network::read),
            rollout_state: own(primary
                .and_then(ecs::Deployment::rollout_state)
                .map(ecs::DeploymentRolloutState::as_str)),
            created_at: service.created_at().map(DateTime::as_secs_f64),
            tags: service.tags().iter().filter_map(Tag::read).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::aws::canned::answering;

    #[tokio::test]
    async fn a_service_is_read_with_its_counts_and_its_primary_deployment() {
        let (aws, asked) = answering(|_, _| {
            let deployments = json!([
                {"id": "ecs-svc/2", "status": "ACTIVE", "rolloutState": "COMPLETED"},
                {"id": "ecs-svc/3", "status": "PRIMARY", "rolloutState": "IN_PROGRESS"},
            ]);
            let service = json!({
                "serviceArn": "a:service/shop/web", "serviceName": "web", "clusterArn": "a:cluster/shop", "status": "ACTIVE",
                "desiredCount": 3, "runningCount": 2, "pendingCount": 1, "enableExecuteCommand": true, "launchType": "FARGATE",
                "taskDefinition": "a:task-definition/web:7", "deployments": deployments, "createdAt": 1000.5,
                "schedulingStrategy": "REPLICA", "tags": [{"key": "team", "value": "a"}],
            });
            (200, json!({"services": [service], "failures": [{"arn": "a:service/shop/gone", "reason": "MISSING"}]}))
        });
        let found = describe_listed(&aws, "shop", &["a".to_owned(), "b".to_owned()]).await.expect("services");
        let web = &found[0];
        assert_eq!((found.len(), web.desired_count, web.running_count, web.pending_count), (1, 3, 2, 1));
        assert_eq!((web.rollout_state.as_deref(), web.exec), (Some("IN_PROGRESS"), true));
        assert_eq!((web.tags[0].key.as_str(), web.created_at), ("team", Some(1000.5)));
        assert_eq!(asked.all()[0].1, json!({"cluster": "shop", "services": ["a", "b"], "include": ["TAGS"]}));
    }
}

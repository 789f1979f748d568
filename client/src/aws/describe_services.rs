//! `ecs:DescribeServices`: how a service runs its tasks, so that a run can be like them, and how it stands.

pub mod listed;

use aws_sdk_ecs::types as ecs;

use super::run_task::CapacityProvider;
use super::{Aws, ServiceError};

/// What a service says about its tasks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// `ACTIVE`, `DRAINING` or `INACTIVE`.
    pub status: String,
    /// Who deploys it: `ECS`, `CODE_DEPLOY` or `EXTERNAL`.
    pub controller: String,
    /// ARN of its task definition.
    pub task_definition: Option<String>,
    /// `FARGATE`, `EC2` or `EXTERNAL`; `None` with a capacity provider strategy.
    pub launch_type: Option<String>,
    /// Capacity provider strategy.
    pub capacity_providers: Vec<CapacityProvider>,
    /// Fargate platform version.
    pub platform_version: Option<String>,
    /// Network of its tasks, when they have interfaces of their own.
    pub network: Option<Network>,
    /// The task set that serves production traffic, for services that are deployed in task sets.
    pub task_set: Option<String>,
}

/// `awsvpcConfiguration`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Subnet ids.
    pub subnets: Vec<String>,
    /// Security-group ids.
    pub security_groups: Vec<String>,
    /// Whether tasks get a public address.
    pub public: bool,
}

/// The service of this name or ARN, deleted ones included; `None` when the cluster has none.
///
/// # Errors
/// [`ServiceError`]; `ClusterNotFoundException` when there is no such cluster.
pub async fn describe_service(aws: &Aws, cluster: &str, name: &str) -> Result<Option<Service>, ServiceError> {
    let sent = aws.ecs.describe_services().cluster(cluster).services(name).send().await;
    let reply = sent.map_err(|error| ServiceError::new("ecs:DescribeServices", &error))?;
    // What was not found stands in `failures[]`, with the reason MISSING.
    Ok(reply.services().first().map(Service::read))
}

impl Service {
    fn read(service: &ecs::Service) -> Self {
        let primary = service.task_sets().iter().find(|set| set.status() == Some("PRIMARY"));
        let text = |of_set: Option<&str>, of_service: Option<&str>| of_set.or(of_service).map(str::to_owned);
        let strategy = primary.map(ecs::TaskSet::capacity_provider_strategy).filter(|strategy| !strategy.is_empty());
        let launch_type = primary.and_then(ecs::TaskSet::launch_type).or(service.launch_type());
        let network = primary.and_then(ecs::TaskSet::network_configuration).or(service.network_configuration());
        let controller = service.deployment_controller().map_or("ECS", |controller| controller.r#type().as_str());
        Self {
            name: service.service_name().unwrap_or_default().to_owned(),
            status: service.status().unwrap_or_default().to_owned(),
            controller: controller.to_owned(),
            task_definition: text(primary.and_then(ecs::TaskSet::task_definition), service.task_definition()),
            launch_type: launch_type.map(|launch_type| launch_type.as_str().to_owned()),
            capacity_providers: strategy.unwrap_or(service.capacity_provider_strategy()).iter().map(provider).collect(),
            platform_version: text(primary.and_then(ecs::TaskSet::platform_version), service.platform_version()),
            network: network.and_then(ecs::NetworkConfiguration::awsvpc_configuration).map(Network::read),
            task_set: primary.map(|set| set.id().unwrap_or_default().to_owned()),
        }
    }
}

impl Network {
    fn read(network: &ecs::AwsVpcConfiguration) -> Self {
        Self {
            subnets: network.subnets().to_vec(),
            security_groups: network.security_groups().to_vec(),
            public: network.assign_public_ip() == Some(&ecs::AssignPublicIp::Enabled),
        }
    }
}

fn provider(item: &ecs::CapacityProviderStrategyItem) -> CapacityProvider {
    CapacityProvider {
        capacity_provider: item.capacity_provider().to_owned(),
        base: item.base(),
        weight: item.weight(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;
    use crate::error::Advice as _;

    #[tokio::test]
    async fn a_services_way_of_running_tasks_is_read() {
        let (aws, asked) = answering(|_, _| {
            (
                200,
                json!({"failures": [], "services": [{
                    "serviceName": "web", "status": "ACTIVE", "platformVersion": "1.4.0",
                    "taskDefinition": "arn:aws:ecs:eu-west-1:000000000000:task-definition/web:42",
                    "capacityProviderStrategy": [
                        {"capacityProvider": "FARGATE", "weight": 1, "base": 1},
                        {"capacityProvider": "FARGATE_SPOT", "weight": 3, "base": 0},
                    ],
                    "networkConfiguration": {"awsvpcConfiguration": {
                        "subnets": ["subnet-1", "subnet-2"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED",
                    }},
                    "deployments": [{"id": "ecs-svc/1", "status": "PRIMARY"}],
                }]}),
            )
        });
        let service = describe_service(&aws, "shop", "web").await.expect("an answer").expect("a service");
        let network = service.network.expect("a network");
        assert_eq!(
            (network.subnets.len(), network.security_groups, network.public),
            (2, vec!["sg-1".to_owned()], false)
        );
        let shares: Vec<_> =
            service.capacity_providers.iter().map(|p| (p.capacity_provider.as_str(), p.base, p.weight)).collect();
        assert_eq!(shares, [("FARGATE", 1, 1), ("FARGATE_SPOT", 0, 3)]);
        assert_eq!((service.controller.as_str(), service.launch_type, service.task_set), ("ECS", None, None));
        assert_eq!(asked.all()[0].1, json!({"cluster": "shop", "services": ["web"]}));
    }

    #[tokio::test]
    async fn the_primary_task_set_says_more_than_the_service() {
        let (aws, _) = answering(|_, _| {
            (
                200,
                json!({"services": [{
                    "serviceName": "web", "status": "ACTIVE", "launchType": "FARGATE", "taskDefinition": "web:1",
                    "deploymentController": {"type": "CODE_DEPLOY"},
                    "taskSets": [
                        {"id": "ecs-svc/2", "status": "ACTIVE", "taskDefinition": "web:3"},
                        {"id": "ecs-svc/1", "status": "PRIMARY", "taskDefinition": "web:2", "networkConfiguration":
                            {"awsvpcConfiguration": {"subnets": ["subnet-9"], "assignPublicIp": "ENABLED"}}},
                    ],
                }]}),
            )
        });
        let service = describe_service(&aws, "shop", "web").await.expect("an answer").expect("a service");
        assert_eq!(
            (service.task_definition.as_deref(), service.task_set.as_deref()),
            (Some("web:2"), Some("ecs-svc/1"))
        );
        assert_eq!((service.controller.as_str(), service.launch_type.as_deref()), ("CODE_DEPLOY", Some("FARGATE")));
        assert!(service.network.expect("a network").public);
    }

    #[tokio::test]
    async fn no_such_service_is_no_service_and_no_such_cluster_an_error() {
        let (aws, _) =
            answering(|_, _| (200, json!({"services": [], "failures": [{"arn": "a", "reason": "MISSING"}]})));
        assert_eq!(describe_service(&aws, "shop", "nope").await, Ok(None));
        let (aws, _) =
            answering(|_, _| (400, json!({"__type": "ClusterNotFoundException", "message": "Cluster not found."})));
        let error = describe_service(&aws, "nope", "web").await.expect_err("no cluster");
        assert!(error.hints()[0].contains("-cluster"), "{:?}", error.hints());
    }
}

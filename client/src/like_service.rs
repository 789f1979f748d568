//! `--like-service`: a run takes from a service what the user does not say: cluster, network, platform, capacity.

use crate::aws::describe_services::{Service, describe_service};
use crate::aws::list_services::list_services;
use crate::aws::{Aws, ServiceError};
use crate::cli::nearest::nearest;
use crate::error::Advice;
use crate::options::Options;
use crate::ui::Ui;

/// Names that a hint lists at most.
const NAMES_MAX: usize = 10;

/// Why nothing can be taken from the service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LikeServiceError {
    /// The service refused.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The cluster has no such service.
    #[error("cluster {cluster} has no service `{name}`")]
    Missing {
        /// As it was named.
        name: String,
        /// Where it was looked for.
        cluster: String,
        /// Those that are there; empty when that is not known.
        known: Vec<String>,
    },
    /// It has been deleted, or is being deleted.
    #[error("service {name} is {}: it {}", status, if status == "INACTIVE" { "has been deleted" } else { "is being deleted" })]
    Inactive {
        /// Its name.
        name: String,
        /// `INACTIVE` or `DRAINING`.
        status: String,
    },
    /// Its tasks run elsewhere.
    #[error("service {name} runs its tasks on {place}, not on Fargate")]
    NotOnFargate {
        /// Its name.
        name: String,
        /// Launch type or capacity provider.
        place: String,
    },
    /// Its tasks are made by somebody else's controller.
    #[error("service {name} has an EXTERNAL deployment controller: how its tasks run stands in task sets")]
    External {
        /// Its name.
        name: String,
    },
    /// Its tasks have no network interfaces of their own.
    #[error("service {name} names no subnets")]
    NoNetwork {
        /// Its name.
        name: String,
    },
}

impl Advice for LikeServiceError {
    fn hints(&self) -> Vec<String> {
        let by_hand = "name task definition and network yourself: `--from FAMILY -sn SUBNET -sg GROUP`";
        match self {
            Self::Service(error) => error.hints(),
            Self::Missing { name, known, .. } => {
                let near = nearest(name, known.iter().map(String::as_str));
                let hint = match (near, known.as_slice()) {
                    (Some(near), _) => format!("did you mean `--like-service {near}`?"),
                    (None, []) => {
                        "`aws ecs list-services` shows those of a cluster; `-cluster` names another".to_owned()
                    }
                    (None, known) => {
                        let more = if known.len() > NAMES_MAX { ", ..." } else { "" };
                        let names = known.iter().take(NAMES_MAX).cloned().collect::<Vec<_>>().join(", ");
                        format!("it has {names}{more}; `-cluster` names another cluster")
                    }
                };
                vec![hint]
            }
            Self::Inactive { .. } => vec![by_hand.to_owned()],
            Self::NotOnFargate { .. } | Self::External { .. } | Self::NoNetwork { .. } => {
                vec![format!("{by_hand}; the task definition must be one for Fargate")]
            }
        }
    }
}

/// Fills in from the service what the options leave open, and answers the service's task definition.
///
/// # Errors
/// [`LikeServiceError`].
pub async fn like_service(
    options: &mut Options,
    name: &str,
    aws: &Aws,
    ui: &Ui,
) -> Result<Option<String>, LikeServiceError> {
    let cluster = options.cluster.clone().or_else(|| cluster_of_arn(name)).unwrap_or_else(|| "default".to_owned());
    ui.phase(&format!("DescribeServices {name} in {cluster}"));
    let Some(service) = describe_service(aws, &cluster, name).await? else {
        // Only a suggestion: a caller who may not list them gets none.
        let known = list_services(aws, &cluster).await.unwrap_or_default();
        return Err(LikeServiceError::Missing { name: name.to_owned(), cluster, known });
    };
    options.cluster = Some(cluster);
    if let Some(set) = &service.task_set {
        ui.note(&format!(
            "service {} is deployed by {}: like its primary task set {set}",
            service.name, service.controller
        ));
    }
    fill_in(options, service)
}

/// `arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/NAME`; in ARNs of the old form the cluster is missing.
fn cluster_of_arn(name: &str) -> Option<String> {
    let (_, path) = name.strip_prefix("arn:").and_then(|arn| arn.split_once(":service/"))?;
    path.split_once('/').map(|(cluster, _)| cluster.to_owned())
}

fn fill_in(options: &mut Options, service: Service) -> Result<Option<String>, LikeServiceError> {
    let name = service.name;
    if service.status != "ACTIVE" {
        return Err(LikeServiceError::Inactive { name, status: service.status });
    }
    if service.controller == "EXTERNAL" {
        return Err(LikeServiceError::External { name });
    }
    let is_fargate = |place: &str| matches!(place, "FARGATE" | "FARGATE_SPOT");
    let providers = service.capacity_providers.iter().map(|provider| provider.capacity_provider.as_str());
    if let Some(place) = service.launch_type.as_deref().into_iter().chain(providers).find(|place| !is_fargate(place)) {
        return Err(LikeServiceError::NotOnFargate { place: place.to_owned(), name });
    }
    let network = service.network.filter(|network| !network.subnets.is_empty());
    let network = network.ok_or(LikeServiceError::NoNetwork { name })?;
    if options.subnets.is_empty() {
        options.subnets = network.subnets;
    }
    if options.security_groups.is_empty() {
        options.security_groups = network.security_groups;
    }
    options.public = options.public.or(Some(network.public));
    options.platform_version = options.platform_version.take().or(service.platform_version);
    if options.spot.is_none() {
        options.capacity_providers = service.capacity_providers;
    }
    Ok(service.task_definition)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::canned::{Asked, answering};

    fn answer(service: Value) -> (Aws, Asked) {
        answering(move |operation, _| match operation {
            "DescribeServices" if service.is_null() => {
                (200, json!({"services": [], "failures": [{"reason": "MISSING"}]}))
            }
            "DescribeServices" => (200, json!({"services": [service]})),
            "ListServices" => (200, json!({"serviceArns": ["a/shop/web", "a/shop/worker"]})),
            other => panic!("{other}"),
        })
    }

    fn web() -> Value {
        json!({
            "serviceName": "web", "status": "ACTIVE", "taskDefinition": "arn:x:task-definition/web:42",
            "platformVersion": "1.4.0", "launchType": "FARGATE",
            "networkConfiguration": {"awsvpcConfiguration":
                {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "DISABLED"}},
        })
    }

    async fn refused(service: Value) -> LikeServiceError {
        let mut options = Options::default();
        like_service(&mut options, "web", &answer(service).0, &Ui::new(true)).await.expect_err("refused")
    }

    #[tokio::test]
    async fn what_is_not_said_is_taken_from_the_service() {
        let mut options = Options::default();
        let (aws, asked) = answer(web());
        let arn = "arn:aws:ecs:eu-west-1:000000000000:service/shop/web";
        let original = like_service(&mut options, arn, &aws, &Ui::new(true)).await.expect("a service");
        assert_eq!(original.as_deref(), Some("arn:x:task-definition/web:42"));
        assert_eq!(asked.all()[0].1["cluster"], "shop");
        assert_eq!((options.subnets, options.security_groups), (vec!["subnet-1".to_owned()], vec!["sg-1".to_owned()]));
        assert_eq!((options.public, options.cluster.as_deref()), (Some(false), Some("shop")));
        assert_eq!(options.platform_version.as_deref(), Some("1.4.0"));
    }

    #[tokio::test]
    async fn what_is_said_by_hand_wins() {
        let mut service = web();
        service["launchType"] = Value::Null;
        service["capacityProviderStrategy"] = json!([{"capacityProvider": "FARGATE_SPOT", "weight": 1}]);
        let mut options = Options {
            subnets: vec!["subnet-9".to_owned()],
            public: Some(true),
            cluster: Some("other".to_owned()),
            platform_version: Some("LATEST".to_owned()),
            spot: Some(false),
            ..Options::default()
        };
        let (aws, asked) = answer(service.clone());
        like_service(&mut options, "web", &aws, &Ui::new(true)).await.expect("a service");
        assert_eq!(asked.all()[0].1["cluster"], "other");
        assert_eq!((options.subnets, options.security_groups), (vec!["subnet-9".to_owned()], vec!["sg-1".to_owned()]));
        assert_eq!((options.public, options.platform_version.as_deref()), (Some(true), Some("LATEST")));
        assert!(options.capacity_providers.is_empty());
        let mut options = Options::default();
        like_service(&mut options, "web", &answer(service).0, &Ui::new(true)).await.expect("a service");
        assert_eq!(options.capacity_providers[0].capacity_provider, "FARGATE_SPOT");
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_told_from_one_that_is_no_more() {
        let (mut options, aws) = (Options::default(), answer(Value::Null).0);
        let missing = like_service(&mut options, "wokrer", &aws, &Ui::new(true)).await.expect_err("none");
        assert_eq!(missing.to_string(), "cluster default has no service `wokrer`");
        assert_eq!(missing.hints(), ["did you mean `--like-service worker`?"]);
        let missing = like_service(&mut options, "x", &aws, &Ui::new(true)).await.expect_err("none");
        assert_eq!(missing.hints(), ["it has web, worker; `-cluster` names another cluster"]);
        for (status, told) in [("INACTIVE", "has been deleted"), ("DRAINING", "is being deleted")] {
            let mut service = web();
            service["status"] = status.into();
            assert!(refused(service).await.to_string().ends_with(told));
        }
    }

    #[tokio::test]
    async fn what_is_not_on_fargate_is_refused() {
        let with = |member: &str, value: Value| {
            let mut service = web();
            service[member] = value;
            service
        };
        let on_ec2 = refused(with("launchType", "EC2".into())).await;
        assert_eq!(on_ec2.to_string(), "service web runs its tasks on EC2, not on Fargate");
        assert!(on_ec2.hints()[0].contains("--from"), "{:?}", on_ec2.hints());
        let own = json!([{"capacityProvider": "FARGATE", "weight": 1}, {"capacityProvider": "our-asg", "weight": 1}]);
        assert!(refused(with("capacityProviderStrategy", own)).await.to_string().contains("our-asg"));
        let external = refused(with("deploymentController", json!({"type": "EXTERNAL"}))).await;
        assert!(matches!(external, LikeServiceError::External { .. }));
        assert!(matches!(refused(with("networkConfiguration", Value::Null)).await, LikeServiceError::NoNetwork { .. }));
    }
}

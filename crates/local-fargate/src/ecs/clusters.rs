//! Clusters: `CreateCluster`, `DescribeClusters`, `ListClusters`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::page::{PAGE_MAX, page};
use crate::error::ApiError;
use crate::lifecycle::State;
use crate::protocol::aws_json;
use crate::service::Status;
use crate::state::{Cluster, Shared, World};

/// The capacity providers that every account has (ECS developer guide, "Fargate capacity providers").
const PROVIDERS: [&str; 2] = ["FARGATE", "FARGATE_SPOT"];
/// Most clusters of one DescribeClusters call.
const CLUSTERS_MAX: usize = 100;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Creation {
    cluster_name: Option<String>,
    capacity_providers: Vec<String>,
    default_capacity_provider_strategy: Vec<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Description {
    clusters: Vec<String>,
}

/// Answers CreateCluster; an existing cluster stays as it is.
pub(super) fn create(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Creation = aws_json::parse(request)?;
    let name = request.cluster_name.unwrap_or_else(|| "default".to_owned());
    let valid = (1..=255).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    if !valid {
        return Err(ApiError::invalid("Identifier is for cluster. Identifier contains invalid characters."));
    }
    let of_strategy = request.default_capacity_provider_strategy.iter().map(|item| &item["capacityProvider"]);
    let of_strategy = of_strategy.map(|name| name.as_str().unwrap_or_default().to_owned());
    if let Some(unknown) =
        request.capacity_providers.iter().cloned().chain(of_strategy).find(|name| !PROVIDERS.contains(&name.as_str()))
    {
        return Err(ApiError::invalid(format!("The specified capacity provider '{unknown}' was not found.")));
    }
    let mut world = shared.lock();
    world.clusters.entry(name.clone()).or_insert(Cluster {
        providers: request.capacity_providers,
        default_strategy: request.default_capacity_provider_strategy,
    });
    Ok(json!({"cluster": described(shared, &world, &name)}))
}

/// Answers DescribeClusters.
pub(super) fn describe(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Description = aws_json::parse(request)?;
    let wanted = if request.clusters.is_empty() { vec!["default".to_owned()] } else { request.clusters };
    if wanted.len() > CLUSTERS_MAX {
        return Err(ApiError::invalid("clusters can have at most 100 items."));
    }
    let world = shared.lock();
    let (mut clusters, mut failures) = (Vec::new(), Vec::new());
    for given in &wanted {
        match shared.cluster_name(&world, Some(given)) {
            Some(name) => clusters.push(described(shared, &world, &name)),
            None => {
                let name = given.rsplit('/').next().unwrap_or_default();
                failures.push(json!({"arn": shared.arn(&format!("cluster/{name}")), "reason": "MISSING"}));
            }
        }
    }
    Ok(json!({"clusters": clusters, "failures": failures}))
}

/// Answers ListClusters.
pub(super) fn list(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let arns: Vec<_> = shared.lock().clusters.keys().map(|name| shared.arn(&format!("cluster/{name}"))).collect();
    page(&arns, request, PAGE_MAX, "clusterArns")
}

fn described(shared: &Shared, world: &World, name: &str) -> Value {
    let of_cluster = || world.tasks.iter().filter(|task| task.launch.cluster == name);
    let cluster = world.clusters.get(name).cloned().unwrap_or_default();
    json!({
        "clusterArn": shared.arn(&format!("cluster/{name}")),
        "clusterName": name,
        "status": "ACTIVE",
        "registeredContainerInstancesCount": 0,
        "runningTasksCount": of_cluster().filter(|task| task.state == State::Running).count(),
        "pendingTasksCount":
            of_cluster().filter(|task| matches!(task.state, State::Provisioning | State::Pending)).count(),
        "activeServicesCount": world
            .services
            .iter()
            .filter(|service| service.cluster == name && service.status == Status::Active)
            .count(),
        "statistics": [],
        "tags": [],
        "settings": [],
        "capacityProviders": cluster.providers,
        "defaultCapacityProviderStrategy": cluster.default_strategy,
    })
}

//! Where and on what tasks run: `networkConfiguration`, `launchType` and `capacityProviderStrategy`, which RunTask and
//! CreateService have in common.

use serde::Deserialize;
use serde_json::Value;

use crate::error::ApiError;
use crate::launch::Place;
use crate::network;
use crate::state::Cluster;

/// The members that both operations have.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Request {
    pub(super) network_configuration: Option<Network>,
    pub(super) launch_type: Option<String>,
    pub(super) capacity_provider_strategy: Vec<StrategyItem>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Network {
    pub(super) awsvpc_configuration: Option<Awsvpc>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Awsvpc {
    pub(super) subnets: Vec<String>,
    pub(super) security_groups: Vec<String>,
    pub(super) assign_public_ip: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct StrategyItem {
    pub(super) capacity_provider: String,
    pub(super) weight: i64,
    pub(super) base: i64,
}

/// What was asked for, resolved.
#[derive(Debug)]
pub(super) struct Placed {
    pub(super) place: Place,
    /// Capacity provider, when a strategy was given or the cluster has one.
    pub(super) provider: Option<String>,
}

impl Request {
    /// Every check that both operations make.
    pub(super) fn check(&self, cluster: &Cluster) -> Result<Placed, ApiError> {
        let awsvpc = self.network_configuration.as_ref().and_then(|network| network.awsvpc_configuration.as_ref());
        let awsvpc = awsvpc.ok_or_else(|| {
            ApiError::invalid("Network Configuration must be provided when networkMode 'awsvpc' is specified.")
        })?;
        let wants_public = match awsvpc.assign_public_ip.as_deref() {
            Some("ENABLED") => true,
            None | Some("DISABLED") => false,
            Some(_) => return Err(ApiError::invalid("assignPublicIp must be ENABLED or DISABLED")),
        };
        let (subnet, groups) = network::place(&awsvpc.subnets, &awsvpc.security_groups)?;
        Ok(Placed { place: Place { subnet, groups, wants_public }, provider: self.provider(cluster)? })
    }

    /// Launch type or capacity providers: one of the two, and known to the cluster, whose own strategy counts last.
    fn provider(&self, cluster: &Cluster) -> Result<Option<String>, ApiError> {
        let own = || -> Result<Vec<StrategyItem>, ApiError> {
            let items = cluster.default_strategy.iter().map(StrategyItem::deserialize);
            items.collect::<Result<_, _>>().map_err(|_| ApiError::invalid("Invalid capacity provider strategy."))
        };
        match (self.launch_type.as_deref(), self.capacity_provider_strategy.as_slice()) {
            (Some(_), [_, ..]) => Err(ApiError::invalid(
                "Specifying both a launch type and capacity provider strategy is not supported. Remove one and try again.",
            )),
            (Some("FARGATE"), []) => Ok(None),
            (Some("EC2" | "EXTERNAL"), []) => {
                Err(ApiError::invalid("No Container Instances were found in your cluster."))
            }
            (Some(other), []) => Err(ApiError::invalid(format!("Invalid launch type: {other}"))),
            (None, []) => match own()?.as_slice() {
                [] => Err(ApiError::invalid("No Container Instances were found in your cluster.")),
                items => strategy(items, &cluster.providers).map(Some),
            },
            (None, items) => strategy(items, &cluster.providers).map(Some),
        }
    }
}

/// The provider that a strategy puts one task on: the one with a base, else the one with the most weight.
fn strategy(items: &[StrategyItem], providers: &[String]) -> Result<String, ApiError> {
    const ITEMS_MAX: usize = 20;
    const WEIGHT_MAX: i64 = 1000;
    const BASE_MAX: i64 = 100_000;
    let invalid = |message: &str| Err(ApiError::invalid(message));
    if items.len() > ITEMS_MAX {
        return invalid("A capacity provider strategy can contain a maximum of 20 capacity providers.");
    }
    if items.iter().any(|item| !(0..=WEIGHT_MAX).contains(&item.weight) || !(0..=BASE_MAX).contains(&item.base)) {
        return invalid("The weight must be between 0 and 1000, the base between 0 and 100000.");
    }
    if items.iter().filter(|item| item.base > 0).count() > 1 {
        return invalid("Only one capacity provider in a strategy can have a base defined.");
    }
    if items.iter().all(|item| item.weight == 0) {
        return invalid(
            "The capacity provider strategy must contain a capacity provider with a weight greater than 0.",
        );
    }
    if let Some(unknown) = items.iter().find(|item| !providers.contains(&item.capacity_provider)) {
        return Err(ApiError::invalid(format!(
            "The specified capacity provider '{}' was not found.",
            unknown.capacity_provider
        )));
    }
    // Not empty: some weight is above 0.
    let chosen = items.iter().max_by_key(|item| (item.base, item.weight));
    Ok(chosen.map(|item| item.capacity_provider.clone()).unwrap_or_default())
}

impl Awsvpc {
    /// As a service describes it.
    pub(super) fn described(&self) -> Value {
        serde_json::json!({"awsvpcConfiguration": {
            "subnets": self.subnets,
            "securityGroups": self.security_groups,
            "assignPublicIp": self.assign_public_ip.as_deref().unwrap_or("DISABLED"),
        }})
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn provider(request: Value) -> Result<Option<String>, String> {
        let cluster =
            Cluster { providers: vec!["FARGATE".to_owned(), "FARGATE_SPOT".to_owned()], ..Cluster::default() };
        let mut request = request;
        request["networkConfiguration"] = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"]}});
        let request = Request::deserialize(request).expect("typed");
        request.check(&cluster).map(|placed| placed.provider).map_err(|error| error.message)
    }

    #[test]
    fn a_launch_type_and_a_strategy_exclude_each_other() {
        assert_eq!(provider(json!({"launchType": "FARGATE"})), Ok(None));
        let spot = json!([{"capacityProvider": "FARGATE_SPOT", "weight": 1}]);
        assert_eq!(provider(json!({"capacityProviderStrategy": spot})), Ok(Some("FARGATE_SPOT".to_owned())));
        let both = provider(json!({"capacityProviderStrategy": spot, "launchType": "FARGATE"}));
        assert!(both.is_err_and(|message| message.starts_with("Specifying both a launch type")));
        assert!(provider(json!({})).is_err(), "the cluster has no strategy of its own");
    }

    #[test]
    fn a_strategy_has_bounds() {
        for (items, says) in [
            (json!([{"capacityProvider": "FARGATE", "weight": 0}]), "greater than 0"),
            (json!([{"capacityProvider": "FARGATE", "weight": 1001}]), "between 0 and 1000"),
            (json!([{"capacityProvider": "NONE", "weight": 1}]), "'NONE' was not found"),
            (
                json!([{"capacityProvider": "FARGATE", "base": 1, "weight": 1}, {"capacityProvider": "FARGATE_SPOT", "base": 1}]),
                "Only one",
            ),
        ] {
            let refused = provider(json!({"capacityProviderStrategy": items}));
            assert!(refused.as_ref().is_err_and(|message| message.contains(says)), "{refused:?}");
        }
    }
}

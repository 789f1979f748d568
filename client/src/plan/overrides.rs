//! What the run overrides in its task definition, and where it is to be placed instead.

use fargate_contract::{Grant, limits};

use super::PlanError;
use crate::aws::run_task::{CapacityProvider, ContainerOverride, EphemeralStorage, Overrides, Variable};
use crate::options::Options;

/// The grant and what the user overrides.
///
/// # Errors
/// [`PlanError::OverridesTooLong`] and [`PlanError::Grant`].
pub(super) fn overrides(options: &Options, grant: &Grant, container: &str) -> Result<Overrides, PlanError> {
    let of_grant = grant.to_env()?.into_iter().map(|(name, value)| Variable { name: name.to_owned(), value });
    let of_user = options.env.iter().map(|(name, value)| Variable { name: name.clone(), value: value.clone() });
    let overrides = Overrides {
        container_overrides: vec![ContainerOverride {
            name: container.to_owned(),
            environment: of_grant.chain(of_user).collect(),
        }],
        cpu: options.cpu.map(|cpu| cpu.to_string()),
        memory: options.memory.map(|memory| memory.to_string()),
        // The option's parser allows 21 to 200.
        ephemeral_storage: options
            .ephemeral_storage
            .and_then(|gib| i32::try_from(gib).ok())
            .map(|size_in_gib| EphemeralStorage { size_in_gib }),
        task_role_arn: options.task_role_arn.clone(),
    };
    let bytes = serde_json::to_string(&overrides).map_or(0, |json| json.len());
    if bytes > limits::OVERRIDES_BUDGET_BYTES {
        let longest = options.env.iter().max_by_key(|(_, value)| value.len()).map(|(name, _)| name.clone());
        return Err(PlanError::OverridesTooLong { bytes, longest });
    }
    Ok(overrides)
}

/// Spot on request, else what the service has that the run is to be like.
pub(crate) fn capacity_providers(options: &Options) -> Vec<CapacityProvider> {
    match options.spot {
        Some(true) => vec![CapacityProvider { capacity_provider: "FARGATE_SPOT".to_owned(), base: 0, weight: 1 }],
        Some(false) => Vec::new(),
        None => options.capacity_providers.clone(),
    }
}

//! `fargate-login services`: what a cluster runs and keeps running.

use futures_util::FutureExt as _;
use serde_json::Value;

use super::columns::{self, Columns, UNKNOWN};
use super::{Place, json};
use crate::aws::describe_services::listed::{ListedService, SERVICES_MAX, describe_listed};
use crate::aws::last_part;
use crate::aws::list_services::list_service_arns;
use crate::error::EXIT_FAILURE;
use crate::fleet::clock::{now, since};
use crate::fleet::table;
use crate::options::Clusters;

/// Shows them on standard output. Returns the exit status of the program.
pub(super) async fn run(place: Place<'_>) -> u8 {
    let names = match place.names().await {
        Ok(names) => names,
        Err(error) => {
            place.ui.error(&error);
            return EXIT_FAILURE;
        }
    };
    let list = |cluster: String| async move { list_service_arns(place.aws, &cluster).await }.boxed();
    let describe =
        |cluster: String, arns: Vec<String>| async move { describe_listed(place.aws, &cluster, &arns).await }.boxed();
    let mut found = place.gather("Services", names, SERVICES_MAX, list, describe).await;
    found.items.sort_by(|one, other| (&one.cluster_arn, &one.name).cmp(&(&other.cluster_arn, &other.name)));
    let text = if place.json {
        format!("{:#}\n", found.items.iter().map(json::service).collect::<Value>())
    } else {
        let with_cluster = *place.clusters == Clusters::All;
        columns::text(to_lines(&found.items, with_cluster, now(), table::width()))
    };
    let code = place.tell(&text, &found.failures);
    if found.items.is_empty() && found.failures.is_empty() && !place.json {
        place.ui.note(&format!("there are no services {}", place.wherever()));
    }
    code
}

pub(super) fn to_lines(services: &[ListedService], with_cluster: bool, now: f64, width: Option<usize>) -> Vec<String> {
    let each = || services.iter();
    let cluster = |service: &ListedService| with_cluster.then(|| last_part(&service.cluster_arn).to_owned());
    let definition = |service: &ListedService| service.task_definition.as_deref().map(last_part).map(str::to_owned);
    Columns::default()
        .with("SERVICE", each().map(|service| service.name.clone()))
        .with_known("CLUSTER", each().map(cluster))
        .with("STATUS", each().map(|service| service.status.clone()))
        .with("TASKS", each().map(tasks))
        .with_known("ROLLOUT", each().map(|service| service.rollout_state.clone()))
        .with("EXEC", each().map(|service| if service.exec { "yes" } else { "no" }.to_owned()))
        .with("LAUNCH", each().map(launch))
        .with("AGE", each().map(|service| since(service.created_at, now).unwrap_or_else(|| UNKNOWN.to_owned())))
        .with_known("DEFINITION", each().map(definition))
        .within(width, "DEFINITION", &["LAUNCH", "DEFINITION", "EXEC", "AGE", "ROLLOUT"])
        .lines("DEFINITION", width)
}

/// `2/3`: as many of those it wants are RUNNING; `2/3+1` while one is on its way.
fn tasks(service: &ListedService) -> String {
    let (running, desired) = (service.running_count, service.desired_count);
    match service.pending_count {
        0 => format!("{running}/{desired}"),
        pending => format!("{running}/{desired}+{pending}"),
    }
}

/// Launch type, or the capacity providers of its strategy.
fn launch(service: &ListedService) -> String {
    let providers = service.capacity_providers.iter().map(|item| item.capacity_provider.as_str());
    let providers = providers.collect::<Vec<_>>().join(",");
    let launch_type = service.launch_type.clone().filter(|_| providers.is_empty());
    launch_type.unwrap_or(if providers.is_empty() { UNKNOWN.to_owned() } else { providers })
}

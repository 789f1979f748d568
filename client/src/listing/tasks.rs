//! `fargate-login tasks`: what runs in a cluster, whoever has launched it.

use std::collections::BTreeSet;

use futures_util::FutureExt as _;
use serde_json::Value;

use super::columns::{self, Columns, UNKNOWN};
use super::{Answer, Found, Place, addresses, exec, json};
use crate::aws::describe_tasks::listed::{ListedTask, TASKS_MAX, describe_listed};
use crate::aws::list_services::list_services;
use crate::aws::list_tasks::{TaskFilter, list_all_tasks};
use crate::aws::{Aws, last_part};
use crate::cli::nearest::nearest;
use crate::error::{Advice, EXIT_FAILURE};
use crate::fleet::clock::{now, since};
use crate::fleet::{short_id, table};
use crate::options::Clusters;

/// No cluster that was looked at has the service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no service `{name}` {place}")]
pub struct NoService {
    /// Its name.
    pub name: String,
    /// Where it was looked.
    pub place: String,
    /// The one that was probably meant.
    pub nearest: Option<String>,
}

impl Advice for NoService {
    fn hints(&self) -> Vec<String> {
        let list =
            || "`fargate-login services` lists them; `-cluster NAME` or `--all-clusters` looks elsewhere".to_owned();
        vec![self.nearest.as_ref().map_or_else(list, |name| format!("did you mean `--service {name}`?"))]
    }
}

/// Shows them on standard output. Returns the exit status of the program.
pub(super) async fn run(place: Place<'_>, filter: &TaskFilter) -> u8 {
    let names = match place.names().await {
        Ok(names) => names,
        Err(error) => {
            place.ui.error(&error);
            return EXIT_FAILURE;
        }
    };
    let mut found = find(place, names, filter).await;
    if let Some(name) = without_service(&mut found, filter) {
        let nearest = nearest_service(place, &name).await;
        place.ui.clear();
        place.ui.error(&NoService { name, place: place.wherever(), nearest });
        return EXIT_FAILURE;
    }
    addresses::find(place, &mut found.items).await;
    let text = if place.json {
        format!("{:#}\n", found.items.iter().map(json::task).collect::<Value>())
    } else {
        let lines = if filter.stopped { stopped_lines } else { to_lines };
        columns::text(lines(&found.items, *place.clusters == Clusters::All, now(), table::width()))
    };
    let code = place.tell(&text, &found.failures);
    if found.items.is_empty() && found.failures.is_empty() && !place.json {
        let what = if filter.stopped { "have stopped lately" } else { "are running" };
        place.ui.note(&format!("no tasks {what} {}", place.wherever()));
    }
    code
}

/// The tasks of these clusters, cluster by cluster, those of one group beside each other, the oldest first.
pub(crate) async fn find<'a>(place: Place<'a>, names: Vec<String>, filter: &'a TaskFilter) -> Found<ListedTask> {
    let list = |cluster: String| async move { list_all_tasks(place.aws, &cluster, filter).await }.boxed();
    let mut found = place.gather("Tasks", names, TASKS_MAX, list, description(place.aws)).await;
    found.items.sort_by(|one, other| {
        let created = |task: &ListedTask| task.created_at.unwrap_or(f64::INFINITY);
        let place = (&one.cluster_arn, &one.group).cmp(&(&other.cluster_arn, &other.group));
        place.then(created(one).total_cmp(&created(other))).then_with(|| one.arn.cmp(&other.arn))
    });
    found
}

/// How tasks of a cluster are looked at.
pub(super) fn description<'a>(aws: &'a Aws) -> impl Fn(String, Vec<String>) -> Answer<'a, ListedTask> {
    move |cluster, arns| async move { describe_listed(aws, &cluster, &arns).await }.boxed()
}

/// Takes out that a cluster has no such service, unless none has: then its name is the answer.
pub(crate) fn without_service(found: &mut Found<ListedTask>, filter: &TaskFilter) -> Option<String> {
    let count = found.failures.len();
    found.failures.retain(|error| error.code() != Some("ServiceNotFoundException"));
    let is_missing = found.failures.len() < count;
    // What other clusters have is only known if all could be looked at.
    let all_lack_it = is_missing && found.items.is_empty() && found.failures.is_empty() && !found.any_listed;
    if all_lack_it { filter.service.clone() } else { None }
}

/// The service of the cluster that was probably meant.
pub(crate) async fn nearest_service(place: Place<'_>, name: &str) -> Option<String> {
    // In all clusters it would cost more calls than a suggestion is worth.
    let cluster = match place.clusters {
        Clusters::All => return None,
        _ => place.names().await.ok()?.pop()?,
    };
    let known = list_services(place.aws, &cluster).await.unwrap_or_default();
    nearest(name, known.iter().map(String::as_str)).map(str::to_owned)
}

pub(super) fn to_lines(tasks: &[ListedTask], with_cluster: bool, now: f64, width: Option<usize>) -> Vec<String> {
    let each = || tasks.iter();
    let health = |task: &ListedTask| task.health_status.clone().filter(|status| status != "UNKNOWN");
    let containers = |task: &ListedTask| {
        let names: BTreeSet<&str> = task.containers.iter().map(|container| container.name.as_str()).collect();
        names.into_iter().collect::<Vec<_>>().join(",")
    };
    identified(tasks, with_cluster)
        .with("STATUS", each().map(status))
        .with_known("HEALTH", each().map(health))
        .with("EXEC", each().map(exec::of_task))
        .with("ADDRESS", each().map(|task| private_address(task).unwrap_or_else(|| UNKNOWN.to_owned())))
        .with_known("PUBLIC", each().map(public_address))
        .with("CONTAINERS", each().map(containers))
        .with("AGE", each().map(|task| since(task.created_at, now).unwrap_or_else(|| UNKNOWN.to_owned())))
        .with("DEFINITION", each().map(definition))
        .within(width, "DEFINITION", &["CONTAINERS", "PUBLIC", "DEFINITION", "EXEC", "ADDRESS", "HEALTH"])
        .lines("DEFINITION", width)
}

fn stopped_lines(tasks: &[ListedTask], with_cluster: bool, now: f64, width: Option<usize>) -> Vec<String> {
    let each = || tasks.iter();
    let unknown = || UNKNOWN.to_owned();
    let exits = |task: &ListedTask| {
        let code = |code: Option<i32>| code.map_or_else(unknown, |code| code.to_string());
        let exits = task.containers.iter().map(|known| format!("{}:{}", known.name, code(known.exit_code)));
        exits.collect::<Vec<_>>().join(",")
    };
    identified(tasks, with_cluster)
        .with("STATUS", each().map(status))
        .with("STOPPED", each().map(|task| since(task.stopped_at, now).unwrap_or_else(unknown)))
        .with("EXITS", each().map(exits))
        .with("DEFINITION", each().map(definition))
        .within(width, "DEFINITION", &["DEFINITION", "EXITS"])
        // A text that is read to its end, on as many lines as it takes.
        .with_known("REASON", each().map(|task| task.stopped_reason.clone()))
        .lines("DEFINITION", width)
}

fn identified(tasks: &[ListedTask], with_cluster: bool) -> Columns {
    let shown = short_id::length(tasks.iter().map(|task| last_part(&task.arn)));
    let id = |task: &ListedTask| last_part(&task.arn).chars().take(shown).collect();
    let cluster = |task: &ListedTask| with_cluster.then(|| last_part(&task.cluster_arn).to_owned());
    Columns::default()
        .with("TASK", tasks.iter().map(id))
        .with_known("CLUSTER", tasks.iter().map(cluster))
        .with_known("SERVICE", tasks.iter().map(service))
}

/// The service that keeps it, or the group that RunTask was told; one that ECS made up says nothing.
pub(super) fn service(task: &ListedTask) -> Option<String> {
    let group = task.group.as_deref().filter(|group| !group.starts_with("family:"))?;
    Some(group.strip_prefix("service:").unwrap_or(group).to_owned())
}

/// ECS's word; a task that is meant to end says so.
pub(crate) fn status(task: &ListedTask) -> String {
    match (task.last_status.as_str(), task.desired_status.as_str()) {
        (last @ ("PROVISIONING" | "PENDING" | "ACTIVATING" | "RUNNING"), "STOPPED") => format!("{last}, to be STOPPED"),
        (last, _) => last.to_owned(),
    }
}

pub(crate) fn private_address(task: &ListedTask) -> Option<String> {
    let interface = task.interface.as_ref()?;
    interface.private_ipv4.or(interface.ipv6).map(|address| address.to_string())
}

pub(super) fn public_address(task: &ListedTask) -> Option<String> {
    task.interface.as_ref()?.public_ipv4.map(|address| address.to_string())
}

/// `family:revision`.
pub(crate) fn definition(task: &ListedTask) -> String {
    last_part(&task.task_definition_arn).to_owned()
}

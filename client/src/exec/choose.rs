//! Which container: named by flags, the only one there is, or the one that the user chooses.

use std::collections::BTreeMap;

use crate::aws::describe_tasks::listed::{ListedContainer, ListedTask};
use crate::aws::last_part;
use crate::fleet::clock::{now, since};
use crate::fleet::short_id;
use crate::listing::{Place, describe, tasks};
use crate::options::{ExecOptions, TaskFilter};

use super::ask::{self, Row};
use super::error::ExecError;
use super::missing::{Missing, is_ending};

/// Containers that AWS puts into tasks beside what their task definition says; nobody means them without saying so.
const OF_AWS: [&str; 2] = ["aws-guardduty-agent", "ecs-service-connect-"];
/// `lastStatus` of what can be gone into.
const RUNNING: &str = "RUNNING";

/// A container of a task, as it was when it was chosen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Chosen {
    pub(super) task: ListedTask,
    /// Name of the container.
    pub(super) container: String,
}

/// Finds the container that the options mean, and asks where they mean several.
///
/// # Errors
/// [`ExecError`].
pub(super) async fn choose(place: Place<'_>, options: &ExecOptions) -> Result<Chosen, ExecError> {
    let task = match &options.task {
        Some(name) => named(place, name).await?,
        None => among(place, options.service.clone()).await?,
    };
    let container = container(place, &task, options.container.as_deref()).await?;
    Ok(Chosen { task, container })
}

async fn named(place: Place<'_>, name: &str) -> Result<ListedTask, ExecError> {
    let mut failures = Vec::new();
    let found = describe::find(place, name, &mut failures).await;
    match (found, failures.into_iter().next()) {
        (Ok(task), _) => Ok(task),
        // Where not everything could be looked through, that is the answer.
        (Err(_), Some(failure)) => Err(failure.into()),
        (Err(error), None) => Err(error.into()),
    }
}

/// One of the tasks that run: of this service, or of all.
async fn among(place: Place<'_>, service: Option<String>) -> Result<ListedTask, ExecError> {
    let filter = TaskFilter { service, stopped: false };
    let mut found = tasks::find(place, place.names().await?, &filter).await;
    if let Some(name) = tasks::without_service(&mut found, &filter) {
        let nearest = tasks::nearest_service(place, &name).await;
        return Err(tasks::NoService { name, place: place.wherever(), nearest }.into());
    }
    if let Some(failure) = found.failures.into_iter().next() {
        return Err(failure.into());
    }
    let candidates = candidates(found.items);
    if candidates.is_empty() {
        let of = filter.service.map(|name| format!("of service {name} ")).unwrap_or_default();
        return Err(ExecError::NothingRuns { of, place: place.wherever() });
    }
    let groups = groups(candidates);
    let rows = groups.iter().map(|(group, tasks)| group_row(group, tasks)).collect();
    let number = ask::one(place.ui, &format!("services and groups with tasks {}", place.wherever()), rows).await?;
    // Its number is one of the rows', of which there is one for each group.
    let (group, mut tasks) = groups.into_iter().nth(number).ok_or(ExecError::NotChosen)?;
    let number = ask::one(place.ui, &format!("tasks of {}", group_name(&group)), task_rows(&tasks)).await?;
    Ok(tasks.swap_remove(number))
}

/// The tasks that can be meant: those that run rather than those that begin to, those that ECS Exec is enabled for rather than others.
fn candidates(mut tasks: Vec<ListedTask>) -> Vec<ListedTask> {
    tasks.retain(|task| !is_ending(task));
    for is_better in [|task: &ListedTask| task.exec, |task: &ListedTask| task.last_status == RUNNING] {
        if tasks.iter().any(is_better) {
            tasks.retain(is_better);
        }
    }
    tasks
}

fn groups(tasks: Vec<ListedTask>) -> Vec<(String, Vec<ListedTask>)> {
    let mut groups: BTreeMap<String, Vec<ListedTask>> = BTreeMap::new();
    for task in tasks {
        groups.entry(task.group.clone().unwrap_or_default()).or_default().push(task);
    }
    groups.into_iter().collect()
}

/// `service web`, as people say it.
fn group_name(group: &str) -> String {
    match group.split_once(':') {
        Some((kind @ ("service" | "family"), name)) => format!("{kind} {name}"),
        _ if group.is_empty() => "no group".to_owned(),
        _ => format!("group {group}"),
    }
}

fn group_row(group: &str, tasks: &[ListedTask]) -> Row {
    let flag = match (group.strip_prefix("service:"), tasks.first()) {
        (Some(name), _) => format!("--service {name}"),
        // No flag names another group: one of its tasks stands for it.
        (None, Some(task)) => format!("--task {}", last_part(&task.arn)),
        (None, None) => String::new(),
    };
    let count = if tasks.len() == 1 { "1 task".to_owned() } else { format!("{} tasks", tasks.len()) };
    Row { flag, about: format!("{}, {count}", group_name(group)) }
}

fn task_rows(tasks: &[ListedTask]) -> Vec<Row> {
    let shown = short_id::length(tasks.iter().map(|task| last_part(&task.arn)));
    let row = |task: &ListedTask| {
        let id: String = last_part(&task.arn).chars().take(shown).collect();
        let mut about = vec![id.clone(), tasks::status(task)];
        about.extend(since(task.created_at, now()));
        about.extend([tasks::private_address(task).unwrap_or_default(), tasks::definition(task)]);
        about.retain(|word| !word.is_empty());
        Row { flag: format!("--task {id}"), about: about.join("  ") }
    };
    tasks.iter().map(row).collect()
}

async fn container(place: Place<'_>, task: &ListedTask, name: Option<&str>) -> Result<String, ExecError> {
    let all = || task.containers.iter().map(|container| container.name.clone()).collect();
    if let Some(name) = name {
        let is_known = task.containers.iter().any(|container| container.name == name);
        return if is_known {
            Ok(name.to_owned())
        } else {
            let id = last_part(&task.arn).to_owned();
            Err(Missing::Container { name: name.to_owned(), task: id, there: all() }.into())
        };
    }
    let mut containers: Vec<&ListedContainer> = task.containers.iter().collect();
    let is_own = |container: &&ListedContainer| !OF_AWS.iter().any(|prefix| container.name.starts_with(prefix));
    let is_running = |container: &&ListedContainer| container.last_status.as_deref() == Some(RUNNING);
    for is_better in [&is_own as &dyn Fn(&&ListedContainer) -> bool, &is_running] {
        if containers.iter().any(is_better) {
            containers.retain(is_better);
        }
    }
    let row = |container: &&ListedContainer| Row {
        flag: format!("--container {}", container.name),
        about: [Some(container.name.as_str()), container.image.as_deref()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join("  "),
    };
    let id = last_part(&task.arn);
    if containers.is_empty() {
        return Err(Missing::Container { name: String::new(), task: id.to_owned(), there: Vec::new() }.into());
    }
    let number = ask::one(place.ui, &format!("containers in task {id}"), containers.iter().map(row).collect()).await?;
    Ok(containers.swap_remove(number).name.clone())
}

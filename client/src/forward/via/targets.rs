//! What sessions go to: a target by its name, or whichever task of a service runs.

use std::cmp::Reverse;
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};

use super::error::{Lack, ViaError};
use crate::aws::describe_tasks::listed::{ListedContainer, ListedTask, describe_listed};
use crate::aws::{Aws, last_part};
use crate::listing::Place;
use crate::listing::tasks::{self, NoService};
use crate::options::{Clusters, TaskFilter, Through};
use crate::ssm::session::ecs_target;
use crate::ui::Ui;

/// What a look at a task is good for: a connection that comes later has it looked at again.
const FRESH: Duration = Duration::from_secs(5);
/// Variable by which a test has every connection look, in a debug build.
#[cfg(debug_assertions)]
const ALWAYS_LOOK: &str = "FARGATE_LOGIN_ALWAYS_LOOK";
/// How long a connection waits for such a look; without an answer the task counts as there.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);
/// How often the task is looked at on behalf of connections that are open: Systems Manager does not tell that it has ended.
const WATCH: Duration = Duration::from_secs(20);
const RUNNING: &str = "RUNNING";

/// The target of the moment.
#[derive(Debug)]
pub(super) struct Targets {
    through: Through,
    aws: Aws,
    ui: Ui,
    /// When the task was last looked at. Held while somebody looks, so that all others have the benefit of it.
    looked: Mutex<Option<Instant>>,
    current: watch::Sender<Option<Picked>>,
    /// Id of the task that was there before.
    last: std::sync::Mutex<Option<String>>,
}

/// A container of a task.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Picked {
    target: String,
    arn: String,
}

impl Targets {
    pub(super) fn new(through: Through, aws: Aws, ui: Ui) -> Self {
        Self {
            through,
            aws,
            ui,
            looked: Mutex::new(None),
            current: watch::channel(None).0,
            last: std::sync::Mutex::default(),
        }
    }

    /// The target for a session that is wanted since then: what was picked later is good enough.
    ///
    /// # Errors
    /// [`ViaError`]: no task of the service can be gone through.
    pub(super) async fn pick(&self, since: Instant) -> Result<String, ViaError> {
        let (service, cluster, container) = match &self.through {
            Through::Target(target) => return Ok(target.clone()),
            Through::Service { service, cluster, container } => (service, cluster, container.as_deref()),
        };
        let mut looked = self.looked.lock().await;
        if let Some(picked) = self.current().filter(|_| looked.is_some_and(|at| at >= since)) {
            return Ok(picked.target);
        }
        let tasks = self.tasks(service, cluster).await?;
        let picked = choose(&tasks, container, self.current().as_ref())
            .map_err(|why| ViaError::NoTask { service: service.clone(), why })?;
        *looked = Some(Instant::now());
        self.tell(service, &picked);
        self.current.send_replace(Some(picked.clone()));
        Ok(picked.target)
    }

    /// Looks at the task of a service, unless somebody did a moment ago: whether it is gone is told by [`Targets::left`].
    pub(super) async fn look(&self) {
        let Through::Service { cluster, .. } = &self.through else { return };
        let Ok(mut looked) = self.looked.try_lock() else {
            // Whoever looks now does so for us, too.
            drop(self.looked.lock().await);
            return;
        };
        let Some(picked) = self.current().filter(|_| looked.is_none_or(|at| at.elapsed() >= fresh())) else { return };
        let described = describe_listed(&self.aws, cluster, std::slice::from_ref(&picked.arn));
        match timeout(LOOK_TIMEOUT, described).await {
            Ok(Ok(tasks)) => {
                *looked = Some(Instant::now());
                if !tasks.iter().any(|task| task.arn == picked.arn && task.last_status == RUNNING) {
                    self.current.send_replace(None);
                }
            }
            Ok(Err(error)) => tracing::debug!(%error, "the task cannot be looked at"),
            Err(_) => tracing::debug!("the task was not looked at in time"),
        }
    }

    /// Whether a session of this target goes nowhere.
    pub(super) fn has_left(&self, target: &str) -> bool {
        is_left(&self.through, &self.current.borrow(), target)
    }

    /// Waits until a session of this target goes nowhere; looks now and then. Never for a target by name.
    pub(super) async fn left(&self, target: &str) {
        let mut current = self.current.subscribe();
        let left = current.wait_for(|current| is_left(&self.through, current, target));
        let watching = async {
            loop {
                tokio::time::sleep(WATCH).await;
                self.look().await;
            }
        };
        tokio::select! {
            _ = left => {}
            () = watching => {}
        }
    }

    fn current(&self) -> Option<Picked> {
        self.current.borrow().clone()
    }

    async fn tasks(&self, service: &str, cluster: &str) -> Result<Vec<ListedTask>, ViaError> {
        let clusters = Clusters::Named(cluster.to_owned());
        let place = Place { clusters: &clusters, json: false, aws: &self.aws, ui: &self.ui };
        let filter = TaskFilter { service: Some(service.to_owned()), stopped: false };
        let mut found = tasks::find(place, vec![cluster.to_owned()], &filter).await;
        if let Some(name) = tasks::without_service(&mut found, &filter) {
            let nearest = tasks::nearest_service(place, &name).await;
            return Err(NoService { name, place: place.wherever(), nearest }.into());
        }
        match found.failures.into_iter().next() {
            Some(failure) => Err(failure.into()),
            None => Ok(found.items),
        }
    }

    /// A line when sessions go to another task than before.
    fn tell(&self, service: &str, picked: &Picked) {
        let id = last_part(&picked.arn).to_owned();
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match last.replace(id.clone()) {
            Some(before) if before != id => {
                self.ui.note(&format!("task {before} of service {service} is gone: sessions go to task {id} now"));
            }
            Some(_) => {}
            None => self.ui.note(&format!("sessions go to task {id} of service {service}")),
        }
    }
}

/// How long a look is good.
fn fresh() -> Duration {
    #[cfg(debug_assertions)]
    if std::env::var_os(ALWAYS_LOOK).is_some() {
        return Duration::ZERO;
    }
    FRESH
}

fn is_left(through: &Through, current: &Option<Picked>, target: &str) -> bool {
    matches!(through, Through::Service { .. }) && current.as_ref().is_none_or(|picked| picked.target != target)
}

/// The task that is there already, or else the newest, which a deployment replaces last; healthy ones first.
fn choose(tasks: &[ListedTask], container: Option<&str>, current: Option<&Picked>) -> Result<Picked, Lack> {
    let running = tasks.iter().filter(|task| task.last_status == RUNNING && task.desired_status == RUNNING);
    let mut running: Vec<&ListedTask> = running.collect();
    if running.is_empty() {
        return Err(Lack::Running);
    }
    running.retain(|task| task.exec);
    if running.is_empty() {
        return Err(Lack::Exec);
    }
    let is_meant = |known: &&ListedContainer| container.is_none_or(|wanted| known.name == wanted);
    let meant = running.iter().flat_map(|task| task.containers.iter().filter(is_meant));
    let known = meant.collect::<Vec<_>>();
    if known.is_empty() {
        let mut names: Vec<_> =
            running.iter().flat_map(|task| &task.containers).map(|known| known.name.clone()).collect();
        names.sort_unstable();
        names.dedup();
        return Err(Lack::Container { wanted: container.unwrap_or_default().to_owned(), known: names });
    }
    let ready = |task: &ListedTask| {
        let mut meant = task.containers.iter().filter(is_meant);
        let target = meant.find_map(|known| {
            let runs = known.exec_agent.as_ref().is_some_and(|agent| agent.last_status == RUNNING);
            known.runtime_id.as_deref().filter(|_| runs).map(|id| ecs_target(&task.cluster_arn, &task.arn, id))
        });
        target.map(|target| Picked { target, arn: task.arn.clone() })
    };
    running.sort_by_key(|task| {
        let is_current = current.is_some_and(|current| current.arn == task.arn);
        let is_ill = task.health_status.as_deref() == Some("UNHEALTHY");
        (!is_current, is_ill, Reverse(milliseconds(task.created_at)))
    });
    running.into_iter().find_map(ready).ok_or_else(|| Lack::Agent { status: status(&known) })
}

fn milliseconds(seconds: Option<f64>) -> u128 {
    seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()).unwrap_or_default().as_millis()
}

/// How an agent stands that does not run, in ECS's words.
fn status(known: &[&ListedContainer]) -> String {
    let agents = known.iter().filter_map(|container| container.exec_agent.as_ref());
    let told = |agent: &crate::aws::describe_tasks::listed::ExecAgent| match &agent.reason {
        Some(reason) => format!("{}: {reason}", agent.last_status),
        None => agent.last_status.clone(),
    };
    agents.map(told).next().unwrap_or_else(|| "there is none".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::describe_tasks::listed::ExecAgent;

    fn container(name: &str, agent: &str) -> ListedContainer {
        let exec_agent = Some(ExecAgent { last_status: agent.to_owned(), ..ExecAgent::default() });
        ListedContainer {
            name: name.to_owned(),
            runtime_id: Some(format!("{name}-1")),
            exec_agent,
            ..ListedContainer::default()
        }
    }

    fn task(id: &str, created_at: f64, containers: Vec<ListedContainer>) -> ListedTask {
        ListedTask {
            arn: format!("arn:aws:ecs:r:1:task/shop/{id}"),
            cluster_arn: "arn:aws:ecs:r:1:cluster/shop".to_owned(),
            last_status: RUNNING.to_owned(),
            desired_status: RUNNING.to_owned(),
            exec: true,
            created_at: Some(created_at),
            containers,
            ..ListedTask::default()
        }
    }

    fn chosen(tasks: &[ListedTask], container: Option<&str>, current: Option<&str>) -> Result<String, Lack> {
        let current =
            current.map(|id| Picked { target: String::new(), arn: format!("arn:aws:ecs:r:1:task/shop/{id}") });
        choose(tasks, container, current.as_ref()).map(|picked| picked.target)
    }

    #[test]
    fn the_newest_task_that_can_be_gone_through_is_chosen_and_then_kept() {
        let app = || vec![container("app", "RUNNING"), container("proxy", "RUNNING")];
        let old = task("1", 1.0, app());
        let new = task("2", 2.0, app());
        let starting = ListedTask { last_status: "PENDING".to_owned(), ..task("3", 3.0, app()) };
        let leaving = ListedTask { desired_status: "STOPPED".to_owned(), ..task("4", 4.0, app()) };
        let ill = ListedTask { health_status: Some("UNHEALTHY".to_owned()), ..task("5", 5.0, app()) };
        let deaf = task("6", 6.0, vec![container("app", "PENDING"), container("proxy", "RUNNING")]);
        let all = [old, new, starting, leaving, ill, deaf];
        assert_eq!(chosen(&all, Some("app"), None), Ok("ecs:shop_2_app-1".to_owned()));
        assert_eq!(chosen(&all, None, None), Ok("ecs:shop_6_proxy-1".to_owned()), "any container whose agent runs");
        assert_eq!(chosen(&all, Some("app"), Some("1")), Ok("ecs:shop_1_app-1".to_owned()));
        assert_eq!(chosen(&all, Some("app"), Some("4")), Ok("ecs:shop_2_app-1".to_owned()));
        assert_eq!(chosen(&all[4..5], None, None), Ok("ecs:shop_5_app-1".to_owned()), "better than nothing");
    }

    #[test]
    fn what_all_tasks_lack_is_told() {
        assert_eq!(chosen(&[], None, None), Err(Lack::Running));
        let closed = ListedTask { exec: false, ..task("1", 1.0, vec![container("app", "RUNNING")]) };
        assert_eq!(chosen(&[closed], None, None), Err(Lack::Exec));
        let open = task("1", 1.0, vec![container("app", "STOPPED"), container("proxy", "RUNNING")]);
        let unknown = chosen(std::slice::from_ref(&open), Some("web"), None).expect_err("no such container");
        assert_eq!(unknown.to_string(), "none has a container `web`; there are app, proxy");
        let silent = chosen(&[open], Some("app"), None).expect_err("no agent");
        assert_eq!(silent, Lack::Agent { status: "STOPPED".to_owned() });
    }
}

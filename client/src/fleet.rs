//! The tasks of this tool that are meant to run, whoever started them: what `ps` shows, `stop` stops and `gc` looks through.

pub mod clock;
pub mod ps;
pub(crate) mod short_id;
pub mod stop;
pub(crate) mod table;

use std::net::IpAddr;
use std::time::Duration;

use crate::aws::describe_network_interfaces::describe_network_interfaces;
use crate::aws::describe_tasks::fleet::{FleetTask, describe_fleet};
use crate::aws::list_clusters::list_clusters;
use crate::aws::list_tasks::list_tasks;
use crate::aws::{Aws, ServiceError, last_part};
use crate::error::EXIT_FAILURE;
use crate::options::{Clusters, FleetAction, FleetOptions};
use crate::plan::STARTED_BY;
use crate::price::Size;
use crate::signals::Stop;
use crate::ui::Ui;

/// Cluster when none is named, as in the API.
pub(crate) const DEFAULT_CLUSTER: &str = "default";

/// One task of this tool.
#[derive(Clone, Debug)]
pub struct Member {
    /// Name of its cluster.
    pub cluster: String,
    /// What ECS says.
    pub task: FleetTask,
    /// Where it can be reached: its public address where EC2 tells one, else its own.
    pub address: Option<IpAddr>,
    /// Whether `address` is a public IPv4 address, which is paid for.
    pub public_ipv4: bool,
}

/// What was found, and where nothing could be.
#[derive(Debug, Default)]
pub struct Fleet {
    /// The tasks, cluster by cluster, the oldest first.
    pub members: Vec<Member>,
    /// Clusters that could not be looked through.
    pub failures: Vec<ServiceError>,
}

/// `ps` and `stop`. Returns the exit status of the program.
pub async fn run(options: FleetOptions, aws: &Aws, ui: &Ui, stop: &Stop) -> u8 {
    let acted = async {
        match &options.action {
            FleetAction::Ps { json } => ps::run(&options.clusters, *json, aws, ui).await,
            FleetAction::Stop(wish) => stop::run(&options.clusters, wish, aws, ui).await,
        }
    };
    let code = tokio::select! {
        code = acted => code,
        () = stop.first.cancelled() => stop.exit_code().unwrap_or(EXIT_FAILURE),
    };
    ui.clear();
    code
}

/// Finds the tasks of this tool in these clusters. A cluster that cannot be looked through hides no other one.
///
/// # Errors
/// [`ServiceError`], when it is not known which clusters there are.
pub async fn find(clusters: &Clusters, aws: &Aws, ui: &Ui) -> Result<Fleet, ServiceError> {
    let mut fleet = Fleet::default();
    for name in names(clusters, aws, ui).await? {
        ui.phase(&format!("ListTasks {name}"));
        match in_cluster(aws, &name).await {
            Ok(tasks) => fleet.members.extend(tasks.into_iter().map(|task| Member::new(&name, task))),
            Err(error) => fleet.failures.push(error),
        }
    }
    Ok(fleet)
}

/// Names or ARNs of these clusters.
///
/// # Errors
/// [`ServiceError`], when it is not known which clusters there are.
pub(crate) async fn names(clusters: &Clusters, aws: &Aws, ui: &Ui) -> Result<Vec<String>, ServiceError> {
    match clusters {
        Clusters::Default => Ok(vec![DEFAULT_CLUSTER.to_owned()]),
        Clusters::Named(name) => Ok(vec![name.clone()]),
        Clusters::All => {
            ui.phase("ListClusters");
            list_clusters(aws).await
        }
    }
}

async fn in_cluster(aws: &Aws, cluster: &str) -> Result<Vec<FleetTask>, ServiceError> {
    let arns = list_tasks(aws, cluster, STARTED_BY).await?;
    let mut tasks = describe_fleet(aws, cluster, &arns).await?;
    tasks.retain(|task| task.started_by.as_deref() == Some(STARTED_BY));
    tasks.sort_by(|one, other| one.created_at().total_cmp(&other.created_at()));
    Ok(tasks)
}

impl Fleet {
    /// Asks EC2 for the public addresses. Where it does not tell, the private ones stand.
    pub async fn find_addresses(&mut self, aws: &Aws, ui: &Ui) {
        let ids: Vec<_> =
            self.members.iter().filter_map(|member| member.task.state.network_interface.clone()).collect();
        if ids.is_empty() {
            return;
        }
        ui.phase("DescribeNetworkInterfaces");
        let addresses = match describe_network_interfaces(aws, &ids).await {
            Ok(addresses) => addresses,
            Err(error) => return ui.warn(&format!("{error}; addresses are private ones")),
        };
        for member in &mut self.members {
            let id = member.task.state.network_interface.as_ref();
            if let Some(public) = id.and_then(|id| addresses.get(id)).and_then(|known| known.public_ipv4) {
                member.address = Some(public);
                member.public_ipv4 = true;
            }
        }
    }

    /// Says what could not be looked through; whether that was nothing.
    pub fn tell_failures(&self, ui: &Ui) -> bool {
        self.failures.iter().for_each(|error| ui.error(error));
        self.failures.is_empty()
    }
}

impl FleetTask {
    /// When RunTask was taken, in seconds since the epoch; a task that does not say counts as the newest.
    #[must_use]
    pub fn created_at(&self) -> f64 {
        self.state.times.created_at.unwrap_or(f64::INFINITY)
    }
}

impl Member {
    fn new(cluster: &str, task: FleetTask) -> Self {
        let address = task.state.private_ipv4.or(task.state.ipv6);
        Self { cluster: cluster.to_owned(), task, address, public_ipv4: false }
    }

    /// The part of the ARN that people read.
    #[must_use]
    pub fn id(&self) -> &str {
        last_part(&self.task.arn)
    }

    /// Time since RunTask was taken, at `now` in seconds since the epoch.
    #[must_use]
    pub fn age(&self, now: f64) -> Option<Duration> {
        let created = self.task.state.times.created_at?;
        // Clocks differ: a task from the future is new.
        Duration::try_from_secs_f64((now - created).max(0.0)).ok()
    }

    /// When its longest life is over, counted from RunTask: seconds since the epoch. `None` if nothing limits it that we know of.
    #[must_use]
    pub fn deadline(&self) -> Option<f64> {
        Some(self.task.state.times.created_at? + self.task.grant.as_ref()?.max_lifetime.as_secs_f64())
    }

    /// Time without a byte after which its init ends it, if it has such a limit.
    #[must_use]
    pub fn idle_limit(&self) -> Option<Duration> {
        self.task.grant.as_ref()?.idle_timeout
    }

    /// Where it stands, in a word.
    #[must_use]
    pub fn phase(&self) -> String {
        let state = &self.task.state;
        match state.phase() {
            // A Spot notice, or a StopTask that the task has not felt yet.
            "PROVISIONING" | "PENDING" | "PULLING" | "STARTING" | "RUNNING" if state.is_ending() => {
                "stopping".to_owned()
            }
            phase => phase.to_lowercase(),
        }
    }

    /// US dollars so far, as an estimate from list prices: an upper bound on Spot.
    #[must_use]
    pub fn cost(&self, now: f64) -> Option<f64> {
        let size = Size { public_ipv4: self.public_ipv4, ..self.task.size? };
        Some(size.cost(self.age(now)?))
    }
}

#[cfg(test)]
pub(crate) mod tests;

//! Everything the stand-in knows, behind one lock that is never held over an await; every change wakes those who wait for one.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ACCOUNT;
use crate::config::Config;
use crate::definition::Definition;
use crate::draw::Draw;
use crate::ec2::Rule;
use crate::fault::Faults;
use crate::journal::Journal;
use crate::kms::MasterKey;
use crate::launcher::Launcher;
use crate::lifecycle::Event;
use crate::logs;
use crate::rate::Buckets;
use crate::service::Service;
use crate::ssm::Sessions;
use crate::task::Task;

/// STOPPED tasks are described for at least this long (ECS API reference, DescribeTasks).
const STOPPED_KEPT: Duration = Duration::from_secs(3600);
/// A client token lives for the lower of this and the life of its tasks plus an hour (ECS API reference, "Ensuring idempotency").
const TOKEN_KEPT: Duration = Duration::from_secs(24 * 3600);

/// The state and what runs on it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    /// Where we listen; tasks ask for their metadata there.
    pub(crate) address: SocketAddr,
    /// Where containers with a network of their own ask for their metadata.
    endpoint: OnceLock<SocketAddr>,
    /// Runs the containers.
    pub(crate) launcher: Launcher,
    pub(crate) logs: logs::Store,
    pub(crate) sessions: Sessions,
    /// What KMS seals data keys with.
    pub(crate) master_key: MasterKey,
    /// Where the containers' home directories are made.
    pub(crate) scratch: PathBuf,
    /// In every container's environment and in no other process's.
    pub(crate) mark: String,
    /// Ends every task at once.
    pub(crate) kill: CancellationToken,
    /// One driver for each task.
    pub(crate) drivers: TaskTracker,
    world: Mutex<World>,
    changed: watch::Sender<()>,
}

/// The tables.
pub(crate) struct World {
    pub(crate) clusters: BTreeMap<String, Cluster>,
    pub(crate) definitions: Vec<Arc<Definition>>,
    pub(crate) tasks: Vec<Task>,
    pub(crate) services: Vec<Service>,
    /// RunTask calls by cluster and `clientToken`.
    pub(crate) tokens: HashMap<(String, String), Replay>,
    pub(crate) journal: Journal,
    pub(crate) faults: Faults,
    /// Counts calls while [`crate::Fault::RateLimits`] holds.
    pub(crate) buckets: Buckets,
    /// Tasks ever made.
    pub(crate) launched: u64,
    /// Inbound rules of security groups, in the order in which they came.
    pub(crate) rules: Vec<Rule>,
    /// Rules ever made.
    pub(crate) authorized: u64,
}

/// A cluster.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cluster {
    pub(crate) providers: Vec<String>,
    /// `defaultCapacityProviderStrategy`.
    pub(crate) default_strategy: Vec<Value>,
}

/// A RunTask call that will be answered the same way again.
pub(crate) struct Replay {
    pub(crate) request: Value,
    pub(crate) tasks: Vec<String>,
    pub(crate) failures: Vec<Value>,
    pub(crate) at: Instant,
}

impl Shared {
    pub(crate) fn new(config: Config, address: SocketAddr, scratch: PathBuf, launcher: Launcher) -> Self {
        let providers = ["FARGATE", "FARGATE_SPOT"].map(str::to_owned).to_vec();
        let world = World {
            clusters: BTreeMap::from([("default".to_owned(), Cluster { providers, ..Cluster::default() })]),
            definitions: Vec::new(),
            tasks: Vec::new(),
            services: Vec::new(),
            tokens: HashMap::new(),
            journal: Journal::default(),
            faults: Faults::new(config.faults.clone()),
            buckets: Buckets::default(),
            launched: 0,
            rules: Vec::new(),
            authorized: 0,
        };
        Self {
            config,
            address,
            endpoint: OnceLock::new(),
            launcher,
            logs: logs::Store::default(),
            sessions: Sessions::default(),
            master_key: MasterKey::new(),
            scratch,
            // Not from the seed: two stand-ins of one seed must tell their processes apart.
            mark: uuid::Uuid::new_v4().to_string(),
            kill: CancellationToken::new(),
            drivers: TaskTracker::new(),
            world: Mutex::new(world),
            changed: watch::channel(()).0,
        }
    }

    /// Ends every task and service, and removes what the launcher has.
    pub(crate) async fn end(&self) {
        self.kill.cancel();
        self.drivers.close();
        self.drivers.wait().await;
        self.launcher.close().await;
    }

    /// Where containers find us.
    pub(crate) fn endpoint(&self) -> SocketAddr {
        self.endpoint.get().copied().unwrap_or(self.address)
    }

    /// Says where containers find us, once.
    pub(crate) fn tell_endpoint(&self, endpoint: SocketAddr) {
        // Told once, before the first task.
        let _ = self.endpoint.set(endpoint);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes one task and wakes everybody who waits for a change; `None` if it is forgotten already.
    pub(crate) fn update<T>(&self, task_arn: &str, change: impl FnOnce(&mut Task) -> T) -> Option<T> {
        let changed = self.lock().tasks.iter_mut().find(|task| task.arn == task_arn).map(change);
        self.wake();
        changed
    }

    /// Lets an event happen to a task.
    pub(crate) fn advance(&self, task_arn: &str, event: Event) {
        self.update(task_arn, |task| task.advance(event));
    }

    /// Wakes everybody who waits for a change.
    pub(crate) fn wake(&self) {
        self.changed.send_replace(());
    }

    /// Changes with everything that is kept here.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    pub(crate) async fn wait_until(&self, condition: impl Fn(&World) -> bool) {
        let mut changes = self.changes();
        while !condition(&self.lock()) {
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    pub(crate) fn arn(&self, resource: &str) -> String {
        format!("arn:aws:ecs:{}:{ACCOUNT}:{resource}", self.config.region)
    }

    /// The rest of a name that is an ARN of ours with this prefix, such as `cluster/`; the name itself if it is no ARN; `None`
    /// for an ARN of another kind, region or account.
    pub(crate) fn local_name<'a>(&self, given: &'a str, prefix: &str) -> Option<&'a str> {
        if given.starts_with("arn:") { given.strip_prefix(self.arn(prefix).as_str()) } else { Some(given) }
    }

    /// The zone of a subnet, such as `us-east-1a`.
    pub(crate) fn zone(&self, letter: &str) -> String {
        format!("{}{letter}", self.config.region)
    }

    /// The cluster's name, from a name or an ARN; none is `default`.
    pub(crate) fn cluster_name(&self, world: &World, given: Option<&str>) -> Option<String> {
        let name = self.local_name(given.unwrap_or("default"), "cluster/")?;
        world.clusters.contains_key(name).then(|| name.to_owned())
    }
}

impl std::fmt::Debug for World {
    /// Counts only: task definitions and overrides may hold what nobody should read.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").field("tasks", &self.tasks.len()).finish_non_exhaustive()
    }
}

impl World {
    /// The random choices of the next task.
    pub(crate) fn draw_task(&mut self, seed: u64) -> Draw {
        self.launched += 1;
        Draw::new(seed, self.launched)
    }

    /// The task of a cluster by id or ARN.
    pub(crate) fn task(&self, cluster: &str, given: &str) -> Option<&Task> {
        self.tasks.iter().find(|task| task.launch.cluster == cluster && (task.arn == given || task.id == given))
    }

    /// Forgets what AWS would have forgotten by `now`.
    pub(crate) fn expire(&mut self, now: Instant) {
        self.tasks.retain(|task| task.stopped_at.is_none_or(|at| now < at + STOPPED_KEPT));
        let Self { tasks, tokens, .. } = self;
        let is_known = |arn: &String| tasks.iter().any(|task| task.arn == *arn);
        tokens.retain(|_, replay| {
            now < replay.at + TOKEN_KEPT && (replay.tasks.is_empty() || replay.tasks.iter().any(is_known))
        });
    }
}

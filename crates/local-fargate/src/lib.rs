//! A local stand-in for the slice of ECS, EC2, STS, CloudWatch Logs, Systems Manager and KMS that `fargate-login` calls: strict like AWS,
//! with real processes as tasks. It listens on loopback only and knows one account, 000000000000.
//!
//! `server` takes requests, which `auth` and the [`Fault`]s may refuse, and `protocol` reads and writes them; `ecs`, `ec2`, `ssm`, `kms`
//! and `sts` hold one operation to a file; behind `ssm` are a gateway for data channels and the agents that answer on them, which run
//! shells, commands and port sessions, over a network with whatever [`Impairment`]; `driver` lets a task live as its processes do,
//! `lifecycle` says in a table what that means, `launcher` has the processes, and `idle` the tasks without any; `metadata` is what a
//! task can ask about itself; the journal remembers every call.

mod auth;
mod clock;
mod config;
mod definition;
mod draw;
mod driver;
mod ec2;
mod ecs;
mod error;
mod fault;
mod idle;
mod journal;
mod kms;
mod latency;
mod launch;
mod launcher;
mod lifecycle;
mod logs;
mod metadata;
mod network;
mod protocol;
mod rate;
mod secrets;
mod server;
mod service;
mod ssm;
mod state;
mod sts;
mod sys;
mod task;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::{Config, Latency, Launcher, ProcessImage, StartError};
pub use ec2::RuleSummary;
pub use fault::Fault;
pub use journal::Call;
pub use launcher::DockerError;
pub use secrets::Secrets;
pub use ssm::{Agents, Impairment, Instance, SessionSummary};
pub use task::TaskSummary;

use launcher::Watchdog;
use state::Shared;

/// The only account.
pub const ACCOUNT: &str = "000000000000";

/// A running stand-in. [`LocalFargate::shutdown`] ends it with everything it started.
#[derive(Debug)]
pub struct LocalFargate {
    shared: Arc<Shared>,
    address: SocketAddr,
    server: TaskTracker,
    closing: CancellationToken,
    watchdog: Option<Watchdog>,
    scratch: tempfile::TempDir,
}

impl LocalFargate {
    /// Starts listening.
    ///
    /// # Errors
    /// [`StartError`]: not a loopback address, not free, or a task definition that ECS would refuse.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        if !config.listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(config.listen));
        }
        let bind = |source| StartError::Bind { address: config.listen, source };
        let listener = tokio::net::TcpListener::bind(config.listen).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let scratch = launcher::scratch().map_err(StartError::Scratch)?;
        let launcher = launcher::Launcher::new(&config.launcher).await?;
        let shared = Arc::new(Shared::new(config, address, scratch.path().to_owned(), launcher));
        let (server, closing) = (TaskTracker::new(), CancellationToken::new());
        if let Err(error) = begin(&shared, &server, &closing).await {
            closing.cancel();
            shared.end().await;
            return Err(error);
        }
        let watchdog = Watchdog::start(&shared.mark, scratch.path());
        server.spawn(server::serve(listener, Arc::clone(&shared), closing.clone()));
        Ok(Self { shared, address, server, closing, watchdog, scratch })
    }

    /// Where AWS clients find it.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The region it plays.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.shared.config.region
    }

    /// Every call received, in order.
    #[must_use]
    pub fn journal(&self) -> Vec<Call> {
        self.shared.lock().journal.to_vec()
    }

    /// Adds a fault to those it was started with.
    pub fn inject(&self, fault: Fault) {
        self.shared.lock().faults.push(fault);
        self.shared.wake();
    }

    /// Every task, the stopped ones too.
    #[must_use]
    pub fn tasks(&self) -> Vec<TaskSummary> {
        self.shared.lock().tasks.iter().map(task::Task::summary).collect()
    }

    /// Every session of Systems Manager's, those that are over too.
    #[must_use]
    pub fn sessions(&self) -> Vec<SessionSummary> {
        self.shared.sessions.summaries()
    }

    /// Cuts the connection of every session, as a network does that goes away: without a word.
    pub fn cut_sessions(&self) {
        self.shared.sessions.open().iter().for_each(|session| session.cut());
    }

    /// Every inbound rule of every security group. They are kept, not enforced.
    #[must_use]
    pub fn rules(&self) -> Vec<RuleSummary> {
        self.shared.lock().rules.iter().map(ec2::Rule::summary).collect()
    }

    /// What a container wrote to its standard output and error; the oldest lines go when there are many.
    #[must_use]
    pub fn log(&self, task_arn: &str, container: &str) -> Vec<String> {
        let world = self.shared.lock();
        let task = world.tasks.iter().find(|task| task.arn == task_arn);
        let container = task.and_then(|task| task.containers.iter().find(|known| known.name == container));
        container.map(|container| container.log.lines()).unwrap_or_default()
    }

    /// Waits until a container has written this line; for ever, if it never does.
    pub async fn logged(&self, task_arn: &str, container: &str, line: &str) {
        let log = {
            let world = self.shared.lock();
            let task = world.tasks.iter().find(|task| task.arn == task_arn);
            task.and_then(|task| task.containers.iter().find(|known| known.name == container))
                .map(|known| known.log.clone())
        };
        if let Some(log) = log {
            log.until(line).await;
        }
    }

    /// Looks whenever something has changed, until the condition holds. It may ask over the API.
    pub async fn until(&self, condition: impl Fn() -> bool) {
        let mut changes = self.shared.changes();
        while !condition() {
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }

    /// Waits until the task is RUNNING, or past that.
    pub async fn task_running(&self, task_arn: &str) {
        let is_running = |task: &task::Task| task.time("startedAt").is_some() || task.is_stopped();
        self.shared.wait_until(|world| world.tasks.iter().any(|task| task.arn == task_arn && is_running(task))).await;
    }

    /// Waits until the task is STOPPED; one that is not known is not waited for.
    pub async fn task_stopped(&self, task_arn: &str) {
        self.shared.wait_until(|world| world.tasks.iter().all(|task| task.arn != task_arn || task.is_stopped())).await;
    }

    /// Stops listening, kills every process that it started and removes every scratch directory.
    pub async fn shutdown(self) {
        self.closing.cancel();
        self.server.close();
        self.server.wait().await;
        self.shared.end().await;
        if let Some(watchdog) = self.watchdog {
            watchdog.dismiss();
        }
        if let Err(error) = self.scratch.close() {
            tracing::warn!(%error, "the scratch directory stays");
        }
    }
}

/// Lets containers find us, and enters what the configuration has to begin with.
async fn begin(shared: &Arc<Shared>, server: &TaskTracker, closing: &CancellationToken) -> Result<(), StartError> {
    if let Some(gateway) = shared.launcher.gateway() {
        // Containers cannot reach our loopback.
        let address = SocketAddr::new(gateway, 0);
        let bind = |source| StartError::Bind { address, source };
        let listener = tokio::net::TcpListener::bind(address).await.map_err(bind)?;
        shared.tell_endpoint(listener.local_addr().map_err(bind)?);
        server.spawn(server::serve_metadata(listener, Arc::clone(shared), closing.clone()));
    }
    let refused = |error: &dyn std::fmt::Display| StartError::TaskDefinition(error.to_string());
    for definition in &shared.config.task_definitions {
        let request: serde_json::Value = serde_json::from_str(definition).map_err(|error| refused(&error))?;
        ecs::register(shared, &request).map_err(|error| refused(&error))?;
    }
    for service in &shared.config.services {
        let request: serde_json::Value = serde_json::from_str(service).map_err(|error| refused(&error))?;
        ecs::create_service(shared, &request).map_err(|error| refused(&error))?;
    }
    Ok(())
}

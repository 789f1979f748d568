//! One container from the wait for those before it to its end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::Driver;
use super::dependencies::Unmet;
use crate::clock;
use crate::launcher::{Exit, Failure, Running, Sandbox, Start};

/// SIGKILL follows the stop signal after this unless the container says otherwise (ECS API reference, ContainerDefinition).
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Exit code that the agent gives a container which cannot be started for want of those it depends on
/// (amazon-ecs-agent, pull request 3218).
const NEVER_STARTED: i32 = 143;

/// What became of a container.
pub(super) enum Outcome {
    /// It could not be started.
    Failed(Failure),
    /// It was, or will never be, and is over.
    Exited { essential: bool },
}

impl Driver {
    /// Waits for its turn, runs it, and stops it when the task ends.
    pub(super) async fn supervise(self, start: Start, sandbox: Arc<Sandbox>) -> Outcome {
        let name = start.definition.name.clone();
        let essential = start.definition.essential;
        let met = tokio::select! {
            met = self.dependencies(&start.definition) => met,
            () = self.ending.cancelled() => return Outcome::Exited { essential },
        };
        if let Err(Unmet { reason }) = met {
            self.ended(&name, Exit { code: NEVER_STARTED, reason: Some(reason) });
            return Outcome::Exited { essential };
        }
        self.with_container(&name, |container| container.is_begun = true);
        let mut running = match self.shared.launcher.start(&self.shared, &sandbox, &start).await {
            Ok(running) => running,
            Err(failure) => {
                self.with_container(&name, |container| container.is_begun = false);
                return Outcome::Failed(failure);
            }
        };
        let (pid, place) = (running.pid(), running.place());
        self.with_container(&name, |container| {
            container.pid = pid;
            container.place = Some(place);
            container.running_since = Some((Instant::now(), clock::now()));
            container.last_status = "RUNNING";
        });
        let exit = self.until_its_end(&start, &mut running).await;
        self.ended(&name, exit);
        Outcome::Exited { essential }
    }

    async fn until_its_end(&self, start: &Start, running: &mut Running) -> Exit {
        let name = &start.definition.name;
        let health = running.watch_health(|health| self.with_container(name, |container| container.health = health));
        tokio::select! {
            exit = running.wait() => return exit,
            () = health => {}
            () = self.agent(name) => {}
            () = self.ending.cancelled() => {}
        }
        self.dependents_ended(name).await;
        running.stop().await;
        let seconds = start.definition.stop_timeout.and_then(|seconds| u64::try_from(seconds).ok());
        let patience = seconds.map_or(STOP_TIMEOUT, Duration::from_secs);
        if let Ok(exit) = timeout(patience, running.wait()).await {
            return exit;
        }
        running.kill().await;
        running.wait().await
    }

    /// Wakes those who wait for the agent behind ExecuteCommand when it has connected, where it was asked for, and never ends.
    async fn agent(&self, name: &str) {
        let since = self.of_task(|task| {
            let container = task.containers.iter().find(|container| container.name == name)?;
            task.launch.exec.then_some(container.running_since)?
        });
        if let Some((at, _)) = since.flatten() {
            sleep_until(at + self.phases.agent).await;
            self.with_container(name, |_| {});
        }
        std::future::pending().await
    }

    /// An exit is known at once; that the task makes it public waits for ECS to notice, if the task ends with it.
    fn ended(&self, name: &str, exit: Exit) {
        let name = name.to_owned();
        self.shared.update(&self.arn, |task| {
            let is_last_word = task.launch.containers().iter().any(|known| known.name == name && known.essential);
            if let Some(container) = task.container_mut(&name) {
                container.pid = None;
                container.place = None;
                container.ended = Some(exit);
                if !is_last_word {
                    container.report_exit();
                }
            }
        });
    }
}

//! What makes a task live: it has the network interface made, starts the containers in the order they ask for, waits for whatever
//! comes first, and tells the lifecycle what happened.

mod container;
mod dependencies;
mod prepare;

use std::sync::Arc;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::fault::Fault;
use crate::latency::Phases;
use crate::launcher::{Failure, Sandbox};
use crate::lifecycle::{Event, State};
use crate::state::Shared;
use crate::task::Task;

use container::Outcome;
use prepare::Prepared;

/// One task's driver.
#[derive(Clone)]
struct Driver {
    shared: Arc<Shared>,
    arn: String,
    phases: Phases,
    stop: CancellationToken,
    /// Cancelled when the containers have to end.
    ending: CancellationToken,
}

/// Why a task ends.
enum Cause {
    Failed(Failure),
    EssentialExit,
    Stopped,
    Interrupted,
}

/// Drives one task from PROVISIONING to STOPPED.
pub(crate) async fn drive(shared: Arc<Shared>, arn: String) {
    let Some((phases, stop)) = shared.update(&arn, |task| (task.phases, task.stop.clone())) else { return };
    let driver =
        Driver { shared: Arc::clone(&shared), arn: arn.clone(), phases, stop, ending: CancellationToken::new() };
    tokio::select! {
        () = driver.live() => {}
        // What was started is killed as it is dropped, or swept by the launcher.
        () = shared.kill.cancelled() => {}
    }
    // Nothing is left to do after a life; after a kill, this is all that is left.
    for event in [Event::StopBegun, Event::ContainersEnded, Event::InterfaceReleased, Event::InterfaceDeleted] {
        driver.shared.advance(&arn, event);
    }
}

impl Driver {
    async fn live(&self) {
        match self.interface().await {
            Ok(sandbox) => {
                let sandbox = Arc::new(sandbox);
                let prepared = tokio::select! {
                    prepared = self.prepare(&sandbox) => prepared,
                    () = self.stop.cancelled() => Err(None),
                };
                match prepared {
                    Ok(prepared) => self.run(prepared, &sandbox).await,
                    Err(given_up) => self.give_up(given_up),
                }
                sandbox.close().await;
            }
            Err(given_up) => self.give_up(given_up),
        }
        sleep(self.phases.deprovisioning).await;
    }

    /// Starts the containers, and waits for the task's end; then until every container has ended and ECS has acted on it.
    async fn run(&self, prepared: Prepared, sandbox: &Arc<Sandbox>) {
        let mut containers = JoinSet::new();
        for start in prepared.starts {
            let supervised = self.clone().supervise(start, Arc::clone(sandbox));
            // Tracked: a shutdown waits until an aborted one has let go of its container.
            containers.spawn(self.shared.drivers.track_future(supervised));
        }
        let cause = tokio::select! {
            // In this order: a container that exits at once has been started all the same.
            biased;
            () = self.interruption() => Cause::Interrupted,
            () = self.stop.cancelled() => Cause::Stopped,
            cause = first_cause(&mut containers) => cause,
        };
        let has_run = self.has_run();
        match &cause {
            Cause::Stopped if has_run => self.shared.advance(&self.arn, Event::StopBegun),
            Cause::Interrupted => {
                self.shared.update(&self.arn, |task| {
                    task.explain("SpotInterruption", "Your Spot Task was interrupted.");
                    task.advance(Event::Interrupted);
                });
            }
            _ => {}
        }
        self.ending.cancel();
        while containers.join_next().await.is_some() {}
        if let Cause::Failed(failure) = cause {
            return self.fail(failure);
        }
        self.shared.advance(&self.arn, Event::ContainersEnded);
        sleep(self.phases.noticing).await;
        let (code, reason) = match cause {
            Cause::EssentialExit | Cause::Failed(_) => {
                ("EssentialContainerExited", "Essential container in task exited")
            }
            Cause::Stopped => ("UserInitiated", "Task stopped by user"),
            Cause::Interrupted => ("SpotInterruption", "Your Spot Task was interrupted."),
        };
        self.shared.update(&self.arn, |task| {
            task.explain(code, reason);
            task.advance(Event::StopBegun);
            task.report_exits();
        });
        sleep(self.phases.stopping).await;
        self.shared.advance(&self.arn, Event::InterfaceReleased);
    }

    /// Waits until every container was started and says so; for ever, if one never is.
    async fn all_started(&self) {
        self.shared
            .wait_until(|world| {
                let task = world.tasks.iter().find(|task| task.arn == self.arn);
                task.is_none_or(|task| task.containers.iter().all(crate::task::Container::was_started))
            })
            .await;
        self.shared.advance(&self.arn, Event::ContainersStarted);
    }

    /// Ends a task before it has run: for a failure, or because somebody stopped it.
    fn give_up(&self, failure: Option<Failure>) {
        match failure {
            Some(failure) => self.fail(failure),
            None => self.shared.advance(&self.arn, Event::StopBegun),
        }
    }

    fn has_run(&self) -> bool {
        self.shared.update(&self.arn, |task| task.state == State::Running).unwrap_or_default()
    }

    fn fail(&self, failure: Failure) {
        self.shared.update(&self.arn, |task| {
            task.explain("TaskFailedToStart", failure.reason.clone());
            for container in &mut task.containers {
                container.pid = None;
                if failure.container.as_ref().is_none_or(|name| *name == container.name) {
                    container.reason = Some(failure.reason.clone());
                }
            }
            task.report_exits();
            task.advance(Event::StartFailed);
        });
    }

    /// Spot's notice, if this task is one that gets it.
    async fn interruption(&self) {
        self.all_started().await;
        let is_spot = |task: &mut Task| task.launch.provider.as_deref() == Some("FARGATE_SPOT");
        if self.shared.update(&self.arn, is_spot) != Some(true) {
            return std::future::pending().await;
        }
        let notice = |fault: &Fault| if let Fault::SpotInterruption { after } = fault { Some(*after) } else { None };
        let mut changes = self.shared.changes();
        loop {
            let after = self.shared.lock().faults.take(notice);
            if let Some(after) = after {
                return sleep(after).await;
            }
            // The sender lives as long as `shared`.
            let _ = changes.changed().await;
        }
    }
}

/// Waits for the first container that ends the task: one that cannot be started, or an essential one that exits.
async fn first_cause(containers: &mut JoinSet<Outcome>) -> Cause {
    while let Some(outcome) = containers.join_next().await {
        match outcome {
            Ok(Outcome::Failed(failure)) => return Cause::Failed(failure),
            Ok(Outcome::Exited { essential: true }) => return Cause::EssentialExit,
            Ok(Outcome::Exited { essential: false }) => {}
            // A supervisor that panicked took its container with it.
            Err(_) => return Cause::EssentialExit,
        }
    }
    // Every task definition has an essential container.
    Cause::EssentialExit
}

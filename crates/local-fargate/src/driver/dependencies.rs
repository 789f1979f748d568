//! `dependsOn`: when a container may start, when it never will, and who has to end before it.

use std::time::Duration;

use tokio::time::timeout;

use super::Driver;
use crate::definition::{ContainerDefinition, Dependency};
use crate::state::World;
use crate::task::{Container, Health};

/// How long a container is waited for unless it says otherwise (ECS API reference, ContainerDefinition, `startTimeout`).
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// Why a container never starts.
#[derive(Debug)]
pub(super) struct Unmet {
    pub(super) reason: String,
}

/// Where one dependency has got to.
enum Progress {
    Waiting,
    Met,
    Never,
}

impl Driver {
    /// Waits until every container that this one depends on has got as far as it has to.
    pub(super) async fn dependencies(&self, container: &ContainerDefinition) -> Result<(), Unmet> {
        for dependency in &container.depends_on {
            let on = self.definition(&dependency.container_name);
            let seconds = on.as_ref().and_then(|on| on.start_timeout).and_then(|seconds| u64::try_from(seconds).ok());
            let patience = seconds.map_or(START_TIMEOUT, Duration::from_secs);
            let settled =
                self.shared.wait_until(|world| !matches!(self.progress(world, dependency), Progress::Waiting));
            // A dependency that takes too long is one that is never met.
            let _ = timeout(patience, settled).await;
            if !matches!(self.progress(&self.shared.lock(), dependency), Progress::Met) {
                return Err(self.unmet(container, dependency));
            }
        }
        Ok(())
    }

    /// Waits until every container that depends on this one has ended: what starts first ends last.
    pub(super) async fn dependents_ended(&self, name: &str) {
        let is_over = |world: &World| {
            let Some(task) = world.tasks.iter().find(|task| task.arn == self.arn) else { return true };
            let dependents = task.launch.containers().iter().zip(&task.containers);
            let mut dependents = dependents.filter(|(definition, _)| {
                let needs_it_alive =
                    |on: &Dependency| on.container_name == name && matches!(on.condition.as_str(), "START" | "HEALTHY");
                definition.depends_on.iter().any(needs_it_alive)
            });
            dependents.all(|(_, container)| !container.is_begun || container.ended.is_some())
        };
        self.shared.wait_until(is_over).await;
    }

    fn definition(&self, name: &str) -> Option<ContainerDefinition> {
        let world = self.shared.lock();
        let task = world.tasks.iter().find(|task| task.arn == self.arn)?;
        task.launch.containers().iter().find(|known| known.name == name).cloned()
    }

    fn progress(&self, world: &World, dependency: &Dependency) -> Progress {
        let task = world.tasks.iter().find(|task| task.arn == self.arn);
        let container = task.and_then(|task| task.containers.iter().find(|on| on.name == dependency.container_name));
        container.map_or(Progress::Never, |container| progress(container, &dependency.condition))
    }

    /// In the agent's words (amazon-ecs-agent, pull request 3218).
    fn unmet(&self, container: &ContainerDefinition, dependency: &Dependency) -> Unmet {
        let on = self.definition(&dependency.container_name).unwrap_or_default();
        let world = self.shared.lock();
        let task = world.tasks.iter().find(|task| task.arn == self.arn);
        let state = task.and_then(|task| task.containers.iter().find(|known| known.name == on.name));
        let exit = state.and_then(|state| state.ended.as_ref()).map(|exit| format!(" - Exit: {}", exit.code));
        let status = state.map_or("NONE", |state| if state.ended.is_some() { "STOPPED" } else { state.last_status });
        Unmet {
            reason: format!(
                "CannotStartContainerError: dependency graph: failed to resolve container ordering dependency [{}({}) ({status}->RUNNING){}] for target [{}({}) (NONE->RUNNING)]",
                on.name,
                on.image,
                exit.unwrap_or_default(),
                container.name,
                container.image
            ),
        }
    }
}

fn progress(container: &Container, condition: &str) -> Progress {
    let exit_code = container.ended.as_ref().map(|exit| exit.code);
    let is_met = match condition {
        "START" => container.was_started(),
        "COMPLETE" => exit_code.is_some(),
        "SUCCESS" => exit_code == Some(0),
        _ => container.health == Health::Healthy,
    };
    match (is_met, exit_code) {
        (true, _) => Progress::Met,
        (false, Some(_)) => Progress::Never,
        (false, None) => Progress::Waiting,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launcher::Exit;

    fn container(change: impl FnOnce(&mut Container)) -> Container {
        let mut container = Container::new(String::new(), "c".to_owned(), String::new());
        change(&mut container);
        container
    }

    #[test]
    fn each_condition_has_its_moment() {
        let says = |container: &Container, condition: &str| match progress(container, condition) {
            Progress::Waiting => "waiting",
            Progress::Met => "met",
            Progress::Never => "never",
        };
        let fresh = container(|_| {});
        let running = container(|container| container.last_status = "RUNNING");
        let healthy = container(|container| container.health = Health::Healthy);
        let exited = |code| container(|container| container.ended = Some(Exit { code, reason: None }));
        for (condition, expected) in [
            ("START", ["waiting", "met", "waiting", "never", "never"]),
            ("COMPLETE", ["waiting", "waiting", "waiting", "met", "met"]),
            ("SUCCESS", ["waiting", "waiting", "waiting", "met", "never"]),
            ("HEALTHY", ["waiting", "waiting", "met", "never", "never"]),
        ] {
            let all = [&fresh, &running, &healthy, &exited(0), &exited(1)].map(|known| says(known, condition));
            assert_eq!(all, expected, "{condition}");
        }
    }
}

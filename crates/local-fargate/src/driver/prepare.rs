//! PROVISIONING and PENDING, until the containers can be started: the network interface, the images, secrets and log streams.

use std::collections::BTreeMap;

use tokio::time::sleep;

use super::Driver;
use crate::definition::ContainerDefinition;
use crate::fault::Fault;
use crate::launcher::{Environment, Failure, Log, Sandbox, Start};
use crate::lifecycle::Event;
use crate::secrets;
use crate::task::{Launch, Task};

/// What the containers are started from, in the order of the definition.
pub(super) struct Prepared {
    pub(super) starts: Vec<Start>,
}

impl Driver {
    /// PROVISIONING. What is asked of the launcher is awaited whatever happens, so that it can be undone; `Err(None)` is a stop.
    pub(super) async fn interface(&self) -> Result<Sandbox, Option<Failure>> {
        let (id, launch) = self.of_task(|task| (task.id.clone(), task.launch.clone())).ok_or(None)?;
        tokio::select! {
            () = sleep(self.phases.provisioning) => {}
            () = self.stop.cancelled() => return Err(None),
        }
        self.shared.launcher.sandbox(&id, &launch).await.map_err(Some)
    }

    /// Makes everything else ready.
    pub(super) async fn prepare(&self, sandbox: &Sandbox) -> Result<Prepared, Option<Failure>> {
        let advance = |event| self.shared.advance(&self.arn, event);
        let launch = self.of_task(|task| task.launch.clone()).ok_or(None)?;
        self.shared.update(&self.arn, |task| {
            task.interface.address = sandbox.address().unwrap_or(task.interface.address);
        });
        advance(Event::InterfaceAttached);
        sleep(self.phases.association).await;
        self.shared.update(&self.arn, |task| task.interface.associated = true);
        sleep(self.phases.pending).await;
        advance(Event::PullStarted);
        sleep(self.phases.pull).await;
        if let Some(what) = unplayed(&launch) {
            return Err(Some(Failure::of_task(format!("ResourceInitializationError: {what} are not played here"))));
        }
        let secrets = self.secrets(&launch)?;
        self.pull(&launch).await?;
        self.start_fault().map_or(Ok(()), |failure| Err(Some(failure)))?;
        advance(Event::PullStopped);
        sleep(self.phases.start).await;
        let starts = self.of_task(|task| starts(task, &secrets)).ok_or(None)?;
        let starts = starts.into_iter().map(|start| self.with_log(start)).collect::<Result<_, _>>()?;
        Ok(Prepared { starts })
    }

    pub(super) fn of_task<T>(&self, look: impl FnOnce(&Task) -> T) -> Option<T> {
        self.shared.lock().tasks.iter().find(|task| task.arn == self.arn).map(look)
    }

    /// The values of every container's secrets, by container and variable.
    fn secrets(&self, launch: &Launch) -> Result<Secrets, Option<Failure>> {
        let mut found = Secrets::default();
        for container in launch.containers() {
            for secret in &container.secrets {
                let value = secrets::resolve(&self.shared.config.secrets, &secret.value_from);
                let value = value.map_err(|reason| Some(Failure::of_task(reason)))?;
                found.entry(container.name.clone()).or_default().push((secret.name.clone(), value));
            }
        }
        Ok(found)
    }

    async fn pull(&self, launch: &Launch) -> Result<(), Option<Failure>> {
        for container in launch.containers() {
            let pulled = self.shared.launcher.pull(&self.shared, &container.image, launch.is_arm()).await;
            let digest = pulled.map_err(|failure| Some(failure.on(&container.name)))?;
            self.with_container(&container.name, |container| container.image_digest = digest);
        }
        Ok(())
    }

    fn start_fault(&self) -> Option<Failure> {
        let scripted = |fault: &Fault| match fault {
            Fault::ImagePull { message: reason } | Fault::StartFailure { reason } => Some(reason.clone()),
            _ => None,
        };
        self.shared.lock().faults.take(scripted).map(Failure::of_task)
    }

    /// Gives the container the log stream that its definition asks for, and the exit that a fault asks for.
    fn with_log(&self, mut start: Start) -> Result<Start, Option<Failure>> {
        let early = |fault: &Fault| if let Fault::EarlyExit { exit_code } = fault { Some(*exit_code) } else { None };
        start.exit_early = self.shared.lock().faults.take(early);
        let configured = start.definition.log_configuration.as_ref().filter(|log| log.log_driver == "awslogs");
        if let Some(configured) = configured {
            let (name, delay) = (&start.definition.name, self.phases.logs);
            let opened = self.shared.logs.open(configured, name, &start.task_id, delay);
            start.log = start.log.into_stream(opened.map_err(|reason| Some(Failure::of_task(reason)))?);
            let log: Log = start.log.clone();
            self.with_container(&start.definition.name, |container| container.log = log);
        }
        Ok(start)
    }

    pub(super) fn with_container(&self, name: &str, change: impl FnOnce(&mut crate::task::Container)) {
        self.shared.update(&self.arn, |task| task.container_mut(name).map(change));
    }
}

/// What Fargate has and this stand-in has not.
fn unplayed(launch: &Launch) -> Option<&'static str> {
    let request = &launch.definition.request;
    let containers = || request.container_definitions.iter();
    let found = [
        ("EFS volumes", request.volumes.iter().any(|volume| volume.efs_volume_configuration.is_some())),
        (
            "FSx volumes",
            request.volumes.iter().any(|volume| volume.fsx_windows_file_server_volume_configuration.is_some()),
        ),
        ("environment files", containers().any(|container| !container.environment_files.is_empty())),
        ("restart policies", containers().any(|container| container.restart_policy.is_some())),
    ];
    found.into_iter().find(|(_, is_there)| *is_there).map(|(what, _)| what)
}

/// The container with the mount points that `volumesFrom` takes from others.
fn with_volumes(definition: &ContainerDefinition, all: &[ContainerDefinition]) -> ContainerDefinition {
    let mut definition = definition.clone();
    for from in std::mem::take(&mut definition.volumes_from) {
        let sources = all.iter().filter(|known| known.name == from.source_container);
        let points = sources.flat_map(|known| known.mount_points.clone());
        definition.mount_points.extend(points.map(|mut point| {
            point.read_only |= from.read_only;
            point
        }));
    }
    definition
}

type Secrets = BTreeMap<String, Vec<(String, String)>>;

fn starts(task: &Task, secrets: &Secrets) -> Vec<Start> {
    let launch = &task.launch;
    let number = |name: &str| launch.member(name).and_then(|text| text.parse().ok()).unwrap_or_default();
    let start = |definition: &ContainerDefinition| {
        let container = task.containers.iter().find(|known| known.name == definition.name)?;
        let given = launch.container_override(&definition.name).cloned().unwrap_or_default();
        let unsigned = |number: Option<i64>| number.and_then(|number| u32::try_from(number).ok()).filter(|n| *n > 0);
        let mut environment = Vec::new();
        environment.extend(definition.environment.iter().map(|known| (known.name.clone(), known.value.clone())));
        environment.extend(secrets.get(&definition.name).into_iter().flatten().cloned());
        environment.extend(given.environment.into_iter().map(|known| (known.name, known.value)));
        Some(Start {
            task_id: task.id.clone(),
            runtime_id: container.runtime_id.clone(),
            address: task.interface.address.to_string(),
            has_role: task.role().is_some(),
            exit_early: None,
            environment: Environment(environment),
            command: given.command.or_else(|| definition.command.clone()),
            task_cpu: number("cpu"),
            task_memory: number("memory"),
            cpu: unsigned(given.cpu.or(Some(definition.cpu))),
            memory: unsigned(given.memory.or(definition.memory)),
            log: container.log.clone(),
            definition: with_volumes(definition, launch.containers()),
        })
    };
    launch.containers().iter().filter_map(start).collect()
}

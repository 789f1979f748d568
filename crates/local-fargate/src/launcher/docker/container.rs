//! A container of Docker's: its start, its output, and its end.

use std::io;
use std::time::Duration;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, ContainerState};
use bollard::query_parameters::{
    AttachContainerOptionsBuilder, CreateContainerOptions, InspectContainerOptions, KillContainerOptionsBuilder,
    StartContainerOptions, WaitContainerOptions,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use tokio::task::JoinHandle;
use tokio_util::io::StreamReader;

use super::{HealthWatch, Inside, message};
use crate::launcher::{Exit, Log, Start};

/// How long the last output of a container is waited for once it has ended.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// What a container that is out of memory is told of (ECS developer guide, "Stopped tasks error codes").
const OUT_OF_MEMORY: &str = "OutOfMemoryError: Container killed due to memory usage";
/// The signal that asks a program to end, unless its image names another.
const STOP_SIGNAL: &str = "SIGTERM";

/// A running container.
#[derive(Debug)]
pub(crate) struct Container {
    docker: Docker,
    id: String,
    pid: Option<u32>,
    stop_signal: String,
    logs: Vec<JoinHandle<()>>,
    exit: Option<Exit>,
}

impl Container {
    pub(super) async fn start(docker: Docker, body: ContainerCreateBody, start: &Start) -> Result<Self, Error> {
        let id = docker.create_container(None::<CreateContainerOptions>, body).await?.id;
        let logs = [attach(&docker, &id, true, &start.log).await?, attach(&docker, &id, false, &start.log).await?];
        docker.start_container(&id, None::<StartContainerOptions>).await?;
        let inspected = docker.inspect_container(&id, None::<InspectContainerOptions>).await?;
        let pid = inspected.state.as_ref().and_then(|state| state.pid).and_then(|pid| u32::try_from(pid).ok());
        let stop_signal = inspected.config.and_then(|config| config.stop_signal);
        Ok(Self {
            docker,
            id,
            // It may have ended by now.
            pid: pid.filter(|pid| *pid > 0),
            stop_signal: stop_signal.unwrap_or_else(|| STOP_SIGNAL.to_owned()),
            logs: logs.into(),
            exit: None,
        })
    }

    /// Process id of its first process, as this machine has it.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Waits for its end.
    pub(crate) async fn wait(&mut self) -> Exit {
        if let Some(exit) = &self.exit {
            return exit.clone();
        }
        let waited = self.docker.wait_container(&self.id, None::<WaitContainerOptions>).next().await;
        let code = match waited {
            Some(Ok(ended)) => ended.status_code,
            Some(Err(Error::DockerContainerWaitError { code, .. })) => code,
            Some(Err(error)) => return self.lost(&message(&error)),
            None => return self.lost("the daemon hung up"),
        };
        for log in self.logs.drain(..) {
            // Late words are lost, not waited for.
            let _ = tokio::time::timeout(LAST_WORDS, log).await;
        }
        let state = self.state().await;
        let is_out_of_memory = state.as_ref().is_some_and(|state| state.oom_killed == Some(true));
        let error = state.and_then(|state| state.error).filter(|error| !error.is_empty());
        let reason = if is_out_of_memory { Some(OUT_OF_MEMORY.to_owned()) } else { error };
        self.exit.insert(Exit { code: i32::try_from(code).unwrap_or(255), reason }).clone()
    }

    async fn state(&self) -> Option<ContainerState> {
        self.docker.inspect_container(&self.id, None::<InspectContainerOptions>).await.ok()?.state
    }

    /// Nobody knows how it ended.
    fn lost(&mut self, error: &str) -> Exit {
        let reason = Some(format!("CannotInspectContainerError: {error}"));
        self.exit.insert(Exit { code: 255, reason }).clone()
    }

    /// Sends the stop signal.
    pub(crate) async fn stop(&self) {
        self.signal(&self.stop_signal).await;
    }

    /// Ends it at once.
    pub(crate) async fn kill(&self) {
        self.signal("SIGKILL").await;
    }

    async fn signal(&self, signal: &str) {
        let options = KillContainerOptionsBuilder::default().signal(signal).build();
        // One that has ended already cannot be told, and needs not.
        let _ = self.docker.kill_container(&self.id, Some(options)).await;
    }

    /// Where further programs of it run.
    pub(crate) fn inside(&self) -> Inside {
        Inside::new(self.docker.clone(), self.id.clone())
    }

    /// Tells its health.
    pub(crate) fn health(&self) -> HealthWatch {
        HealthWatch::new(self.docker.clone(), self.id.clone())
    }
}

async fn attach(docker: &Docker, id: &str, is_stdout: bool, log: &Log) -> Result<JoinHandle<()>, Error> {
    let options = AttachContainerOptionsBuilder::default().stdout(is_stdout).stderr(!is_stdout).stream(true).build();
    let output = docker.attach_container(id, Some(options)).await?.output;
    let bytes = output.map_ok(LogOutput::into_bytes).map_err(io::Error::other);
    Ok(tokio::spawn(log.clone().keep(StreamReader::new(bytes))))
}

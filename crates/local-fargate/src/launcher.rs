//! What runs containers: processes of this machine, or real containers of Docker's.

mod docker;
mod environment;
mod log;
mod process;
mod scratch;
mod second;
mod spawner;
mod start;
mod stragglers;
mod watchdog;

pub use docker::DockerError;
pub(crate) use log::Log;
pub(crate) use process::Beside;
pub(crate) use scratch::scratch;
pub(crate) use second::{Hold, Output, Place, Program, Second};
pub(crate) use start::{Environment, Exit, Failure, Start};
pub(crate) use stragglers::MARK;
pub(crate) use watchdog::Watchdog;

use std::net::IpAddr;
use std::sync::Arc;

use crate::config::{self, StartError};
use crate::state::Shared;
use crate::task::{Health, Launch};
use nix::sys::signal::Signal;

/// What runs containers.
#[derive(Debug)]
pub(crate) enum Launcher {
    Process,
    Docker(docker::Engine),
}

/// What the containers of one task have in common: their network.
#[derive(Debug)]
pub(crate) enum Sandbox {
    /// The loopback address that was drawn.
    Process,
    Docker(docker::Sandbox),
}

/// A container that was started.
#[derive(Debug)]
pub(crate) enum Running {
    Process(process::Process),
    Docker(docker::Container),
}

impl Launcher {
    /// Connects to what the configuration names.
    pub(crate) async fn new(config: &config::Launcher) -> Result<Self, StartError> {
        match config {
            config::Launcher::Process => Ok(Self::Process),
            config::Launcher::Docker => docker::Engine::connect().await.map(Self::Docker).map_err(StartError::Docker),
        }
    }

    /// Addresses, beside loopback, on which containers can ask for their metadata.
    pub(crate) fn gateway(&self) -> Option<IpAddr> {
        match self {
            Self::Process => None,
            Self::Docker(engine) => Some(engine.gateway()),
        }
    }

    /// Makes a task's network interface.
    pub(crate) async fn sandbox(&self, task_id: &str, launch: &Launch) -> Result<Sandbox, Failure> {
        match self {
            Self::Process => Ok(Sandbox::Process),
            Self::Docker(engine) => engine.sandbox(task_id, launch).await.map(Sandbox::Docker),
        }
    }

    /// Looks for an image; answers its digest where it has one.
    pub(crate) async fn pull(&self, shared: &Shared, image: &str, is_arm: bool) -> Result<Option<String>, Failure> {
        match self {
            Self::Process if shared.config.images.iter().any(|known| known.name == image) => Ok(None),
            Self::Process => Err(Failure::no_such_image(image)),
            Self::Docker(engine) => engine.pull(image, is_arm).await,
        }
    }

    /// Starts a container.
    pub(crate) async fn start(
        &self,
        shared: &Arc<Shared>,
        sandbox: &Sandbox,
        start: &Start,
    ) -> Result<Running, Failure> {
        match (self, sandbox) {
            (Self::Docker(engine), Sandbox::Docker(sandbox)) => {
                engine.start(sandbox, start, shared).await.map(Running::Docker)
            }
            _ => process::start(shared, start).await.map(Running::Process).map_err(|error| start.failed(&error)),
        }
    }

    /// Removes whatever is left.
    pub(crate) async fn close(&self) {
        if let Self::Docker(engine) = self {
            engine.close().await;
        }
    }
}

impl Sandbox {
    /// The address of the network interface, where it is not the one that was drawn.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        match self {
            Self::Process => None,
            Self::Docker(sandbox) => Some(sandbox.address()),
        }
    }

    /// Removes the network interface with the task's volumes and containers.
    pub(crate) async fn close(&self) {
        if let Self::Docker(sandbox) = self {
            sandbox.close().await;
        }
    }
}

impl Running {
    /// Process id, on this machine, of the container's first process.
    pub(crate) fn pid(&self) -> Option<u32> {
        match self {
            Self::Process(process) => Some(process.id()),
            Self::Docker(container) => container.pid(),
        }
    }

    /// Where further programs of the container run.
    pub(crate) fn place(&self) -> Place {
        match self {
            Self::Process(process) => Place::Process(process.beside()),
            Self::Docker(container) => Place::Docker(container.inside()),
        }
    }

    /// Waits for the container to end. Cancel-safe, and may be called again.
    pub(crate) async fn wait(&mut self) -> Exit {
        match self {
            Self::Process(process) => Exit { code: process.wait().await, reason: None },
            Self::Docker(container) => container.wait().await,
        }
    }

    /// Sends the container's stop signal to its first process.
    pub(crate) async fn stop(&self) {
        match self {
            Self::Process(process) => process.signal(Signal::SIGTERM),
            Self::Docker(container) => container.stop().await,
        }
    }

    /// Ends its first process at once.
    pub(crate) async fn kill(&self) {
        match self {
            Self::Process(process) => process.signal(Signal::SIGKILL),
            Self::Docker(container) => container.kill().await,
        }
    }

    /// Tells the container's health as it changes, and never ends.
    pub(crate) fn watch_health<F: Fn(Health)>(&self, tell: F) -> impl Future<Output = ()> + use<F> {
        let watch = match self {
            Self::Process(_) => None,
            Self::Docker(container) => Some(container.health()),
        };
        async move {
            if let Some(watch) = watch {
                watch.tell(tell).await;
            }
            std::future::pending().await
        }
    }
}

//! Docker as the launcher: one private bridge network for a stand-in, one address on it for a task, real containers.

mod container;
mod exec;
mod health;
mod image;
mod owner;
mod pause;
mod sandbox;
mod settings;
mod sweep;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{NetworkCreateRequest, NetworkInspect};
use bollard::query_parameters::InspectNetworkOptions;

use super::{Failure, Start};
use crate::state::Shared;
use crate::task::Launch;

pub(crate) use container::Container;
pub(crate) use exec::{Exec, Inside};
pub(crate) use health::HealthWatch;
pub(crate) use sandbox::Sandbox;

/// What tells the containers, networks, volumes and images of one stand-in from all others.
const INSTANCE: &str = "local-fargate.instance";
/// Which process of which machine they belong to.
const OWNER: &str = "local-fargate.owner";
/// The task that a container or volume belongs to.
const TASK: &str = "local-fargate.task";
/// The container's name in its task definition; the one that holds the network has none.
const CONTAINER: &str = "local-fargate.container";

/// Why Docker will not do.
#[derive(Debug, thiserror::Error)]
pub enum DockerError {
    /// It does not answer, or refuses.
    #[error("{0}")]
    Refused(String),
    /// A network without a gateway on this machine: containers could not be reached.
    #[error("its bridge network has no gateway here; a daemon on this very machine is needed")]
    NoGateway,
    /// The daemon's machine is one that we have no holder of networks for.
    #[error("its architecture {0} is neither x86_64 nor aarch64")]
    Architecture(String),
}

impl From<Error> for DockerError {
    fn from(error: Error) -> Self {
        Self::Refused(message(&error))
    }
}

/// A connection to the daemon, with the network that all tasks of this stand-in are on.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    docker: Docker,
    instance: String,
    network: String,
    gateway: IpAddr,
    /// Image of the containers that hold a task's network.
    pause: String,
    /// CPUs of the daemon's machine.
    cpus: i64,
}

impl Engine {
    /// Removes what killed stand-ins left, and makes the network.
    pub(crate) async fn connect() -> Result<Self, DockerError> {
        let docker = Docker::connect_with_defaults()?.negotiate_version().await?;
        sweep::abandoned(&docker).await?;
        let instance = uuid::Uuid::new_v4().simple().to_string();
        let network = format!("local-fargate-{instance}");
        let info = docker.info().await?;
        let cpus = info.ncpu.filter(|cpus| *cpus > 0).unwrap_or(i64::MAX / 1_000_000_000);
        let architecture = info.architecture.unwrap_or_default();
        let pause = pause::import(&docker, architecture, &labels(&instance), &instance).await?;
        let request = NetworkCreateRequest {
            name: network.clone(),
            driver: Some("bridge".to_owned()),
            labels: Some(labels(&instance)),
            ..NetworkCreateRequest::default()
        };
        let made = docker.create_network(request).await;
        let inspected = match made {
            Ok(_) => docker.inspect_network(&network, None::<InspectNetworkOptions>).await,
            Err(error) => Err(error),
        };
        let gateway = inspected.map_err(DockerError::from).and_then(|network| gateway(&network));
        match gateway {
            Ok(gateway) => Ok(Self { docker, instance, network, gateway, pause, cpus }),
            Err(error) => {
                sweep::instance(&docker, &instance).await;
                Err(error)
            }
        }
    }

    /// Our address on the tasks' network.
    pub(crate) fn gateway(&self) -> IpAddr {
        self.gateway
    }

    /// Gives a task its address, in a container that does nothing else, so that it outlives every other.
    pub(crate) async fn sandbox(&self, task_id: &str, launch: &Launch) -> Result<Sandbox, Failure> {
        let made = Sandbox::make(self, task_id, &launch.definition.request).await;
        made.map_err(|error| {
            Failure::of_task(format!(
                "ResourceInitializationError: failed to configure ENI: failed to setup regular eni: {}",
                message(&error)
            ))
        })
    }

    /// Looks for the image among those that the daemon has: nothing is fetched. Answers its digest.
    pub(crate) async fn pull(&self, image: &str, is_arm: bool) -> Result<Option<String>, Failure> {
        image::find(&self.docker, image, is_arm).await
    }

    /// Makes and starts a container.
    pub(crate) async fn start(
        &self,
        sandbox: &Sandbox,
        start: &Start,
        shared: &Arc<Shared>,
    ) -> Result<Container, Failure> {
        let endpoint = shared.endpoint();
        let body = settings::body(sandbox, start, self.task_labels(start), shared, endpoint);
        let started = Container::start(self.docker.clone(), body, start).await;
        started.map_err(|error| start.failed(&message(&error)))
    }

    /// Removes everything that is left of this stand-in.
    pub(crate) async fn close(&self) {
        sweep::instance(&self.docker, &self.instance).await;
    }

    fn task_labels(&self, start: &Start) -> HashMap<String, String> {
        // Ours last: by them it is found again.
        let mut all = start.definition.docker_labels.clone().into_iter().collect::<HashMap<_, _>>();
        all.extend(labels(&self.instance));
        all.insert(TASK.to_owned(), start.task_id.clone());
        all.insert(CONTAINER.to_owned(), start.definition.name.clone());
        all
    }
}

fn labels(instance: &str) -> HashMap<String, String> {
    [(INSTANCE, instance.to_owned()), (OWNER, owner::own())].map(|(name, value)| (name.to_owned(), value)).into()
}

fn gateway(network: &NetworkInspect) -> Result<IpAddr, DockerError> {
    let configs = network.ipam.as_ref().and_then(|ipam| ipam.config.as_deref()).unwrap_or_default();
    let gateways = configs.iter().filter_map(|config| config.gateway.as_deref());
    // The daemon may write it with the length of its prefix.
    let mut parsed = gateways.filter_map(|text| text.split('/').next()?.parse::<IpAddr>().ok());
    parsed.find(IpAddr::is_ipv4).ok_or(DockerError::NoGateway)
}

/// The daemon's own words, without the library's around them.
fn message(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.clone(),
        other => other.to_string(),
    }
}

fn is_gone(error: &Error) -> bool {
    matches!(error, Error::DockerResponseServerError { status_code: 404, .. })
}

//! Targets of sessions: a container of a task, or an instance; and whether its agent is connected.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use super::agent::Reach;
use crate::error::ApiError;
use crate::fault::Fault;
use crate::launcher::{Beside, MARK, Place};
use crate::state::Shared;
use crate::task::{Container, Task};

/// An instance that Systems Manager manages: this machine under a made-up id.
#[derive(Clone)]
#[non_exhaustive]
pub struct Instance {
    /// `i-` and 17 hexadecimal digits, or `mi-` and as many.
    pub id: String,
    /// The environment of the programs that sessions start, `PATH` aside.
    pub env: Vec<(String, String)>,
}

impl Instance {
    /// An instance of this id.
    #[must_use]
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), env: Vec::new() }
    }
}

impl std::fmt::Debug for Instance {
    /// Without the environment.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Instance").field("id", &self.id).finish_non_exhaustive()
    }
}

/// A target whose agent is connected.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) place: Place,
    pub(crate) reach: Reach,
    pub(crate) is_container: bool,
}

/// Finds the target of StartSession: `ecs:CLUSTER_TASK_RUNTIMEID`, `i-…` or `mi-…`. Any document goes to any of them: people have
/// `AWS-StartSSHSession` go to containers with an SSH server (aws/containers-roadmap, issue 1756;
/// fuzmish.github.io/posts/vscode-remote-ssh-for-ecs).
pub(crate) fn find(shared: &Shared, given: &str) -> Result<Target, ApiError> {
    let not_connected = || ApiError::new("TargetNotConnected", format!("{given} is not connected."));
    let is_away = shared.lock().faults.take(|fault| matches!(fault, Fault::AgentNotConnected).then_some(())).is_some();
    if is_away {
        return Err(not_connected());
    }
    if let Some(container) = given.strip_prefix("ecs:") {
        return of_container(shared, container).ok_or_else(not_connected);
    }
    let instance = shared.config.instances.iter().find(|instance| instance.id == given);
    instance.map(|instance| of_instance(shared, instance)).ok_or_else(not_connected)
}

fn of_container(shared: &Shared, given: &str) -> Option<Target> {
    // Names of clusters may hold the separator, ids may not.
    let mut parts = given.rsplitn(3, '_');
    let (runtime_id, task, cluster) = (parts.next()?, parts.next()?, parts.next()?);
    let world = shared.lock();
    let task = world.task(cluster, task).filter(|known| known.id == task)?;
    if shared.config.agents.stopped.is_some() {
        return None;
    }
    let container = task.containers.iter().find(|known| known.runtime_id == runtime_id)?;
    of_running(task, container)
}

/// The target that a container is, once its agent is connected.
pub(crate) fn of_running(task: &Task, container: &Container) -> Option<Target> {
    let place = container.place.clone().filter(|_| container.is_agent_connected(task))?;
    let address = task.interface.address;
    let (localhost, network_of) = match &place {
        Place::Process(_) => (vec![address, IpAddr::V4(Ipv4Addr::LOCALHOST)], None),
        Place::Docker(_) => (vec![address], container.pid),
    };
    let subnet = task.interface.subnet.cidr.and_then(|cidr| cidr.parse().ok());
    Some(Target { place, reach: Reach { localhost, network_of, subnet }, is_container: true })
}

fn of_instance(shared: &Shared, instance: &Instance) -> Target {
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let mut variables = vec![("PATH".to_owned(), path), ("HOME".to_owned(), shared.scratch.clone().into())];
    variables.extend(instance.env.iter().map(|(name, value)| (name.clone(), value.into())));
    // So that the watchdog finds what is left of a stand-in that was killed.
    variables.push((MARK.to_owned(), format!("{}/{}", shared.mark, instance.id).into()));
    Target {
        place: Place::Process(Arc::new(Beside { variables, directory: shared.scratch.clone() })),
        reach: Reach { localhost: vec![IpAddr::V4(Ipv4Addr::LOCALHOST)], network_of: None, subnet: None },
        is_container: false,
    }
}

//! What the containers of a task have in common: an address, a network namespace, and volumes that are gone with the task.

use std::collections::HashMap;
use std::net::IpAddr;

use bollard::Docker;
use bollard::errors::Error;
use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, VolumeCreateRequest};
use bollard::query_parameters::{CreateContainerOptions, InspectContainerOptions, StartContainerOptions};

use super::{Engine, TASK, labels, sweep};
use crate::definition::Request;

/// Fargate lets nobody but root listen below this, as far as anybody knows; Docker would.
const UNPRIVILEGED_PORTS: (&str, &str) = ("net.ipv4.ip_unprivileged_port_start", "1024");

/// A task's place on the network.
#[derive(Debug)]
pub(crate) struct Sandbox {
    docker: Docker,
    instance: String,
    task_id: String,
    /// The container that holds the network namespace.
    holder: String,
    address: IpAddr,
    /// Whether the containers see each other's processes.
    pub(super) shares_processes: bool,
    /// CPUs of the daemon's machine, which refuses more.
    pub(super) cpus: i64,
}

impl Sandbox {
    pub(super) async fn make(engine: &Engine, task_id: &str, definition: &Request) -> Result<Self, Error> {
        let docker = engine.docker.clone();
        let mut labels = labels(&engine.instance);
        labels.insert(TASK.to_owned(), task_id.to_owned());
        let made = Self::hold(engine, definition, &labels).await;
        let (holder, address) = match made {
            Ok(made) => made,
            Err(error) => {
                sweep::task(&docker, &engine.instance, task_id).await;
                return Err(error);
            }
        };
        let shares_processes = definition.pid_mode.as_deref() == Some("task");
        let sandbox = Self {
            docker,
            instance: engine.instance.clone(),
            task_id: task_id.to_owned(),
            holder,
            address,
            shares_processes,
            cpus: engine.cpus,
        };
        for volume in &definition.volumes {
            let request = VolumeCreateRequest {
                name: Some(sandbox.volume(&volume.name)),
                labels: Some(labels.clone()),
                ..VolumeCreateRequest::default()
            };
            if let Err(error) = sandbox.docker.create_volume(request).await {
                sandbox.close().await;
                return Err(error);
            }
        }
        Ok(sandbox)
    }

    async fn hold(
        engine: &Engine,
        definition: &Request,
        labels: &HashMap<String, String>,
    ) -> Result<(String, IpAddr), Error> {
        let body = ContainerCreateBody {
            image: Some(engine.pause.clone()),
            labels: Some(labels.clone()),
            host_config: Some(HostConfig {
                network_mode: Some(engine.network.clone()),
                readonly_rootfs: Some(true),
                cap_drop: Some(vec!["ALL".to_owned()]),
                log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
                sysctls: Some(sysctls(definition)),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        };
        let docker = &engine.docker;
        let holder = docker.create_container(None::<CreateContainerOptions>, body).await?.id;
        docker.start_container(&holder, None::<StartContainerOptions>).await?;
        let inspected = docker.inspect_container(&holder, None::<InspectContainerOptions>).await?;
        let networks = inspected.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
        let address = networks.values().find_map(|network| network.ip_address.as_deref()?.parse().ok());
        let address =
            address.ok_or_else(|| Error::DockerStreamError { error: "the network gave no address".to_owned() })?;
        Ok((holder, address))
    }

    /// The address of the task's network interface.
    pub(crate) fn address(&self) -> IpAddr {
        self.address
    }

    /// How other containers name this network.
    pub(super) fn network_mode(&self) -> String {
        format!("container:{}", self.holder)
    }

    /// Name of a volume of the task's.
    pub(super) fn volume(&self, name: &str) -> String {
        format!("local-fargate-{}-{}-{name}", self.instance, self.task_id)
    }

    /// Removes it with everything of the task's.
    pub(crate) async fn close(&self) {
        sweep::task(&self.docker, &self.instance, &self.task_id).await;
    }
}

/// Parameters of the network belong to whoever holds it.
fn sysctls(definition: &Request) -> HashMap<String, String> {
    let (name, value) = UNPRIVILEGED_PORTS;
    let mut sysctls = HashMap::from([(name.to_owned(), value.to_owned())]);
    let controls = definition.container_definitions.iter().flat_map(|container| &container.system_controls);
    let of_network = controls.filter(|control| control.namespace.starts_with("net."));
    sysctls.extend(of_network.map(|control| (control.namespace.clone(), control.value.clone())));
    sysctls
}

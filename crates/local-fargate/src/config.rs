//! What a stand-in can be told when it starts.

use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr};

use crate::fault::Fault;
use crate::launcher::DockerError;
use crate::secrets::Secrets;
use crate::ssm::{Agents, Instance};

/// How to start.
#[derive(Clone)]
#[non_exhaustive]
pub struct Config {
    /// Loopback address; port 0 is any free one.
    pub listen: SocketAddr,
    /// What stands for container images.
    pub images: Vec<ProcessImage>,
    /// Images without a program, by name. A task that has no other is RUNNING as soon as it is launched, without a process, and
    /// STOPPED as soon as somebody stops it; its address is only a number. Thousands of them cost nothing.
    pub idle_images: Vec<String>,
    /// RegisterTaskDefinition requests as JSON, registered before the first call.
    pub task_definitions: Vec<String>,
    /// CreateService requests as JSON, made before the first call.
    pub services: Vec<String>,
    /// What runs the containers.
    pub launcher: Launcher,
    /// What `secrets` of task definitions refer to.
    pub secrets: Secrets,
    /// How long starting and stopping take.
    pub latency: Latency,
    /// Seed of everything that is drawn: addresses, ids, delays. The n-th task of a seed is always the same.
    pub seed: u64,
    /// Faults from the first call on.
    pub faults: Vec<Fault>,
    /// What the agents behind sessions are like.
    pub agents: Agents,
    /// Instances that sessions can be started on.
    pub instances: Vec<Instance>,
    /// Keys that KMS has: key ids, aliases or ARNs.
    pub keys: Vec<String>,
    /// The key that shells and commands of sessions are encrypted under, one of [`Config::keys`].
    pub session_key: Option<String>,
    /// The region it plays.
    pub region: String,
}

impl std::fmt::Debug for Config {
    /// Without what may be secret: task definitions, services and the images' variables.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("Config");
        shown.field("listen", &self.listen).field("launcher", &self.launcher).field("secrets", &self.secrets);
        shown.field("latency", &self.latency).field("seed", &self.seed).field("region", &self.region);
        shown.finish_non_exhaustive()
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            images: Vec::new(),
            idle_images: Vec::new(),
            task_definitions: Vec::new(),
            services: Vec::new(),
            launcher: Launcher::Process,
            secrets: Secrets::default(),
            latency: Latency::Instant,
            seed: rand::random(),
            faults: Vec::new(),
            agents: Agents::default(),
            instances: Vec::new(),
            keys: Vec::new(),
            session_key: None,
            region: "us-east-1".to_owned(),
        }
    }
}

/// What runs containers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Launcher {
    /// Processes of this machine, from [`Config::images`].
    #[default]
    Process,
    /// Containers of the Docker daemon that this process finds, from the images that it has.
    Docker,
}

/// A program that stands for a container image.
#[derive(Clone)]
pub struct ProcessImage {
    /// The image reference in task definitions.
    pub name: String,
    /// The image's ENTRYPOINT: program and arguments.
    pub entry_point: Vec<OsString>,
    /// The image's ENV.
    pub env: Vec<(String, String)>,
}

/// How long the states of a task last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latency {
    /// As short as the real processes allow.
    #[default]
    Instant,
    /// As measured on Fargate with a small image: some 20 to 29 s to RUNNING, 33 s from the end of the process to STOPPED.
    Fargate,
    /// Fargate's proportions, faster or slower.
    Scaled {
        /// Per cent of Fargate's times.
        percent: u32,
    },
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Everybody on the network could start processes.
    #[error("{0} is not a loopback address")]
    NotLoopback(SocketAddr),
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {source}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no place for the tasks' home directories.
    #[error("cannot make a scratch directory: {0}")]
    Scratch(std::io::Error),
    /// There is no Docker daemon, or one that will not do.
    #[error("Docker is not to be had: {0}")]
    Docker(DockerError),
    /// ECS would refuse it too.
    #[error("the task definition or service is refused: {0}")]
    TaskDefinition(String),
}

impl std::fmt::Debug for ProcessImage {
    /// The name only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessImage").field("name", &self.name).finish_non_exhaustive()
    }
}

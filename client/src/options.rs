//! What the user asked for. Anything may be absent here: flags over `FARGATE_LOGIN_*` over the project file over the user
//! file; the plan fills in the rest.

pub mod carry;
pub mod errand;
pub mod exec;
pub mod file;
pub mod listing;
pub mod openssh;
pub mod tunnel;
pub mod via;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use crate::aws::config::Source;
use crate::aws::run_task::CapacityProvider;
use crate::forward::Forwards;
pub use carry::{Carried, GetWhen};
pub use errand::{Errand, RemoteCommand};
pub use exec::ExecOptions;
pub use listing::{ListingOptions, Subject, TaskFilter};
pub use openssh::{Host, ProxyOptions, SshConfigOptions};
pub use tunnel::{Through, TunnelOptions, TunnelPurpose};
pub use via::Via;

/// What one start of the program is to do.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Invocation {
    /// Run a task, log in, leave nothing behind.
    Login(Box<Options>),
    /// Serve the local stand-in for AWS until a signal.
    Local(LocalOptions),
    /// Clear away what earlier runs have left.
    Gc(GcOptions),
    /// Show or stop what runs.
    Fleet(FleetOptions),
    /// Tell of services and tasks, whoever has made them.
    Listing(ListingOptions),
    /// Run a command in a task that runs already.
    Exec(ExecOptions),
    /// Forward through a target that runs already.
    Tunnel(Box<TunnelOptions>),
    /// Connect OpenSSH to a host's run, or own that run.
    Proxy(Box<ProxyOptions>),
    /// Tell OpenSSH of a host.
    SshConfig(Box<SshConfigOptions>),
}

/// Everything that a login can be told.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    /// Family, `family:revision` or ARN of the task definition.
    pub task_definition: Option<String>,
    /// Task definition to derive this run's from.
    pub from: Option<String>,
    /// Service to be like: name or ARN.
    pub like_service: Option<String>,
    /// When to derive.
    pub derive: Derive,
    /// Image that carries the init into a derived task.
    pub init_image: Option<String>,
    /// In a derived task, start the image's own entry point, with the init as its arguments.
    pub keep_entrypoint: bool,
    /// In a derived task, keep the other containers.
    pub with_sidecars: bool,
    /// In a derived task, mount a writable `/tmp`.
    pub add_tmp: bool,
    /// Security-group ids of the task's network interface; empty is the VPC's default group.
    pub security_groups: Vec<String>,
    /// Whether our own public address is let in for the run.
    pub allow_my_ip: bool,
    /// Ranges that are let in for the run.
    pub allow_cidrs: Vec<IpNet>,
    /// Service that tells our public address.
    pub my_ip_url: Option<String>,
    /// Subnet ids that the task may be placed in.
    pub subnets: Vec<String>,
    /// Whether the task gets a public IPv4 address.
    pub public: Option<bool>,
    /// How connections reach the task.
    pub via: Option<Via>,
    /// Sessions of Systems Manager that one connection may have.
    pub ssm_sessions: Option<u8>,
    /// Cluster name or ARN.
    pub cluster: Option<String>,
    /// Name of the container that runs the SSH server.
    pub container: Option<String>,
    /// SSH user name.
    pub user: Option<String>,
    /// TCP port of the SSH server.
    pub port: Option<u16>,
    /// Whether to ask for a terminal at the remote.
    pub tty: Tty,
    /// No talk of our own but errors.
    pub quiet: bool,
    /// How much to say: 0 is the default.
    pub verbose: u8,
    /// What the connection is for.
    pub errand: Errand,
    /// Files that go along.
    pub carried: Carried,
    /// What is forwarded.
    pub forwards: Forwards,
    /// Character that starts an escape at the beginning of a line; `None` is `~`.
    pub escape: Option<EscapeChar>,
    /// Time without a byte from the server after which it is asked whether it lives; zero turns it off.
    pub server_alive_interval: Option<Duration>,
    /// How many such questions may stay without an answer.
    pub server_alive_count_max: Option<u32>,
    /// Time for one TCP connection to be made in.
    pub connect_timeout: Option<Duration>,
    /// Variables that the session asks the server to set, in order.
    pub set_env: Vec<(String, String)>,
    /// How the host key is verified.
    pub host_key: Option<HostKeyMode>,
    /// What is said about AWS.
    pub source: Source,
    /// Use the embedded stand-in for AWS instead of AWS, with tasks run by this.
    pub local: Option<Launcher>,
    /// Show the plan, change nothing.
    pub dry_run: bool,
    /// Send no tags (callers without `ecs:TagResource`).
    pub no_tags: bool,
    /// Ask for Fargate Spot, or explicitly not.
    pub spot: Option<bool>,
    /// Capacity providers of the service to be like; no flag says these.
    pub capacity_providers: Vec<CapacityProvider>,
    /// Task CPU in CPU units (1024 is one vCPU).
    pub cpu: Option<u32>,
    /// Task memory in MiB.
    pub memory: Option<u32>,
    /// Ephemeral storage in GiB.
    pub ephemeral_storage: Option<u32>,
    /// Fargate platform version.
    pub platform_version: Option<String>,
    /// Environment variables for the container, in order.
    pub env: Vec<(String, String)>,
    /// Task role for this run.
    pub task_role_arn: Option<String>,
    /// Time until the first login, enforced by the init.
    pub login_timeout: Option<Duration>,
    /// Time without a byte in any session, enforced by the init.
    pub idle_timeout: Option<Duration>,
    /// Longest life of the container, enforced by the init.
    pub max_lifetime: Option<Duration>,
    /// How long a session with a terminal is kept, by both ends, when its connection is lost; zero not at all.
    pub reconnect_grace: Option<Duration>,
    /// How long to wait for the task to answer SSH.
    pub start_timeout: Option<Duration>,
    /// Print the phase timeline at the end.
    pub timings: Option<TimingsFormat>,
    /// File that the session is recorded in.
    pub record: Option<PathBuf>,
}

/// When a task definition is derived from the one that is named with `--from` or found with `--like-service`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Derive {
    /// When the container does not start the init, as far as that can be known without its image.
    #[default]
    Auto,
    /// In any case.
    Always,
    /// In no case: the image brings the init.
    Never,
}

/// Whether to ask for a terminal at the remote, as `ssh` has it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tty {
    /// For a shell when our own standard input is a terminal.
    #[default]
    Auto,
    /// `-t`: also for a command, when our own standard input is a terminal.
    Request,
    /// `-tt`: always.
    Force,
    /// `-T`: never.
    Never,
}

/// The escape character of an interactive session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EscapeChar {
    /// This byte, at the beginning of a line.
    Byte(u8),
    /// No escapes: the session is transparent.
    None,
}

/// How the host key is verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostKeyMode {
    /// The client made the one-time host key and expects exactly it.
    Pinned,
    /// The container makes the key and announces it in its log, which the client reads.
    Logs,
    /// Whatever key is shown is taken: for images with an `sshd` of their own.
    AcceptNew,
}

/// How the phase timeline is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimingsFormat {
    /// For people.
    Text,
    /// For machines, one JSON object on one line.
    Json,
}

/// What runs the containers of a stand-in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Launcher {
    /// Processes of this machine, for the images that are ours.
    #[default]
    Process,
    /// Docker, for the images that its daemon has.
    Docker,
}

/// What the standalone stand-in can be told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LocalOptions {
    /// Loopback address to listen on.
    pub listen: SocketAddr,
    /// What runs the containers.
    pub launcher: Launcher,
    /// Files with a RegisterTaskDefinition request each, in JSON.
    pub task_definition_files: Vec<PathBuf>,
    /// Files with a CreateService request each, in JSON.
    pub service_files: Vec<PathBuf>,
    /// File with the values that `secrets` refer to: one JSON object.
    pub secrets_file: Option<PathBuf>,
    /// Name of the latency profile.
    pub latency: Latency,
    /// Seed of everything that the stand-in draws; `None` is drawn itself and printed.
    pub seed: Option<u64>,
}

/// What clearing away can be told.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct GcOptions {
    /// Where to look for tasks.
    pub clusters: Clusters,
    /// Show what would be done, and do none of it.
    pub dry_run: bool,
    /// How old a rule without a task has to be.
    pub older_than: Option<Duration>,
    /// What is said about AWS.
    pub source: Source,
    /// No talk of our own but errors.
    pub quiet: bool,
    /// How much to say: 0 is the default.
    pub verbose: u8,
}

/// Clusters that are looked through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Clusters {
    /// The one called `default`, because none was named.
    #[default]
    Default,
    /// Name or ARN.
    Named(String),
    /// All of the region.
    All,
}

/// What `ps` and `stop` can be told.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct FleetOptions {
    /// What to do.
    pub action: FleetAction,
    /// Where to look for tasks.
    pub clusters: Clusters,
    /// What is said about AWS.
    pub source: Source,
    /// No talk of our own but errors.
    pub quiet: bool,
    /// How much to say: 0 is the default.
    pub verbose: u8,
}

/// What to do with the tasks of this tool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetAction {
    /// Show them.
    Ps {
        /// As JSON instead of a table.
        json: bool,
    },
    /// Stop some.
    Stop(StopWish),
}

/// Which tasks to stop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopWish {
    /// These: ids, beginnings of ids, or ARNs.
    Tasks(Vec<String>),
    /// All that bear the caller's tag.
    Own,
    /// All.
    Everybodys,
}

/// How long the stand-in's tasks take to start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Latency {
    /// No delay beyond the processes' own.
    #[default]
    Instant,
    /// Delays as measured on Fargate.
    Fargate,
}

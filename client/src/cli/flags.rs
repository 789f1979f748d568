//! Every flag, as clap reads it. Nothing of this leaves `cli`: what leaves is an [`crate::options::Invocation`].

mod exec;
mod files;
mod fleet;
mod forwards;
mod listing;
mod openssh;
mod via;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use ipnet::IpNet;

use super::ssh_option::{self, SshOption};
use super::values::{self, Local, Variable};
use super::{fargate_size, help, ingress_values};
use crate::options::{Derive, EscapeChar, HostKeyMode, Latency, Launcher, TimingsFormat};
pub(super) use exec::ExecFlags;
pub(super) use files::{CopyFlags, FileFlags};
pub(super) use fleet::{GcFlags, PsFlags, Reach, StopFlags};
pub(super) use forwards::{ForwardFlags, TunnelFlags};
pub(super) use listing::{DescribeFlags, ServicesFlags, TasksFlags};
pub(super) use openssh::{ProxyFlags, SshConfigFlags};
pub(super) use via::ViaFlags;

/// A shell, one command or a tunnel on a Fargate task that did not exist a minute ago
#[derive(Debug, Parser)]
#[command(name = "fargate-login", version, args_override_self = true, propagate_version = true)]
#[command(next_help_heading = help::OTHER)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(super) login: Flags,
    #[command(subcommand)]
    pub(super) subcommand: Option<Sub>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Sub {
    /// Run a task and log in to it (what happens without a subcommand)
    Login(Box<Flags>),
    /// Hold tunnels until a signal, through a task that is run, or one that runs already: forwards are those of -L
    Forward(Box<TunnelFlags>),
    /// Run a task and copy files into it or out of it
    Cp(Box<CopyFlags>),
    /// Serve a local stand-in for AWS until a signal
    Local(LocalFlags),
    /// Show the tasks that earlier logins have started and that still run
    Ps(PsFlags),
    /// Show the services of a cluster: what they run, how they stand, whether ECS Exec is enabled
    Services(ServicesFlags),
    /// Show the tasks of a cluster, whoever has started them: state, ECS Exec, addresses, containers
    Tasks(TasksFlags),
    /// Tell everything about one task that one needs to choose a container of it
    Describe(DescribeFlags),
    /// Run a command, or a shell, in a task that runs already (ECS Exec)
    Exec(Box<ExecFlags>),
    /// Stop tasks that logins have started
    Stop(StopFlags),
    /// Take away what earlier runs left: tasks past their life, rules that let them in, task definitions
    Gc(GcFlags),
    /// Tell OpenSSH of a task: a Host block with which ssh, scp, rsync, git and editors start it on demand
    SshConfig(Box<SshConfigFlags>),
    /// Connect OpenSSH to its task: what that block runs
    Proxy(Box<ProxyFlags>),
}

/// The flags of a login, as one source gives them.
#[derive(Clone, Debug, Default, Args)]
#[command(args_override_self = true)]
pub(super) struct Flags {
    /// Family, family:revision or ARN of the task definition
    #[arg(short = 'n', long, alias = "n", value_name = "NAME", value_parser = values::name, help_heading = help::TASK)]
    pub(super) task_definition: Option<String>,
    /// Subnets that the task may be placed in
    #[arg(long, alias = "sn", value_name = "ID,...", value_delimiter = ',',
        value_parser = values::subnet, help_heading = help::TASK)]
    pub(super) subnets: Vec<String>,
    /// Security groups of the task [default: the default group of the VPC]
    #[arg(long, alias = "sg", value_name = "ID,...", value_delimiter = ',',
        value_parser = values::security_group, help_heading = help::TASK)]
    pub(super) security_groups: Vec<String>,
    /// Let our own public address in for the run: a rule in the first security group, for the port of the SSH server
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = values::switch, help_heading = help::TASK)]
    pub(super) allow_my_ip: Option<bool>,
    /// Let a range in for the run, in the same way; repeatable
    #[arg(long, value_name = "CIDR,...", value_delimiter = ',',
        value_parser = ingress_values::cidr, help_heading = help::TASK)]
    pub(super) allow_cidr: Vec<IpNet>,
    /// Service that tells our public address [default: https://checkip.amazonaws.com]
    #[arg(long, value_name = "URL", value_parser = ingress_values::my_ip_url, help_heading = help::TASK)]
    pub(super) my_ip_url: Option<String>,
    /// Whether the task gets a public IPv4 address [default: true]; --no-public is --public=false
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "BOOL",
        value_parser = values::switch, overrides_with = "no_public", help_heading = help::TASK)]
    pub(super) public: Option<bool>,
    #[arg(long, hide = true, overrides_with = "public")]
    pub(super) no_public: bool,
    /// Cluster [default: default]
    #[arg(long, value_name = "NAME", value_parser = values::name, help_heading = help::TASK)]
    pub(super) cluster: Option<String>,
    /// Container that runs the SSH server [default: cli]
    #[arg(long, alias = "cli-container-name", value_name = "NAME",
        value_parser = values::name, help_heading = help::TASK)]
    pub(super) container: Option<String>,
    /// Variable for the container; a NAME alone takes over the value that it has here; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = values::variable, help_heading = help::TASK)]
    pub(super) env: Vec<Variable>,
    /// CPU units, or vCPUs as in 0.25 [default: as in the task definition]
    #[arg(long, value_name = "UNITS", value_parser = fargate_size::cpu, help_heading = help::TASK)]
    pub(super) cpu: Option<u32>,
    /// Memory in MiB, or in GB as in 0.5g [default: as in the task definition]
    #[arg(long, value_name = "MIB", value_parser = fargate_size::memory, help_heading = help::TASK)]
    pub(super) memory: Option<u32>,
    /// Ephemeral storage, 21 to 200 GiB
    #[arg(long, value_name = "GIB", value_parser = values::ephemeral_storage, help_heading = help::TASK)]
    pub(super) ephemeral_storage: Option<u32>,
    /// Fargate platform version [default: LATEST]
    #[arg(long, value_name = "VERSION", value_parser = values::platform_version, help_heading = help::TASK)]
    pub(super) platform_version: Option<String>,
    /// Task role for this run
    #[arg(long, value_name = "ARN", value_parser = values::role_arn, help_heading = help::TASK)]
    pub(super) task_role_arn: Option<String>,
    /// Run on Fargate Spot: cheaper, and may end with two minutes' notice
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = values::switch, help_heading = help::TASK)]
    pub(super) spot: Option<bool>,
    /// Send no tags, for callers without ecs:TagResource
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = values::switch, help_heading = help::TASK)]
    pub(super) no_tags: Option<bool>,

    /// Service whose network, platform, capacity and task definition to use: what is not said otherwise
    #[arg(long, value_name = "NAME", value_parser = values::name, help_heading = help::ANY_IMAGE)]
    pub(super) like_service: Option<String>,
    /// Task definition to derive one from, in which a container starts our init: family, family:revision or ARN
    #[arg(long, value_name = "NAME", value_parser = values::name, help_heading = help::ANY_IMAGE)]
    pub(super) from: Option<String>,
    /// Keep the other containers [default: only those without which the container would not start]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = values::switch, help_heading = help::ANY_IMAGE)]
    pub(super) with_sidecars: Option<bool>,
    /// Start the image's own entry point as a wrapper, with our init as its arguments
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = values::switch, help_heading = help::ANY_IMAGE)]
    pub(super) keep_entrypoint: Option<bool>,
    /// Mount a writable /tmp of 64 MiB in memory, for a container with a read-only root filesystem
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = values::switch, help_heading = help::ANY_IMAGE)]
    pub(super) add_tmp: Option<bool>,
    /// When to derive: auto (when the container does not start our init), always or never [default: auto]
    #[arg(long, value_name = "WHEN", value_parser = values::derive, help_heading = help::ANY_IMAGE)]
    pub(super) derive: Option<Derive>,
    /// Image that carries our init into the task [default: with --local, the image of test-cli.json]
    #[arg(long, value_name = "IMAGE", value_parser = values::name, help_heading = help::ANY_IMAGE)]
    pub(super) init_image: Option<String>,

    /// SSH user [default: root]
    #[arg(short = 'l', long, value_name = "NAME", value_parser = values::name, help_heading = help::SESSION)]
    pub(super) user: Option<String>,
    /// Port of the SSH server [default: 22]
    #[arg(short = 'p', long, value_name = "PORT", value_parser = values::port, help_heading = help::SESSION)]
    pub(super) port: Option<u16>,
    /// Ask for a terminal also for a command; -tt even if standard input is none
    #[arg(short = 't', action = clap::ArgAction::Count, overrides_with = "no_tty", help_heading = help::SESSION)]
    pub(super) tty: u8,
    /// Ask for no terminal
    #[arg(short = 'T', overrides_with = "tty", help_heading = help::SESSION)]
    pub(super) no_tty: bool,
    /// Escape character, ^ and a letter, or none [default: ~]
    #[arg(short = 'e', long, value_name = "CHAR", value_parser = values::escape, help_heading = help::SESSION)]
    pub(super) escape_char: Option<EscapeChar>,
    /// As for ssh: ServerAliveInterval, ServerAliveCountMax, ConnectTimeout, User, Port, RequestTTY, EscapeChar,
    /// SetEnv, LogLevel, StrictHostKeyChecking, LocalForward, RemoteForward, DynamicForward, ForwardAgent, GatewayPorts or
    /// ExitOnForwardFailure; repeatable
    #[arg(short = 'o', long, value_name = "KEY=VALUE", value_parser = ssh_option::parse, help_heading = help::SESSION)]
    pub(super) ssh_option: Vec<SshOption>,
    /// How the host key is verified: pinned (made for this run), logs (read in the container's log, CloudWatch) or
    /// accept-new (whatever an sshd of your own shows) [default: pinned]
    #[arg(long, value_name = "MODE", value_parser = values::host_key, help_heading = help::SESSION)]
    pub(super) host_key: Option<HostKeyMode>,
    #[command(flatten)]
    pub(super) via: ViaFlags,
    /// Record what a session with a terminal shows, not what is typed, in a new file (asciicast v2)
    #[arg(long, value_name = "FILE", value_parser = values::record, help_heading = help::SESSION)]
    pub(super) record: Option<PathBuf>,
    /// A line for the remote shell, instead of a command after --
    #[arg(long, value_name = "LINE", allow_hyphen_values = true, help_heading = help::SESSION)]
    pub(super) shell_command: Option<String>,
    #[command(flatten)]
    pub(super) forwards: ForwardFlags,
    #[command(flatten)]
    pub(super) files: FileFlags,
    /// Program and arguments, which arrive exactly as given
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,

    /// How long to wait for the task to answer [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = help::LIMITS)]
    pub(super) start_timeout: Option<Duration>,
    /// How long the container waits for the first login [default: 5m]
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = help::LIMITS)]
    pub(super) login_timeout: Option<Duration>,
    /// How long the session may be without a byte [default: off]
    #[arg(long, value_name = "TIME", value_parser = values::duration_or_off, help_heading = help::LIMITS)]
    pub(super) idle_timeout: Option<Duration>,
    /// How long the container lives at most [default: 12h]
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = help::LIMITS)]
    pub(super) max_lifetime: Option<Duration>,
    /// How long a session with a terminal, or forwards alone, wait for a lost connection to come back; 0 or off ends them at once
    /// [default: 60s]
    #[arg(long, value_name = "TIME", value_parser = values::duration_or_off, help_heading = help::LIMITS)]
    pub(super) reconnect_grace: Option<Duration>,

    /// AWS profile [default: as for the AWS CLI]
    #[arg(long, value_name = "NAME", value_parser = values::name, help_heading = help::AWS)]
    pub(super) profile: Option<String>,
    /// AWS region [default: as for the AWS CLI]
    #[arg(long, value_name = "NAME", value_parser = values::name, help_heading = help::AWS)]
    pub(super) region: Option<String>,
    /// Endpoint for every AWS service
    #[arg(long, value_name = "URL", value_parser = values::endpoint_url, help_heading = help::AWS)]
    pub(super) endpoint_url: Option<String>,
    /// Use a stand-in for AWS inside this process: no account, no cost. Its tasks are processes, or with --local=docker
    /// containers
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "LAUNCHER",
        value_parser = values::local, help_heading = help::AWS)]
    pub(super) local: Option<Local>,
    /// Show what would be done, and change nothing
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = values::switch, help_heading = help::AWS)]
    pub(super) dry_run: Option<bool>,

    /// Say nothing but errors
    #[arg(short = 'q', long, num_args = 0..=1, require_equals = true, default_missing_value = "true",
        value_parser = values::switch, overrides_with = "verbose", help_heading = help::OTHER)]
    pub(super) quiet: Option<bool>,
    /// Say more; -vv and -vvv still more
    #[arg(short = 'v', long, action = clap::ArgAction::Count, overrides_with = "quiet", help_heading = help::OTHER)]
    pub(super) verbose: u8,
    /// Print how long each phase took: text or json
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "text", value_name = "FORMAT",
        value_parser = values::timings, help_heading = help::OTHER)]
    pub(super) timings: Option<TimingsFormat>,
}

/// The flags of `local`.
#[derive(Clone, Debug, Default, Args)]
#[command(args_override_self = true)]
pub(super) struct LocalFlags {
    /// Loopback address to listen on [default: 127.0.0.1:4566]
    #[arg(long, value_name = "ADDRESS", value_parser = values::loopback, help_heading = help::LOCAL)]
    pub(super) listen: Option<SocketAddr>,
    /// What runs containers: process, for images of ours, or docker [default: process]
    #[arg(long, value_name = "NAME", value_parser = values::launcher, help_heading = help::LOCAL)]
    pub(super) launcher: Option<Launcher>,
    /// File with a RegisterTaskDefinition request to begin with; repeatable
    #[arg(long, value_name = "FILE", help_heading = help::LOCAL)]
    pub(super) task_definition_file: Vec<PathBuf>,
    /// File with a CreateService request to begin with; repeatable
    #[arg(long, value_name = "FILE", help_heading = help::LOCAL)]
    pub(super) service_file: Vec<PathBuf>,
    /// File with what `secrets` refer to: a JSON object of values by ARN or name
    #[arg(long, value_name = "FILE", help_heading = help::LOCAL)]
    pub(super) secrets_file: Option<PathBuf>,
    /// How long tasks take to start: instant, or fargate for what was measured there [default: instant]
    #[arg(long, value_name = "PROFILE", value_parser = values::latency, help_heading = help::LOCAL)]
    pub(super) latency: Option<Latency>,
    /// Seed of everything that is drawn [default: drawn, and printed]
    #[arg(long, value_name = "NUMBER", value_parser = values::seed, help_heading = help::LOCAL)]
    pub(super) seed: Option<u64>,
}

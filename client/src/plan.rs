//! The plan: options with nothing left open. Making one changes nothing anywhere; showing one is `--dry-run`.

mod grant;
pub mod host_key;
pub mod ingress;
pub(crate) mod overrides;
pub mod show;
mod tags;
pub mod via;

use std::time::Duration;

use fargate_contract::{HostSeed, limits};

use self::grant::grant;
use self::host_key::ExpectedKey;
use self::ingress::{Ingress, IngressError};
use self::overrides::{capacity_providers, overrides};
pub(crate) use self::tags::tag_value;
use self::tags::tags;
use self::via::{Choice, Obstacle};
use crate::announcement::{NoLog, Place};
use crate::aws::run_task::{AwsVpcConfiguration, NetworkConfiguration, RunTaskRequest};
use crate::error::Advice;
use crate::forward::Forwards;
use crate::options::{Carried, Errand, EscapeChar, HostKeyMode, Options, TimingsFormat, Tty};
use crate::price::Size;
use crate::ssh::identity::OneTimeKey;

/// `startedBy` of every task of ours, as the ancestor's.
pub const STARTED_BY: &str = "ecs-fargate-login";
/// SSH user when none is named: the ancestor's, and in our image the container's own user.
pub(crate) const DEFAULT_USER: &str = "root";
/// Container when none is named: the ancestor's.
pub(crate) const DEFAULT_CONTAINER: &str = "cli";
/// Our own image answers some 20 to 60 s after RunTask; a large one may take minutes.
pub(crate) const START_TIMEOUT: Duration = Duration::from_secs(5 * 60);
/// As OpenSSH users set it who care: a dead peer is noticed in 45 s.
const SERVER_ALIVE_INTERVAL: Duration = Duration::from_secs(15);
const SERVER_ALIVE_COUNT_MAX: u32 = 3;
/// One SYN and its first retransmission; the dial is repeated anyway.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// Most subnets and security groups of a task (ECS API reference, AwsVpcConfiguration).
const SUBNETS_MAX: usize = 16;
const SECURITY_GROUPS_MAX: usize = 5;

/// Everything one run needs to know.
#[derive(Debug)]
pub struct Plan {
    /// Name of this run, also its `clientToken`.
    pub run: String,
    /// The request that will be sent.
    pub request: RunTaskRequest,
    /// Who is let in for the run.
    pub ingress: Option<Ingress>,
    /// Container that serves SSH.
    pub container: String,
    /// Whether a public address is asked for.
    pub public: bool,
    /// How connections reach the task.
    pub via: Choice,
    /// Sessions that one connection may have, where they go through Systems Manager.
    pub ssm_sessions: u8,
    /// SSH port.
    pub port: u16,
    /// SSH user.
    pub user: String,
    /// The one-time key.
    pub identity: OneTimeKey,
    /// How the host key is verified.
    pub host_key: ExpectedKey,
    /// What the connection is for.
    pub errand: Errand,
    /// Files that go along.
    pub carried: Carried,
    /// What is forwarded.
    pub forwards: Forwards,
    /// Whether to ask for a terminal.
    pub tty: Tty,
    /// Escape character.
    pub escape: Option<EscapeChar>,
    /// Variables for the session.
    pub set_env: Vec<(String, String)>,
    /// Keepalive.
    pub server_alive_interval: Duration,
    /// Keepalives that may stay without answer.
    pub server_alive_count_max: u32,
    /// Time for one TCP connection.
    pub connect_timeout: Duration,
    /// Time until the task must answer SSH.
    pub start_timeout: Duration,
    /// Longest life of the container, enforced by the init.
    pub max_lifetime: Duration,
    /// How long a session with a terminal is kept, by both ends, when its connection is lost; zero not at all.
    pub reconnect_grace: Duration,
    /// No talk of our own but errors.
    pub quiet: bool,
    /// Phase timeline.
    pub timings: Option<TimingsFormat>,
}

/// Why there is no plan. All of these are wrong usage.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// `-n` is missing.
    #[error("no task definition is named")]
    NoTaskDefinition,
    /// `-sn` is missing.
    #[error("no subnet is named")]
    NoSubnets,
    /// A list is longer than the API takes.
    #[error("{given} {what} are given, but a task takes at most {most}")]
    TooMany {
        /// Subnets or security groups.
        what: &'static str,
        /// How many were given.
        given: usize,
        /// How many the API takes.
        most: usize,
    },
    /// The overrides would be refused.
    #[error("the overrides take {bytes} bytes, but only {} fit", limits::OVERRIDES_BUDGET_BYTES)]
    OverridesTooLong {
        /// Size as JSON.
        bytes: usize,
        /// The longest variable of the user's.
        longest: Option<String>,
    },
    /// Nobody can be let in.
    #[error(transparent)]
    Ingress(#[from] IngressError),
    /// Systems Manager cannot be the way.
    #[error(transparent)]
    Via(#[from] Obstacle),
    /// There is no log to read the host key in.
    #[error(transparent)]
    NoLog(#[from] NoLog),
    /// The grant cannot be written.
    #[error(transparent)]
    Grant(#[from] fargate_contract::GrantError),
}

impl Advice for PlanError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NoTaskDefinition => {
                "name it with `-n FAMILY[:REVISION]`, or a service with `--like-service`; or try `--local -n test-cli`"
                    .to_owned()
            },
            Self::NoSubnets => {
                "name one or more with `-sn subnet-...` or FARGATE_LOGIN_SUBNETS, or a service to be like with `--like-service`"
                    .to_owned()
            },
            Self::TooMany { .. } => "leave some out".to_owned(),
            Self::Ingress(error) => return error.hints(),
            Self::Via(obstacle) => return obstacle.hints(),
            Self::NoLog(error) => return error.hints(),
            Self::OverridesTooLong { longest: Some(name), .. } => {
                format!("shorten `--env {name}` (the longest), or put it into the task definition")
            }
            Self::OverridesTooLong { longest: None, .. } | Self::Grant(_) => return Vec::new(),
        };
        vec![hint]
    }
}

/// What is drawn or looked up before a plan is made.
#[derive(Debug)]
pub struct Given {
    /// A UUID, as text.
    pub run: String,
    /// 32 random bytes for the pinned host key.
    pub host_seed: HostSeed,
    /// The one-time key.
    pub identity: OneTimeKey,
    /// ARN of the caller, where known.
    pub caller: Option<String>,
    /// Our public address, where it is to be let in.
    pub my_ip: Option<std::net::IpAddr>,
    /// The time.
    pub now: jiff::Timestamp,
    /// Time from SIGTERM to SIGKILL, where SIGTERM is Spot's notice.
    pub stop_notice: Option<Duration>,
    /// How connections reach the task.
    pub via: Choice,
    /// Where the container's output goes; asked for only where the host key is to be read there.
    pub log: Option<Place>,
}

impl Plan {
    /// Fills in what the options leave open.
    ///
    /// # Errors
    /// [`PlanError`].
    pub fn new(options: Options, given: Given) -> Result<Self, PlanError> {
        let task_definition = check(&options)?;
        let mode = options.host_key.unwrap_or(HostKeyMode::Pinned);
        let grant = grant(&options, &given, mode);
        let container = options.container.clone().unwrap_or_else(|| DEFAULT_CONTAINER.to_owned());
        let overrides = overrides(&options, &grant, &container)?;
        // Nobody would come to it.
        let public = options.public.unwrap_or(!given.via.is_ssm());
        let start_timeout = options.start_timeout.unwrap_or(START_TIMEOUT);
        let capacity_providers = capacity_providers(&options);
        let request = RunTaskRequest {
            cluster: options.cluster.clone().unwrap_or_else(|| "default".to_owned()),
            task_definition,
            count: 1,
            launch_type: capacity_providers.is_empty().then(|| "FARGATE".to_owned()),
            capacity_provider_strategy: capacity_providers,
            platform_version: options.platform_version.clone().unwrap_or_else(|| "LATEST".to_owned()),
            network_configuration: NetworkConfiguration {
                awsvpc_configuration: AwsVpcConfiguration {
                    subnets: options.subnets.clone(),
                    security_groups: options.security_groups.clone(),
                    assign_public_ip: if public { "ENABLED" } else { "DISABLED" }.to_owned(),
                },
            },
            overrides,
            started_by: STARTED_BY.to_owned(),
            client_token: given.run.clone(),
            enable_execute_command: given.via.is_ssm(),
            tags: if options.no_tags { Vec::new() } else { tags(&given) },
        };
        let life = start_timeout.saturating_add(grant.max_lifetime);
        Ok(Self {
            ingress: Ingress::new(&options, &given, &request.cluster, grant.port, life),
            host_key: ExpectedKey::new(mode, &given)?,
            request,
            container,
            public,
            via: given.via,
            ssm_sessions: grant.links,
            port: grant.port,
            user: options.user.unwrap_or_else(|| DEFAULT_USER.to_owned()),
            run: given.run,
            identity: given.identity,
            errand: options.errand,
            carried: options.carried,
            forwards: options.forwards,
            tty: options.tty,
            escape: options.escape,
            set_env: options.set_env,
            server_alive_interval: options.server_alive_interval.unwrap_or(SERVER_ALIVE_INTERVAL),
            server_alive_count_max: options.server_alive_count_max.unwrap_or(SERVER_ALIVE_COUNT_MAX),
            connect_timeout: options.connect_timeout.unwrap_or(CONNECT_TIMEOUT),
            start_timeout,
            max_lifetime: grant.max_lifetime,
            reconnect_grace: grant.reconnect_grace,
            quiet: options.quiet,
            timings: options.timings,
        })
    }

    /// What is paid for, given what ECS says of the task's size where the run does not override it.
    #[must_use]
    pub fn size(&self, cpu: Option<&str>, memory: Option<&str>) -> Option<Size> {
        let overrides = &self.request.overrides;
        let storage = overrides.ephemeral_storage.as_ref().and_then(|storage| u32::try_from(storage.size_in_gib).ok());
        Size::read(overrides.cpu.as_deref().or(cpu), overrides.memory.as_deref().or(memory), storage, self.public)
    }
}

/// What can be said without asking anybody: that everything needed is named. Answers the task definition.
///
/// # Errors
/// [`PlanError`].
pub fn check(options: &Options) -> Result<String, PlanError> {
    let task_definition = options.task_definition.clone().ok_or(PlanError::NoTaskDefinition)?;
    check_network(options)?;
    ingress::check(options)?;
    Ok(task_definition)
}

/// The part of [`check`] that is about the network.
///
/// # Errors
/// [`PlanError`].
pub fn check_network(options: &Options) -> Result<(), PlanError> {
    if options.subnets.is_empty() {
        return Err(PlanError::NoSubnets);
    }
    check_count("subnets", options.subnets.len(), SUBNETS_MAX)?;
    check_count("security groups", options.security_groups.len(), SECURITY_GROUPS_MAX)
}

fn check_count(what: &'static str, given: usize, most: usize) -> Result<(), PlanError> {
    if given > most { Err(PlanError::TooMany { what, given, most }) } else { Ok(()) }
}

#[cfg(test)]
mod tests;

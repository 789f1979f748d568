//! A task as the stand-in keeps it: what was asked for, where its life has got to, its network interface, its containers.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::definition::{ContainerDefinition, ContainerOverride, Definition, TaskOverride};
use crate::latency::Phases;
use crate::launcher::{Exit, Log, Place};
use crate::lifecycle::{self, Attachment, Event, State};
use crate::network::{SecurityGroup, Subnet};

/// What can be told of a task from outside the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskSummary {
    /// Its ARN.
    pub arn: String,
    /// `lastStatus`.
    pub last_status: String,
    /// `stopCode`.
    pub stop_code: Option<String>,
    /// `stoppedReason`.
    pub stopped_reason: Option<String>,
    /// Exit code of each container, by name.
    pub exit_codes: Vec<(String, Option<i32>)>,
    /// Process id of each container's first process, while it lives.
    pub pids: Vec<u32>,
    /// The loopback address that stands for its network interface.
    pub address: Option<String>,
}

/// What RunTask was asked for, resolved.
#[derive(Clone)]
pub(crate) struct Launch {
    pub(crate) cluster: String,
    pub(crate) definition: Arc<Definition>,
    /// As it was given, for those who ask.
    pub(crate) overrides: Value,
    /// The same, to act on.
    pub(crate) overridden: TaskOverride,
    pub(crate) tags: Vec<Value>,
    pub(crate) group: String,
    pub(crate) started_by: Option<String>,
    pub(crate) exec: bool,
    pub(crate) platform_version: &'static str,
    /// Capacity provider, when a strategy was given.
    pub(crate) provider: Option<String>,
}

/// A task.
#[derive(Debug)]
pub(crate) struct Task {
    pub(crate) arn: String,
    pub(crate) id: String,
    pub(crate) launch: Launch,
    pub(crate) state: State,
    /// `desiredStatus` is STOPPED.
    pub(crate) is_stopping: bool,
    pub(crate) stop_code: Option<&'static str>,
    pub(crate) stopped_reason: Option<String>,
    pub(crate) version: u32,
    /// DescribeTasks does not know it before.
    pub(crate) visible_at: Instant,
    /// Timestamps by the API's name.
    pub(crate) times: BTreeMap<&'static str, f64>,
    pub(crate) stopped_at: Option<Instant>,
    pub(crate) interface: Interface,
    pub(crate) containers: Vec<Container>,
    pub(crate) phases: Phases,
    /// Tells the task's driver that somebody wants it stopped.
    pub(crate) stop: CancellationToken,
}

/// A task's network interface.
#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub(crate) attachment_id: String,
    pub(crate) id: String,
    pub(crate) status: Attachment,
    /// Whether it ever was there: a task that ends in PROVISIONING has none.
    pub(crate) existed: bool,
    pub(crate) address: IpAddr,
    pub(crate) mac: String,
    pub(crate) wants_public: bool,
    pub(crate) associated: bool,
    pub(crate) subnet: Subnet,
    pub(crate) groups: Vec<SecurityGroup>,
}

/// A container of a task.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) arn: String,
    pub(crate) name: String,
    pub(crate) runtime_id: String,
    pub(crate) last_status: &'static str,
    /// Whether it is, or is about to be, something that has to be stopped.
    pub(crate) is_begun: bool,
    /// How it ended, before anybody is told.
    pub(crate) ended: Option<Exit>,
    pub(crate) exit_code: Option<i32>,
    pub(crate) reason: Option<String>,
    pub(crate) image_digest: Option<String>,
    pub(crate) health: Health,
    pub(crate) pid: Option<u32>,
    pub(crate) log: Log,
    /// Where further programs of it run, while it does.
    pub(crate) place: Option<Place>,
    /// When it came to run, on the clock of waits and on that of timestamps.
    pub(crate) running_since: Option<(Instant, f64)>,
}

/// `healthStatus`; a container without a health check stays UNKNOWN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Health {
    #[default]
    Unknown,
    Healthy,
    Unhealthy,
}

impl Health {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "UNKNOWN",
            Self::Healthy => "HEALTHY",
            Self::Unhealthy => "UNHEALTHY",
        }
    }
}

impl Container {
    pub(crate) fn new(arn: String, name: String, runtime_id: String) -> Self {
        Self {
            arn,
            name,
            runtime_id,
            last_status: "PENDING",
            is_begun: false,
            ended: None,
            exit_code: None,
            reason: None,
            image_digest: None,
            health: Health::Unknown,
            pid: None,
            log: Log::default(),
            place: None,
            running_since: None,
        }
    }

    /// Makes its end public.
    pub(crate) fn report_exit(&mut self) {
        if let Some(exit) = &self.ended {
            self.last_status = "STOPPED";
            self.exit_code = Some(exit.code);
            self.reason.clone_from(&exit.reason);
        }
    }

    /// Whether its process runs or has run.
    pub(crate) fn was_started(&self) -> bool {
        self.last_status != "PENDING"
    }
}

impl Task {
    /// Lets an event happen; one that means nothing in this state changes nothing.
    pub(crate) fn advance(&mut self, event: Event) {
        let Some(step) = lifecycle::after(self.state, event) else { return };
        self.state = step.to;
        self.is_stopping |= step.stops;
        self.version += 1;
        for stamp in step.stamps {
            self.times.entry(stamp).or_insert_with(clock::now);
        }
        if let Some(status) = step.attachment {
            self.interface.existed |= status == Attachment::Attached;
            self.interface.status = status;
        }
        if step.to == State::Stopped {
            self.stopped_at = Some(Instant::now());
            self.containers.iter_mut().for_each(|container| container.last_status = "STOPPED");
        }
    }

    /// Why it stops, unless that is known already.
    pub(crate) fn explain(&mut self, code: &'static str, reason: impl Into<String>) {
        if self.stop_code.is_none() {
            self.stop_code = Some(code);
            self.stopped_reason = Some(reason.into());
        }
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.state == State::Stopped
    }

    pub(crate) const fn desired_status(&self) -> &'static str {
        if self.is_stopping { "STOPPED" } else { "RUNNING" }
    }

    pub(crate) fn time(&self, name: &str) -> Option<f64> {
        self.times.get(name).copied()
    }

    pub(crate) fn container_mut(&mut self, name: &str) -> Option<&mut Container> {
        self.containers.iter_mut().find(|container| container.name == name)
    }

    /// Makes the ends of all containers public.
    pub(crate) fn report_exits(&mut self) {
        self.containers.iter_mut().for_each(Container::report_exit);
    }

    /// Of the essential containers with a health check: unhealthy if one is, healthy if all are.
    pub(crate) fn health(&self) -> &'static str {
        let checked = self.launch.containers().iter().zip(&self.containers);
        let checked = checked.filter(|(definition, _)| definition.essential && definition.health_check.is_some());
        let health: Vec<_> = checked.map(|(_, container)| container.health).collect();
        match health.as_slice() {
            [] => Health::Unknown.as_str(),
            all if all.contains(&Health::Unhealthy) => Health::Unhealthy.as_str(),
            all if all.contains(&Health::Unknown) => Health::Unknown.as_str(),
            _ => Health::Healthy.as_str(),
        }
    }

    /// The role of the task: the override's, else the definition's.
    pub(crate) fn role(&self) -> Option<&str> {
        self.launch.member("taskRoleArn")
    }

    pub(crate) fn summary(&self) -> TaskSummary {
        TaskSummary {
            arn: self.arn.clone(),
            last_status: self.state.as_str().to_owned(),
            stop_code: self.stop_code.map(str::to_owned),
            stopped_reason: self.stopped_reason.clone(),
            exit_codes: self.containers.iter().map(|known| (known.name.clone(), known.exit_code)).collect(),
            pids: self.containers.iter().filter_map(|known| known.pid).collect(),
            address: Some(self.interface.address.to_string()),
        }
    }
}

impl std::fmt::Debug for Launch {
    /// Without the overrides.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?} in {}", self.definition, self.cluster)
    }
}

impl Launch {
    /// A text member of the task: the override's, else the definition's.
    pub(crate) fn member(&self, name: &str) -> Option<&str> {
        self.overrides[name].as_str().or_else(|| self.definition.body[name].as_str())
    }

    /// The definitions of its containers.
    pub(crate) fn containers(&self) -> &[ContainerDefinition] {
        &self.definition.request.container_definitions
    }

    /// What is overridden of a container.
    pub(crate) fn container_override(&self, name: &str) -> Option<&ContainerOverride> {
        self.overridden.container_overrides.iter().find(|known| known.name.as_deref() == Some(name))
    }

    /// Whether its images are for ARM64.
    pub(crate) fn is_arm(&self) -> bool {
        let platform = self.definition.request.runtime_platform.as_ref();
        platform.and_then(|platform| platform.cpu_architecture.as_deref()) == Some("ARM64")
    }
}

impl Interface {
    /// An IPv6-only subnet has one address for all its tasks: loopback has no other.
    pub(crate) const IPV6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    /// `ip-10-0-1-7.ec2.internal`; interfaces without IPv4 have a name of another form, which nobody needs here.
    pub(crate) fn dns_name(&self) -> String {
        format!("ip-{}.ec2.internal", self.address.to_string().replace(['.', ':'], "-"))
    }
}

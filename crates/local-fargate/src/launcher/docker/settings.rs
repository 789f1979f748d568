//! A container definition in Docker's words.

use std::collections::HashMap;
use std::net::SocketAddr;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType, MountVolumeOptions,
    ResourcesUlimits,
};

use nix::sys::resource::{Resource, getrlimit};

use super::Sandbox;
use crate::definition::{ContainerDefinition, HealthCheck};
use crate::launcher::{Start, environment};
use crate::state::Shared;

const MIB: i64 = 1024 * 1024;
/// CPU units of one vCPU, and Docker's.
const CPU_UNITS: i64 = 1024;
const NANO_CPUS: i64 = 1_000_000_000;
/// Limit of open files on Fargate, soft and hard (ECS API reference, Ulimit).
const OPEN_FILES: i64 = 65_535;
/// Docker counts in nanoseconds.
const SECOND: i64 = 1_000_000_000;

pub(super) fn body(
    sandbox: &Sandbox,
    start: &Start,
    labels: HashMap<String, String>,
    shared: &Shared,
    endpoint: SocketAddr,
) -> ContainerCreateBody {
    let definition = &start.definition;
    let of_fargate =
        environment::fargate(shared, start, endpoint).into_iter().map(|(name, value)| format!("{name}={value}"));
    let own = start.environment.0.iter().map(|(name, value)| format!("{name}={value}"));
    let early = start.exit_early.map(|code| vec!["/bin/sh".to_owned(), "-c".to_owned(), format!("exit {code}")]);
    ContainerCreateBody {
        image: Some(definition.image.clone()),
        env: Some(of_fargate.chain(own).collect()),
        entrypoint: early.or_else(|| definition.entry_point.clone().filter(|words| !words.is_empty())),
        cmd: start.command.clone().filter(|_| start.exit_early.is_none()),
        user: definition.user.clone(),
        working_dir: definition.working_directory.clone(),
        tty: Some(definition.pseudo_terminal),
        open_stdin: Some(definition.interactive),
        labels: Some(labels),
        // The image's own check is not looked at (ECS API reference, HealthCheck).
        healthcheck: Some(definition.health_check.as_ref().map_or_else(no_check, check)),
        host_config: Some(host(sandbox, start)),
        ..ContainerCreateBody::default()
    }
}

fn host(sandbox: &Sandbox, start: &Start) -> HostConfig {
    let definition = &start.definition;
    let linux = &definition.linux_parameters;
    // A container has the task's memory unless it has a limit of its own, and never any swap.
    let memory = i64::from(start.memory.unwrap_or(start.task_memory)) * MIB;
    let sysctls = definition.system_controls.iter().filter(|control| !control.namespace.starts_with("net."));
    let sysctls: HashMap<_, _> = sysctls.map(|known| (known.namespace.clone(), known.value.clone())).collect();
    HostConfig {
        network_mode: Some(sandbox.network_mode()),
        pid_mode: sandbox.shares_processes.then(|| sandbox.network_mode()),
        memory: Some(memory),
        memory_swap: Some(memory),
        memory_reservation: definition.memory_reservation.map(|mib| mib * MIB),
        nano_cpus: Some((i64::from(start.task_cpu) * NANO_CPUS / CPU_UNITS).min(sandbox.cpus * NANO_CPUS)),
        cpu_shares: start.cpu.map(i64::from),
        readonly_rootfs: Some(definition.readonly_root_filesystem),
        init: Some(linux.init_process_enabled),
        cap_add: Some(linux.capabilities.add.clone()),
        cap_drop: Some(linux.capabilities.drop.clone()),
        ulimits: Some(ulimits(definition)),
        sysctls: Some(sysctls).filter(|sysctls| !sysctls.is_empty()),
        mounts: Some(mounts(sandbox, definition)),
        tmpfs: Some(tmpfs(definition)),
        // We read its output as it comes; nothing of it is to lie on the disk.
        log_config: Some(HostConfigLogConfig { typ: Some("none".to_owned()), config: None }),
        ..HostConfig::default()
    }
}

fn ulimits(definition: &ContainerDefinition) -> Vec<ResourcesUlimits> {
    let ulimit =
        |name: &str, soft, hard| ResourcesUlimits { name: Some(name.to_owned()), soft: Some(soft), hard: Some(hard) };
    let mut ulimits: Vec<_> =
        definition.ulimits.iter().map(|known| ulimit(&known.name, known.soft_limit, known.hard_limit)).collect();
    if definition.ulimits.iter().all(|known| known.name != "nofile") {
        // A daemon that may not raise its own limit refuses more; it mostly lives under the same limit as we do.
        let own = getrlimit(Resource::RLIMIT_NOFILE)
            .map_or(OPEN_FILES, |(_, hard)| i64::try_from(hard).unwrap_or(OPEN_FILES));
        ulimits.push(ulimit("nofile", OPEN_FILES.min(own), OPEN_FILES.min(own)));
    }
    ulimits
}

fn tmpfs(definition: &ContainerDefinition) -> HashMap<String, String> {
    let mounts = definition.linux_parameters.tmpfs.iter().map(|mount| {
        let options = mount.mount_options.iter().cloned().chain([format!("size={}m", mount.size)]);
        (mount.container_path.clone(), options.collect::<Vec<_>>().join(","))
    });
    mounts.collect()
}

/// A task's volume is empty at first, whatever the image has at that place, and root's.
fn mounts(sandbox: &Sandbox, definition: &ContainerDefinition) -> Vec<Mount> {
    let mount = |volume: &str, path: &str, read_only: bool| Mount {
        target: Some(path.to_owned()),
        source: Some(sandbox.volume(volume)),
        typ: Some(MountType::VOLUME),
        read_only: Some(read_only),
        volume_options: Some(MountVolumeOptions { no_copy: Some(true), ..MountVolumeOptions::default() }),
        ..Mount::default()
    };
    let own = definition.mount_points.iter();
    own.map(|point| mount(&point.source_volume, &point.container_path, point.read_only)).collect()
}

fn check(check: &HealthCheck) -> HealthConfig {
    HealthConfig {
        test: Some(check.command.clone()),
        interval: Some(check.interval * SECOND),
        timeout: Some(check.timeout * SECOND),
        retries: Some(check.retries),
        start_period: Some(check.start_period * SECOND),
        start_interval: None,
    }
}

fn no_check() -> HealthConfig {
    HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }
}

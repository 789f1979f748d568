//! A task in full, for people: a line for each thing that is known, a paragraph for each container.

use crate::aws::describe_tasks::listed::{ExecAgent, ListedContainer, ListedTask};
use crate::aws::last_part;
use crate::fleet::clock::{instant, since};
use crate::listing::{exec, tasks};

/// Column at which values begin: behind the longest name.
const VALUE_COLUMN: usize = 17;
/// What a container's lines are moved in by.
const INDENT: &str = "  ";
/// CPU units of one vCPU.
const CPU_UNITS: f64 = 1024.0;

pub(in crate::listing) fn lines(task: &ListedTask, now: f64) -> Vec<String> {
    let interface = task.interface.as_ref();
    let joined = |parts: &[Option<String>]| {
        let known: Vec<_> = parts.iter().flatten().cloned().collect();
        (!known.is_empty()).then(|| known.join(", "))
    };
    let tags: Vec<_> = task.tags.iter().map(|tag| format!("{}={}", tag.key, tag.value)).collect();
    let members = [
        ("Task", Some(last_part(&task.arn).to_owned())),
        ("ARN", Some(task.arn.clone())),
        ("Cluster", Some(last_part(&task.cluster_arn).to_owned())),
        ("Group", task.group.clone()),
        ("Started by", task.started_by.clone()),
        ("Task definition", Some(tasks::definition(task))),
        (
            "Status",
            joined(&[Some(tasks::status(task)), task.health_status.clone().filter(|status| status != "UNKNOWN")]),
        ),
        ("Stopped", joined(&[task.stop_code.clone(), task.stopped_reason.clone()])),
        ("Created", at(task.created_at, now)),
        ("Running since", at(task.started_at, now).filter(|_| task.stopped_at.is_none())),
        ("Stopped at", at(task.stopped_at, now)),
        (
            "Launch",
            joined(&[
                task.capacity_provider.clone().or_else(|| task.launch_type.clone()),
                task.platform_version.as_ref().map(|version| format!("platform {version}")),
                task.availability_zone.clone(),
            ]),
        ),
        ("Size", joined(&[task.cpu.as_deref().map(vcpus), memory(task), storage(task)])),
        ("ECS Exec", Some(exec::of_task(task))),
        ("Address", tasks::private_address(task)),
        (
            "IPv6 address",
            interface.and_then(|known| known.ipv6.filter(|_| known.private_ipv4.is_some())).map(|ip| ip.to_string()),
        ),
        ("Public address", tasks::public_address(task)),
        (
            "Interface",
            joined(&[interface.map(|known| known.id.clone()), interface.and_then(|known| known.subnet.clone())]),
        ),
        ("Tags", (!tags.is_empty()).then(|| tags.join(", "))),
    ];
    let mut lines: Vec<String> = members.into_iter().filter_map(|(name, value)| line("", name, value)).collect();
    for known in &task.containers {
        lines.push(String::new());
        lines.extend(container(task, known, now));
    }
    lines
}

fn container(task: &ListedTask, container: &ListedContainer, now: f64) -> Vec<String> {
    let mut status = container.last_status.clone().unwrap_or_default();
    if let Some(health) = container.health_status.as_ref().filter(|status| *status != "UNKNOWN") {
        status.push_str(&format!(", {health}"));
    }
    if let Some(code) = container.exit_code {
        status.push_str(&format!(", exit code {code}"));
    }
    let members = [
        ("Status", Some(status)),
        ("Reason", container.reason.clone()),
        ("Image", container.image.clone()),
        ("Image digest", container.image_digest.clone()),
        ("Runtime id", container.runtime_id.clone()),
        ("ECS Exec", Some(exec::of_container(task, container))),
        ("Agent", container.exec_agent.as_ref().and_then(|known| agent(known, now))),
        ("SSM target", exec::target(task, container)),
    ];
    let heading = format!("Container {}", container.name);
    let members = members.into_iter().filter_map(|(name, value)| line(INDENT, name, value));
    std::iter::once(heading).chain(members).collect()
}

/// What else is known of the agent than its status.
fn agent(agent: &ExecAgent, now: f64) -> Option<String> {
    let started = at(agent.last_started_at, now).map(|at| format!("started {at}"));
    let known: Vec<_> = [started, agent.reason.clone()].into_iter().flatten().collect();
    (!known.is_empty()).then(|| known.join(", "))
}

fn line(indent: &str, name: &str, value: Option<String>) -> Option<String> {
    let value = value.filter(|value| !value.is_empty())?;
    let name = format!("{indent}{name}:");
    Some(format!("{name:<VALUE_COLUMN$}{value}"))
}

/// `2026-11-21T19:35:00Z (3h05m ago)`.
fn at(time: Option<f64>, now: f64) -> Option<String> {
    Some(format!("{} ({} ago)", instant(time?)?, since(time, now)?))
}

/// `0.25 vCPU`, from CPU units as text.
fn vcpus(units: &str) -> String {
    units.parse::<u32>().map_or_else(|_| units.to_owned(), |units| format!("{} vCPU", f64::from(units) / CPU_UNITS))
}

fn memory(task: &ListedTask) -> Option<String> {
    task.memory.as_ref().map(|mib| format!("{mib} MiB of memory"))
}

fn storage(task: &ListedTask) -> Option<String> {
    task.storage.map(|gib| format!("{gib} GiB of ephemeral storage"))
}

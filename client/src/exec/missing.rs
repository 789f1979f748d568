//! What ECS Exec needs of a task, and what of it is missing, told so that one knows what to change.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::aws::describe_task_definition::TaskDefinition;
use crate::aws::describe_tasks::listed::{ListedTask, describe_listed};
use crate::aws::last_part;
use crate::error::Advice;
use crate::listing::{Place, tasks};
use crate::plan::via::{is_before_exec, keeps_agent_from_writing};

use super::choose::Chosen;
use super::error::ExecError;

/// How long a task that has just begun may take until its agent runs.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks: everybody who uses the account shares its 20 reads a second (Amazon ECS API reference, "Request throttling").
const LOOK: Duration = Duration::from_secs(2);
/// What a task role needs (ECS developer guide, "IAM permissions required for ECS Exec").
const ROLE: &str = "the task role needs `ssmmessages:CreateControlChannel`, `CreateDataChannel`, `OpenControlChannel` and `OpenDataChannel` on `*`, and the task a way to the ssmmessages endpoint (NAT gateway, public IP or interface endpoint)";
/// amazon-ssm-agent issue 435.
const KEYS: &str = "`AWS_ACCESS_KEY_ID` and the like in the container's environment take the task role from the agent";

/// Why ECS Exec does not get into the container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Missing {
    #[error("task {task} is {status}{}", because(.reason.as_ref()))]
    Ends { task: String, status: String, reason: Option<String> },
    #[error("ECS Exec is not enabled for task {task}: it was launched without `enableExecuteCommand`")]
    NotEnabled {
        task: String,
        /// Its cluster, and its service if it has one.
        cluster: String,
        service: Option<String>,
    },
    #[error("task {task} runs on platform version {version}, and ECS Exec needs 1.4.0")]
    Platform { task: String, version: String },
    #[error("{}", no_container(.name, .task, .there))]
    Container { name: String, task: String, there: Vec<String> },
    #[error("container {name} of task {task} is STOPPED{}{}", exited(*.code), because(.reason.as_ref()))]
    ContainerStopped { name: String, task: String, code: Option<i32>, reason: Option<String> },
    #[error("the ExecuteCommandAgent of container {name} in task {task} is STOPPED{}", because(.reason.as_ref()))]
    AgentStopped { name: String, task: String, reason: Option<String>, findings: Findings },
    #[error("container {name} of task {task} is not ready for ECS Exec after {} s: {what}", .after.as_secs())]
    NotReady { name: String, task: String, what: String, after: Duration, findings: Findings },
    #[error("the agent of container {name} in task {task} is not connected: {words}")]
    NotConnected { name: String, task: String, words: String, findings: Findings },
}

/// What the task definition says that keeps the agent from its work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    no_task_role: bool,
    read_only_root: bool,
}

fn because(reason: Option<&String>) -> String {
    reason.map(|reason| format!(": {}", reason.trim_end_matches('.'))).unwrap_or_default()
}

fn exited(code: Option<i32>) -> String {
    code.map(|code| format!(" (exit code {code})")).unwrap_or_default()
}

fn no_container(name: &str, task: &str, there: &[String]) -> String {
    let names = there.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match (name, there) {
        ("", _) => format!("task {task} has no containers yet"),
        (_, []) => format!("there is no container `{name}` in task {task}, which has none yet"),
        _ => format!("there is no container `{name}` in task {task}: it has {names}"),
    }
}

impl Findings {
    /// Looks at the definition that the task runs.
    pub(super) fn of(definition: &TaskDefinition, container: &str) -> Self {
        let own = definition.container(container);
        Self {
            no_task_role: definition.text("taskRoleArn").is_none_or(str::is_empty),
            read_only_root: own.is_some_and(keeps_agent_from_writing),
        }
    }

    /// The certain before the possible.
    fn hints(self) -> Vec<String> {
        let mut hints = Vec::new();
        if self.no_task_role {
            hints.push("the task definition names no `taskRoleArn`: ECS Exec needs one".to_owned());
        }
        if self.read_only_root {
            hints.push(
                "the container has `readonlyRootFilesystem`, and the agent must write: /managed-agents, /var/lib/amazon/ssm and /var/log/amazon/ssm can be volumes"
                    .to_owned(),
            );
        }
        hints.extend([ROLE, KEYS].map(str::to_owned));
        hints
    }
}

impl Advice for Missing {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NotEnabled { cluster, service: Some(service), .. } => format!(
                "new tasks have it after `aws ecs update-service --cluster {cluster} --service {service} --enable-execute-command --force-new-deployment`"
            ),
            Self::NotEnabled { service: None, .. } => {
                "it cannot be turned on later: launch another with `aws ecs run-task --enable-execute-command`"
                    .to_owned()
            }
            Self::Platform { .. } => "launch it with platform version LATEST".to_owned(),
            Self::Ends { .. } => "`fargate-login tasks` lists those that run".to_owned(),
            Self::Container { there, .. } if there.is_empty() => {
                "`fargate-login describe TASK` shows when it has them".to_owned()
            }
            Self::Container { there, .. } => format!("write `--container {}`", there[0]),
            Self::ContainerStopped { .. } => "`fargate-login describe TASK` tells of the others".to_owned(),
            Self::AgentStopped { findings, .. } => {
                let mut hints = findings.hints();
                hints.push("an agent that has stopped does not come back: launch the task anew".to_owned());
                return hints;
            }
            Self::NotReady { findings, .. } | Self::NotConnected { findings, .. } => return findings.hints(),
        };
        vec![hint]
    }
}

/// How a container stands.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Standing {
    /// Its agent runs; its `runtimeId`.
    Ready(String),
    /// It may be ready soon.
    Soon(String),
}

/// Whether the task is at its end, or meant to be.
pub(super) fn is_ending(task: &ListedTask) -> bool {
    let over = ["DEACTIVATING", "STOPPING", "DEPROVISIONING", "STOPPED", "DELETED"];
    task.desired_status == "STOPPED" || over.contains(&task.last_status.as_str())
}

fn standing(task: &ListedTask, name: &str) -> Result<Standing, Missing> {
    let id = last_part(&task.arn).to_owned();
    if is_ending(task) {
        return Err(Missing::Ends { task: id, status: tasks::status(task), reason: task.stopped_reason.clone() });
    }
    if !task.exec {
        let cluster = last_part(&task.cluster_arn).to_owned();
        let service = task.group.as_deref().and_then(|group| group.strip_prefix("service:")).map(str::to_owned);
        return Err(Missing::NotEnabled { task: id, cluster, service });
    }
    if let Some(version) = task.platform_version.clone().filter(|version| is_before_exec(version)) {
        return Err(Missing::Platform { task: id, version });
    }
    let Some(container) = task.containers.iter().find(|container| container.name == name) else {
        let there = task.containers.iter().map(|container| container.name.clone()).collect();
        return Err(Missing::Container { name: name.to_owned(), task: id, there });
    };
    let name = name.to_owned();
    if container.last_status.as_deref() == Some("STOPPED") {
        let (code, reason) = (container.exit_code, container.reason.clone());
        return Err(Missing::ContainerStopped { name, task: id, code, reason });
    }
    let agent = container.exec_agent.as_ref().map(|agent| (agent.last_status.as_str(), agent));
    match (agent, &container.runtime_id) {
        (Some(("RUNNING", _)), Some(runtime_id)) => Ok(Standing::Ready(runtime_id.clone())),
        (Some(("STOPPED", agent)), _) => {
            let (reason, findings) = (agent.reason.clone(), Findings::default());
            Err(Missing::AgentStopped { name, task: id, reason, findings })
        }
        (Some((status, _)), _) => Ok(Standing::Soon(format!("its ExecuteCommandAgent is {status}"))),
        (None, _) => Ok(Standing::Soon("it has no ExecuteCommandAgent".to_owned())),
    }
}

/// Waits until ECS Exec gets into the container; answers its `runtimeId`.
///
/// # Errors
/// [`ExecError::Missing`], or a call that failed.
pub(super) async fn ready(place: Place<'_>, chosen: &Chosen) -> Result<String, ExecError> {
    let began = Instant::now();
    let (cluster, arn) = (chosen.task.cluster_arn.clone(), [chosen.task.arn.clone()]);
    let mut task = chosen.task.clone();
    loop {
        let what = match standing(&task, &chosen.container)? {
            Standing::Ready(runtime_id) => return Ok(runtime_id),
            Standing::Soon(what) => what,
        };
        if began.elapsed() >= PATIENCE {
            let (name, task) = (chosen.container.clone(), last_part(&task.arn).to_owned());
            let findings = Findings::default();
            return Err(Missing::NotReady { name, task, what, after: PATIENCE, findings }.into());
        }
        place.ui.phase(&format!("waiting for container {}: {what}", chosen.container));
        // ECS tells nobody of changes who does not ask.
        sleep(LOOK).await;
        // It may not be known for a moment after it was launched.
        let known = describe_listed(place.aws, &cluster, &arn).await?;
        task = known.into_iter().next().unwrap_or(task);
    }
}

impl Missing {
    /// The same, with what the task definition says about it.
    pub(super) fn with(mut self, found: Findings) -> Self {
        match &mut self {
            Self::AgentStopped { findings, .. }
            | Self::NotReady { findings, .. }
            | Self::NotConnected { findings, .. } => {
                *findings = found;
            }
            _ => {}
        }
        self
    }

    /// Whether the task definition may say more about it.
    pub(super) const fn is_obscure(&self) -> bool {
        matches!(self, Self::AgentStopped { .. } | Self::NotReady { .. } | Self::NotConnected { .. })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::describe_tasks::listed::{ExecAgent, ListedContainer};

    fn task() -> ListedTask {
        let agent = ExecAgent { last_status: "RUNNING".to_owned(), ..ExecAgent::default() };
        ListedTask {
            arn: "arn:aws:ecs:eu-west-1:1:task/shop/01".to_owned(),
            cluster_arn: "arn:aws:ecs:eu-west-1:1:cluster/shop".to_owned(),
            group: Some("service:web".to_owned()),
            last_status: "RUNNING".to_owned(),
            desired_status: "RUNNING".to_owned(),
            platform_version: Some("1.4.0".to_owned()),
            exec: true,
            containers: vec![ListedContainer {
                name: "app".to_owned(),
                last_status: Some("RUNNING".to_owned()),
                runtime_id: Some("01-2".to_owned()),
                exec_agent: Some(agent),
                ..ListedContainer::default()
            }],
            ..ListedTask::default()
        }
    }

    fn told(change: impl FnOnce(&mut ListedTask)) -> (String, String) {
        let mut task = task();
        change(&mut task);
        let missing = standing(&task, "app").expect_err("missing");
        (missing.to_string(), missing.hints().join("\n"))
    }

    #[test]
    fn what_is_there_is_enough() {
        assert_eq!(standing(&task(), "app"), Ok(Standing::Ready("01-2".to_owned())));
    }

    #[test]
    fn what_is_missing_is_named_with_what_helps() {
        let agent = |task: &mut ListedTask, status: &str, reason: Option<&str>| {
            task.containers[0].exec_agent = Some(ExecAgent {
                last_status: status.to_owned(),
                reason: reason.map(str::to_owned),
                last_started_at: None,
            });
        };
        type Case<'a> = (&'a dyn Fn(&mut ListedTask), &'a str, &'a str);
        let cases: [Case<'_>; 8] = [
            (&|task| task.exec = false, "not enabled for task 01", "update-service --cluster shop --service web"),
            (
                &|task| (task.exec, task.group) = (false, None),
                "not enabled for task 01",
                "run-task --enable-execute-command",
            ),
            (&|task| task.platform_version = Some("1.3.0".to_owned()), "platform version 1.3.0", "LATEST"),
            (&|task| task.desired_status = "STOPPED".to_owned(), "task 01 is RUNNING, to be STOPPED", "tasks"),
            (
                &|task| task.containers[0].name = "web".to_owned(),
                "no container `app` in task 01: it has `web`",
                "--container web",
            ),
            (
                &|task| task.containers[0].last_status = Some("STOPPED".to_owned()),
                "container app of task 01 is STOPPED",
                "describe",
            ),
            (
                &|task| agent(task, "STOPPED", Some("Out of memory.")),
                "is STOPPED: Out of memory",
                "ssmmessages:CreateControlChannel",
            ),
            (&|task| task.containers.clear(), "no container `app` in task 01, which has none yet", "describe"),
        ];
        for (change, words, hint) in cases {
            let (told, hints) = told(change);
            assert!(told.contains(words) && hints.contains(hint), "{told}\n{hints}");
        }
    }

    #[test]
    fn an_agent_that_has_yet_to_come_is_waited_for() {
        for (status, words) in [(Some("PENDING"), "is PENDING"), (None, "has no ExecuteCommandAgent")] {
            let mut task = task();
            task.containers[0].exec_agent =
                status.map(|status| ExecAgent { last_status: status.to_owned(), ..ExecAgent::default() });
            let Ok(Standing::Soon(what)) = standing(&task, "app") else { panic!("{status:?}") };
            assert!(what.contains(words), "{what}");
        }
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        let old = ["1.3.0", "1.2.0", "0.9"];
        assert!(old.iter().all(|version| is_before_exec(version)));
        assert!(!["1.4.0", "1.10.0", "2.0.0", "LATEST", ""].iter().any(|version| is_before_exec(version)));
    }

    #[test]
    fn the_task_definition_tells_what_keeps_the_agent_away() {
        let json = serde_json::json!({"containerDefinitions": [{"name": "app", "readonlyRootFilesystem": true}]});
        let definition = TaskDefinition { json: json.as_object().expect("an object").clone(), tags: Vec::new() };
        let found = Findings::of(&definition, "app");
        let hints = Missing::NotConnected {
            name: "app".to_owned(),
            task: "01".to_owned(),
            words: "no".to_owned(),
            findings: Findings::default(),
        }
        .with(found)
        .hints();
        assert!(hints[0].contains("taskRoleArn") && hints[1].contains("readonlyRootFilesystem"), "{hints:?}");
        assert_eq!(Findings::of(&definition, "web"), Findings { no_task_role: true, read_only_root: false });
    }
}

//! How connections reach the run's task, and what stands in the way of Systems Manager.

use serde_json::Value;

use crate::aws::describe_task_definition::TaskDefinition;
use crate::error::Advice;
use crate::options::{Options, Via};

/// What connections are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP, from here to an address of the task's.
    Direct,
    /// Sessions of Systems Manager.
    Ssm,
}

/// How connections reach the task, and why in this way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// In this way.
    pub transport: Transport,
    /// Half a sentence that says why.
    pub reason: String,
    /// Whether EC2 was asked for the subnets' ranges.
    pub asked_for_subnets: bool,
}

impl Choice {
    /// A choice for which nobody had to be asked.
    #[must_use]
    pub fn new(transport: Transport, reason: impl Into<String>) -> Self {
        Self { transport, reason: reason.into(), asked_for_subnets: false }
    }

    /// Whether it is Systems Manager.
    #[must_use]
    pub fn is_ssm(&self) -> bool {
        self.transport == Transport::Ssm
    }

    /// The value of `--via` that means it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self.transport {
            Transport::Direct => Via::Direct.name(),
            Transport::Ssm => Via::Ssm.name(),
        }
    }
}

/// First platform version with ECS Exec, and with it the agent (ECS developer guide, "ECS Exec").
const EXEC_SINCE: [u32; 2] = [1, 4];
/// Where the agent keeps its state: with a volume there, a read-only root filesystem is no obstacle (containers-roadmap#1359).
const AGENT_STATE: &str = "/var/lib/amazon/ssm";
/// Variables that the agent would take its credentials from, instead of the task role (amazon-ssm-agent#435).
const CREDENTIALS: [&str; 3] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

/// Why a task cannot be reached through Systems Manager.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Obstacle {
    /// Rules let in whoever comes from outside: nobody does.
    #[error("`{flag}` has nothing to let in: with `--via ssm`, connections come from within the task")]
    NothingToLetIn {
        /// The flag.
        flag: &'static str,
    },
    /// Fargate had no ECS Exec then.
    #[error("`--via ssm` needs ECS Exec, which platform version {0} has not")]
    PlatformVersion(String),
    /// The agent has no rights.
    #[error("`--via ssm` needs a task role, and task definition {0} has none")]
    NoTaskRole(String),
    /// The agent cannot write.
    #[error("`--via ssm` needs ECS Exec, which does not work in container `{0}`: its root filesystem is read-only")]
    ReadOnlyRoot(String),
    /// The agent would use other credentials.
    #[error(
        "`--via ssm` does not work with variable {0} in the container: its agent would use it instead of the task role"
    )]
    Credentials(&'static str),
}

impl Advice for Obstacle {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NothingToLetIn { .. } => "leave it out; no security group needs a rule for this",
            Self::PlatformVersion(_) => "leave `--platform-version` out, or use `LATEST` or `1.4.0`",
            Self::NoTaskRole(_) => {
                "give the run one with `--task-role-arn`; task-definitions/iam/task-ssm.json has the rights that it needs"
            }
            Self::ReadOnlyRoot(_) => {
                "mount a volume at /var/lib/amazon/ssm (and /var/log/amazon/ssm) in the task definition, or make its root filesystem writable"
            }
            Self::Credentials(_) => "give the session its credentials in another way, such as a file or the task role",
        };
        vec![hint.to_owned()]
    }
}

/// What can be said without asking anybody.
///
/// # Errors
/// [`Obstacle`].
pub fn check(options: &Options) -> Result<(), Obstacle> {
    if options.allow_my_ip {
        return Err(Obstacle::NothingToLetIn { flag: "--allow-my-ip" });
    }
    if !options.allow_cidrs.is_empty() {
        return Err(Obstacle::NothingToLetIn { flag: "--allow-cidr" });
    }
    if let Some(version) = options.platform_version.as_deref().filter(|version| is_before_exec(version)) {
        return Err(Obstacle::PlatformVersion(version.to_owned()));
    }
    let given = |name: &&str| options.env.iter().any(|(known, _)| known == name);
    CREDENTIALS.into_iter().find(given).map_or(Ok(()), |name| Err(Obstacle::Credentials(name)))
}

/// What the task definition says, with what the run overrides in it.
///
/// # Errors
/// [`Obstacle`].
pub fn check_definition(options: &Options, definition: &TaskDefinition, container: &str) -> Result<(), Obstacle> {
    if options.task_role_arn.is_none() && definition.text("taskRoleArn").is_none() {
        return Err(Obstacle::NoTaskRole(definition.name()));
    }
    let Some(own) = definition.container(container) else { return Ok(()) };
    if keeps_agent_from_writing(own) {
        return Err(Obstacle::ReadOnlyRoot(container.to_owned()));
    }
    let given = |name: &&str| texts(own, "environment", "name").any(|known| known == *name);
    CREDENTIALS.into_iter().find(given).map_or(Ok(()), |name| Err(Obstacle::Credentials(name)))
}

/// Whether a container's definition has a read-only root filesystem and no volume where the agent writes.
pub(crate) fn keeps_agent_from_writing(container: &Value) -> bool {
    container.get("readonlyRootFilesystem").and_then(Value::as_bool) == Some(true)
        && !texts(container, "mountPoints", "containerPath").any(|path| path == AGENT_STATE)
}

/// This member of all entries of a list.
fn texts<'a>(container: &'a Value, list: &str, member: &'a str) -> impl Iterator<Item = &'a str> {
    let entries = container.get(list).and_then(Value::as_array).into_iter().flatten();
    entries.filter_map(move |entry| entry.get(member)?.as_str())
}

/// Whether a platform version, as ECS or the options name it, is one without ECS Exec; what is no number, as `LATEST`, is not.
pub(crate) fn is_before_exec(version: &str) -> bool {
    let numbers: Option<Vec<u32>> = version.split('.').take(2).map(|part| part.parse().ok()).collect();
    numbers.is_some_and(|numbers| numbers.as_slice() < EXEC_SINCE.as_slice())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::options;
    use super::*;

    fn definition(role: &Value, container: &Value) -> TaskDefinition {
        let json = json!({"family": "app", "revision": 3, "taskRoleArn": role, "containerDefinitions": [container]});
        TaskDefinition { json: json.as_object().expect("an object").clone(), tags: Vec::new() }
    }

    #[test]
    fn what_cannot_have_exec_is_named() {
        assert_eq!(check(&options()), Ok(()));
        let refused = |options: Options| check(&options).expect_err("an obstacle").to_string();
        assert!(refused(Options { allow_my_ip: true, ..options() }).contains("--allow-my-ip"));
        let allow_cidrs = vec!["10.0.0.0/8".parse().expect("a range")];
        assert!(refused(Options { allow_cidrs, ..options() }).contains("--allow-cidr"));
        let on = |version: &str| Options { platform_version: Some(version.to_owned()), ..options() };
        assert!(refused(on("1.3.0")).contains("1.3.0"));
        assert_eq!((check(&on("1.4.0")), check(&on("LATEST"))), (Ok(()), Ok(())));
        let env = vec![("AWS_ACCESS_KEY_ID".to_owned(), "AKIA".to_owned())];
        assert!(!refused(Options { env, ..options() }).contains("AKIA"), "the value is not repeated");
    }

    #[test]
    fn the_task_definition_has_a_say() {
        let (role, cli) = (json!("arn:aws:iam::000000000000:role/r"), json!({"name": "cli"}));
        let of = |options: &Options, definition: &TaskDefinition| check_definition(options, definition, "cli");
        assert_eq!(of(&options(), &definition(&role, &cli)), Ok(()));
        let none = definition(&Value::Null, &cli);
        assert_eq!(of(&options(), &none), Err(Obstacle::NoTaskRole("app:3".to_owned())));
        assert_eq!(of(&Options { task_role_arn: Some("r".to_owned()), ..options() }, &none), Ok(()));
        let mut read_only = json!({"name": "cli", "readonlyRootFilesystem": true});
        assert_eq!(of(&options(), &definition(&role, &read_only)), Err(Obstacle::ReadOnlyRoot("cli".to_owned())));
        read_only["mountPoints"] = json!([{"containerPath": "/var/lib/amazon/ssm", "sourceVolume": "agent"}]);
        assert_eq!(of(&options(), &definition(&role, &read_only)), Ok(()));
        let with_key = json!({"name": "cli", "environment": [{"name": "AWS_SECRET_ACCESS_KEY", "value": "s"}]});
        assert_eq!(of(&options(), &definition(&role, &with_key)), Err(Obstacle::Credentials("AWS_SECRET_ACCESS_KEY")));
    }
}

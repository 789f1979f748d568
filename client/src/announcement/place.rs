//! Where a container's output goes, out of its task definition: the log group and the stream that a task will have there.

use serde_json::Value;

use crate::aws::describe_task_definition::TaskDefinition;
use crate::aws::get_log_events::LogStream;
use crate::error::Advice;

/// The log driver whose logs can be read back.
const AWSLOGS: &str = "awslogs";

/// The log of a container of any task of a task definition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Name of the log group.
    pub group: String,
    /// First part of the streams' names.
    pub prefix: String,
    /// Name of the container.
    pub container: String,
    /// Name of the region, which need not be the task's.
    pub region: String,
}

/// Why there is no log to read the host key in. All of these are wrong usage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLog {
    /// Nobody has asked for the task definition.
    #[error("the task definition has not been read")]
    NotRead,
    /// There is no such container.
    #[error("{definition} has no container `{container}`, whose log would name the host key")]
    NoContainer {
        /// The task definition, with its revision.
        definition: String,
        /// The container.
        container: String,
    },
    /// Its output goes where we cannot read it, or nowhere.
    #[error("container `{container}` of {definition} does not log to CloudWatch Logs{}", .driver.as_ref().map(|driver| format!(" but through {driver}")).unwrap_or_default())]
    OtherDriver {
        /// The task definition, with its revision.
        definition: String,
        /// The container.
        container: String,
        /// Its log driver, if it has one.
        driver: Option<String>,
    },
    /// The stream's name cannot be known, or where it is.
    #[error("the log of container `{container}` of {definition} has no `{option}`")]
    NoOption {
        /// The task definition, with its revision.
        definition: String,
        /// The container.
        container: String,
        /// The option of the log driver.
        option: &'static str,
    },
}

impl Place {
    /// The log of a container.
    ///
    /// # Errors
    /// [`NoLog`].
    pub fn of(definition: &TaskDefinition, container: &str) -> Result<Self, NoLog> {
        let (name, container) = (definition.name(), container.to_owned());
        let Some(found) = definition.container(&container) else {
            return Err(NoLog::NoContainer { definition: name, container });
        };
        let log = found.get("logConfiguration");
        let driver = log.and_then(|log| log.get("logDriver")?.as_str());
        let Some(log) = log.filter(|_| driver == Some(AWSLOGS)) else {
            return Err(NoLog::OtherDriver { definition: name, container, driver: driver.map(str::to_owned) });
        };
        let option = |option: &'static str| {
            let value = log.get("options").and_then(|options| options.get(option)?.as_str());
            let missing = || NoLog::NoOption { definition: name.clone(), container: container.clone(), option };
            value.filter(|value| !value.is_empty()).map(str::to_owned).ok_or_else(missing)
        };
        let (group, region) = (option("awslogs-group")?, option("awslogs-region")?);
        // Required on Fargate, and without it the stream would be named by an id that only the host knows.
        let prefix = option("awslogs-stream-prefix")?;
        Ok(Self { group, prefix, container, region })
    }

    /// The stream of one task (ECS Developer Guide, awslogs: prefix-name/container-name/ecs-task-id).
    #[must_use]
    pub fn stream(&self, task_id: &str) -> LogStream {
        let Self { group, prefix, container, region } = self.clone();
        LogStream { group, stream: format!("{prefix}/{container}/{task_id}"), region }
    }
}

impl Advice for NoLog {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::NotRead => return Vec::new(),
            Self::NoContainer { .. } => "name the container that serves SSH with `--container`".to_owned(),
            Self::OtherDriver { .. } | Self::NoOption { .. } => format!(
                "register the task definition with `logConfiguration`: driver {AWSLOGS}, with awslogs-group, awslogs-region and \
                 awslogs-stream-prefix (task-definitions/README.md); or use `--host-key pinned`"
            ),
        };
        vec![hint]
    }
}

/// The log configuration that the shipped task definition has no use for without an account: for a stand-in that is to keep the log.
#[must_use]
pub(crate) fn awslogs(group: &str, region: &str) -> Value {
    let options = serde_json::json!({
        "awslogs-group": group,
        "awslogs-region": region,
        "awslogs-stream-prefix": "fargate-login",
        "awslogs-create-group": "true",
    });
    serde_json::json!({"logDriver": AWSLOGS, "options": options})
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    fn definition(log: Value) -> TaskDefinition {
        let containers = json!([{"name": "proxy"}, {"name": "cli", "logConfiguration": log}]);
        let members = [("family", json!("web")), ("revision", json!(7)), ("containerDefinitions", containers)];
        let json = members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>();
        TaskDefinition { json, tags: Vec::new() }
    }

    #[test]
    fn a_tasks_stream_is_known_before_the_task() {
        let place = Place::of(&definition(awslogs("/ecs/web", "eu-west-1")), "cli").expect("a log");
        let expected = LogStream {
            group: "/ecs/web".to_owned(),
            stream: "fargate-login/cli/0123".to_owned(),
            region: "eu-west-1".to_owned(),
        };
        assert_eq!(place.stream("0123"), expected);
    }

    #[test]
    fn a_log_that_cannot_be_read_is_told_with_what_to_do() {
        let told = |log: Value, container: &str| {
            let error = Place::of(&definition(log), container).expect_err("no log");
            assert_eq!(error.hints().len(), 1);
            error.to_string()
        };
        assert_eq!(told(Value::Null, "cli"), "container `cli` of web:7 does not log to CloudWatch Logs");
        assert_eq!(
            told(json!({"logDriver": "splunk"}), "cli"),
            "container `cli` of web:7 does not log to CloudWatch Logs but through splunk"
        );
        assert!(told(Value::Null, "app").contains("no container `app`"));
        for option in ["awslogs-group", "awslogs-region", "awslogs-stream-prefix"] {
            let mut log = awslogs("g", "r");
            log["options"].as_object_mut().expect("options").remove(option);
            assert_eq!(told(log, "cli"), format!("the log of container `cli` of web:7 has no `{option}`"));
        }
    }
}

//! `ecs:DescribeTaskDefinition`: a task definition as the service holds it, member by member, with its tags.

use std::time::Duration;

use aws_sdk_ecs::types::TaskDefinitionField;
use serde_json::{Map, Value};

use super::run_task::Tag;
use super::verbatim::Answer;
use super::{Aws, ServiceError};

/// What ECS gives a container to stop in when its definition says nothing.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// A registered task definition. `Debug` names it and shows nothing else: it holds values of environment variables.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TaskDefinition {
    /// `taskDefinition` of the answer, with every member that the service sent.
    pub json: Map<String, Value>,
    /// Its tags.
    pub tags: Vec<Tag>,
}

impl TaskDefinition {
    /// Its ARN, revision included.
    #[must_use]
    pub fn arn(&self) -> &str {
        self.text("taskDefinitionArn").unwrap_or_default()
    }

    /// Its family.
    #[must_use]
    pub fn family(&self) -> &str {
        self.text("family").unwrap_or_default()
    }

    /// `family:revision`, as people name it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}:{}", self.family(), self.json.get("revision").and_then(Value::as_i64).unwrap_or_default())
    }

    /// CPU units, as text.
    #[must_use]
    pub fn cpu(&self) -> Option<&str> {
        self.text("cpu")
    }

    /// MiB, as text.
    #[must_use]
    pub fn memory(&self) -> Option<&str> {
        self.text("memory")
    }

    /// Whether its tasks run on ARM64; X86_64 is what a task runs on that says nothing (ECS API reference, RuntimePlatform).
    #[must_use]
    pub fn is_arm64(&self) -> bool {
        self.platform("cpuArchitecture") == Some("ARM64")
    }

    /// Time from SIGTERM to SIGKILL when a container is stopped; 30 s where it says nothing (ECS API reference,
    /// ContainerDefinition).
    #[must_use]
    pub fn stop_timeout(&self, container: &str) -> Duration {
        let seconds = self.container(container).and_then(|own| own.get("stopTimeout")?.as_u64());
        seconds.map_or(STOP_TIMEOUT, Duration::from_secs)
    }

    /// The definition of a container.
    #[must_use]
    pub fn container(&self, name: &str) -> Option<&Value> {
        let containers = self.json.get("containerDefinitions").and_then(Value::as_array);
        containers.into_iter().flatten().find(|known| known.get("name").and_then(Value::as_str) == Some(name))
    }

    /// A member of `runtimePlatform`.
    #[must_use]
    pub fn platform(&self, member: &str) -> Option<&str> {
        self.json.get("runtimePlatform")?.get(member)?.as_str()
    }

    /// A member that is text.
    #[must_use]
    pub fn text(&self, member: &str) -> Option<&str> {
        self.json.get(member)?.as_str()
    }

    /// The value of a tag.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
    }
}

impl std::fmt::Debug for TaskDefinition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TaskDefinition").field(&self.name()).finish_non_exhaustive()
    }
}

/// The task definition that RunTask would use for this name.
///
/// # Errors
/// [`ServiceError`]; `ClientException` when there is none.
pub async fn describe_task_definition(aws: &Aws, name: &str) -> Result<TaskDefinition, ServiceError> {
    let answer = Answer::default();
    let call = aws.ecs.describe_task_definition().task_definition(name).include(TaskDefinitionField::Tags);
    let sent = call.customize().interceptor(answer.clone()).send().await;
    let reply = sent.map_err(|error| ServiceError::new("ecs:DescribeTaskDefinition", &error))?;
    let json = match answer.take().as_mut().and_then(|body| body.get_mut("taskDefinition")).map(Value::take) {
        Some(Value::Object(json)) => json,
        _ => Map::new(),
    };
    let tag = |tag: &aws_sdk_ecs::types::Tag| Tag {
        key: tag.key().unwrap_or_default().to_owned(),
        value: tag.value().unwrap_or_default().to_owned(),
    };
    Ok(TaskDefinition { json, tags: reply.tags().iter().map(tag).collect() })
}

/// Whether the service says that there is no such task definition, or none that is active.
#[must_use]
pub fn is_missing(error: &ServiceError) -> bool {
    error.code() == Some("ClientException") && error.message().contains("Unable to describe task definition")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;
    use crate::error::Advice as _;

    #[test]
    fn the_time_to_stop_is_the_containers_own() {
        let containers = json!([{"name": "cli", "stopTimeout": 120}, {"name": "sidecar"}]);
        let json = Map::from_iter([("containerDefinitions".to_owned(), containers)]);
        let definition = TaskDefinition { json, tags: Vec::new() };
        assert_eq!(["cli", "sidecar", "absent"].map(|name| definition.stop_timeout(name).as_secs()), [120, 30, 30]);
    }

    #[tokio::test]
    async fn members_that_nobody_knows_yet_are_kept() {
        let (aws, asked) = answering(|_, _| {
            let definition = json!({
                "taskDefinitionArn": "arn:aws:ecs:eu-west-1:000000000000:task-definition/web:42",
                "family": "web", "revision": 42, "cpu": "256", "memory": "512",
                "runtimePlatform": {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"},
                "containerDefinitions": [{"name": "web", "image": "web:1", "cpu": 0, "inventedIn2031": {"a": [1, null]}}],
                "registeredAt": 1_763_700_000.25, "inventedIn2030": true,
            });
            (200, json!({"taskDefinition": definition, "tags": [{"key": "team", "value": "shop"}]}))
        });
        let found = describe_task_definition(&aws, "web").await.expect("found");
        assert_eq!((found.name().as_str(), found.cpu(), found.is_arm64()), ("web:42", Some("256"), true));
        assert_eq!(found.json["inventedIn2030"], true);
        assert_eq!(found.json["containerDefinitions"][0]["inventedIn2031"], json!({"a": [1, null]}));
        assert_eq!(found.tag("team"), Some("shop"));
        assert_eq!(format!("{found:?}"), "TaskDefinition(\"web:42\", ..)");
        let sent = json!({"taskDefinition": "web", "include": ["TAGS"]});
        assert_eq!(asked.all(), [("DescribeTaskDefinition".to_owned(), sent)]);
    }

    #[tokio::test]
    async fn none_is_told_apart_from_a_refusal() {
        let (aws, _) = answering(|_, _| {
            (400, json!({"__type": "ClientException", "message": "Unable to describe task definition."}))
        });
        let error = describe_task_definition(&aws, "nope").await.expect_err("none");
        assert!(is_missing(&error));
        assert!(error.hints()[0].contains("list-task-definitions"), "{:?}", error.hints());
        let (aws, _) = answering(|_, _| (400, json!({"__type": "AccessDeniedException", "message": "no"})));
        let error = describe_task_definition(&aws, "web").await.expect_err("refused");
        assert!(!is_missing(&error));
        assert!(error.hints()[0].contains("ecs:DescribeTaskDefinition"), "{:?}", error.hints());
    }
}

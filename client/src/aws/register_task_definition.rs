//! `ecs:RegisterTaskDefinition`: a new revision of a family, from JSON that is sent as it is.

use std::time::Duration;

use aws_sdk_ecs::types as ecs;
use backon::{ExponentialBuilder, Retryable as _};
use serde_json::{Map, Value};

use super::run_task::Tag;
use super::verbatim::replace_body;
use super::{Aws, ServiceError};

/// Two clients that register revisions of one family at once are told to try again; a handful of times is enough.
const ATTEMPTS: usize = 5;
/// First pause between them; doubles, with jitter.
const PAUSE: Duration = Duration::from_millis(200);

/// Registers the task definition and answers its ARN. Tags are left out when there are none: to send them needs
/// `ecs:TagResource`.
///
/// # Errors
/// [`ServiceError`].
pub async fn register_task_definition(
    aws: &Aws,
    definition: &Map<String, Value>,
    tags: &[Tag],
) -> Result<String, ServiceError> {
    let mut body = definition.clone();
    if !tags.is_empty() {
        let tags = tags.iter().map(|tag| serde_json::json!({"key": tag.key, "value": tag.value}));
        body.insert("tags".to_owned(), tags.collect());
    }
    let body = Value::Object(body);
    let call = || register(aws, &body);
    let at_once = |error: &ServiceError| error.message().contains("concurrent attempts to create a new revision");
    let backoff = ExponentialBuilder::default().with_min_delay(PAUSE).with_jitter().with_max_times(ATTEMPTS);
    call.retry(backoff).when(at_once).await
}

async fn register(aws: &Aws, body: &Value) -> Result<String, ServiceError> {
    let text = |member: &str| body.get(member).and_then(Value::as_str).unwrap_or_default();
    let replaced = body.clone();
    // Family and containers are what the SDK demands; the whole of it is put in their place.
    let sent = aws
        .ecs
        .register_task_definition()
        .family(text("family"))
        .container_definitions(ecs::ContainerDefinition::builder().build())
        .customize()
        .mutate_request(move |request| replace_body(request, &replaced))
        .send()
        .await;
    let reply = sent.map_err(|error| ServiceError::new("ecs:RegisterTaskDefinition", &error))?;
    let registered = reply.task_definition().and_then(ecs::TaskDefinition::task_definition_arn);
    // An answer without an ARN still means that the family's newest revision is ours.
    Ok(registered.unwrap_or(text("family")).to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::super::canned::answering;
    use super::*;
    use crate::error::Advice as _;

    fn definition() -> Map<String, Value> {
        let definition = json!({"family": "web-fargate-login", "inventedIn2030": {"a": 1},
            "containerDefinitions": [{"name": "web", "image": "web:1", "environment": [{"name": "A", "value": "é\n"}]}]});
        definition.as_object().expect("an object").clone()
    }

    #[tokio::test]
    async fn the_json_is_sent_as_it_is() {
        let (aws, asked) = answering(|_, _| {
            (
                200,
                json!({"taskDefinition": {"taskDefinitionArn": "a:task-definition/web-fargate-login:7", "revision": 7}}),
            )
        });
        let arn = register_task_definition(&aws, &definition(), &[]).await.expect("registered");
        assert_eq!(arn, "a:task-definition/web-fargate-login:7");
        let tag = Tag { key: "k".to_owned(), value: "v".to_owned() };
        register_task_definition(&aws, &definition(), &[tag]).await.expect("registered");
        let sent = asked.all();
        assert_eq!(sent[0], ("RegisterTaskDefinition".to_owned(), Value::Object(definition())));
        assert_eq!(sent[1].1["tags"], json!([{"key": "k", "value": "v"}]));
    }

    #[tokio::test]
    async fn two_at_once_is_tried_again_and_a_refusal_is_not() {
        const AT_ONCE: &str = "Too many concurrent attempts to create a new revision of the specified family.";
        let calls = AtomicUsize::new(0);
        let (aws, asked) = answering(move |_, _| match calls.fetch_add(1, Ordering::SeqCst) {
            0 => (400, json!({"__type": "ClientException", "message": AT_ONCE})),
            _ => (200, json!({"taskDefinition": {"taskDefinitionArn": "a:task-definition/web-fargate-login:8"}})),
        });
        let arn = register_task_definition(&aws, &definition(), &[]).await.expect("registered");
        assert_eq!((arn.ends_with(":8"), asked.all().len()), (true, 2));
        let (aws, asked) = answering(|_, _| (400, json!({"__type": "AccessDeniedException", "message": "no"})));
        let error = register_task_definition(&aws, &definition(), &[]).await.expect_err("refused");
        assert_eq!(asked.all().len(), 1);
        assert!(error.hints()[0].contains("ecs:RegisterTaskDefinition"), "{:?}", error.hints());
    }
}

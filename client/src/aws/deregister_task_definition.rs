//! `ecs:DeregisterTaskDefinition`: no new task runs from this revision; those that run go on.

use super::{Aws, ServiceError};

/// Makes a revision inactive.
///
/// # Errors
/// [`ServiceError`].
pub async fn deregister_task_definition(aws: &Aws, arn: &str) -> Result<(), ServiceError> {
    let sent = aws.ecs.deregister_task_definition().task_definition(arn).send().await;
    sent.map_err(|error| ServiceError::new("ecs:DeregisterTaskDefinition", &error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;
    use crate::error::Advice as _;

    #[tokio::test]
    async fn exactly_the_named_revision_is_deregistered() {
        let (aws, asked) = answering(|_, _| (200, json!({"taskDefinition": {"status": "INACTIVE"}})));
        deregister_task_definition(&aws, "a:task-definition/web-fargate-login:1").await.expect("done");
        let sent = json!({"taskDefinition": "a:task-definition/web-fargate-login:1"});
        assert_eq!(asked.all(), [("DeregisterTaskDefinition".to_owned(), sent)]);
    }

    #[tokio::test]
    async fn throttling_may_pass_and_a_refusal_is_advised_on() {
        let (aws, _) = answering(|_, _| (400, json!({"__type": "ThrottlingException", "message": "Rate exceeded"})));
        assert!(deregister_task_definition(&aws, "a:b/c:1").await.expect_err("throttled").is_transient());
        let (aws, _) = answering(|_, _| (400, json!({"__type": "AccessDeniedException", "message": "no"})));
        let error = deregister_task_definition(&aws, "a:b/c:1").await.expect_err("refused");
        assert!(error.hints()[0].contains("ecs:DeregisterTaskDefinition"), "{:?}", error.hints());
    }
}

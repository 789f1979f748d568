//! `ecs:ListTaskDefinitions`: ARNs of active task definitions, newest first.

use aws_sdk_ecs::types::SortOrder;

use super::{Aws, ServiceError, last_part};

/// Most ARNs of one answer (ECS API reference, ListTaskDefinitions).
const PAGE: usize = 100;

/// The newest active revisions of one family, at most `most`.
///
/// # Errors
/// [`ServiceError`].
pub async fn list_revisions(aws: &Aws, family: &str, most: usize) -> Result<Vec<String>, ServiceError> {
    let most = most.min(PAGE);
    let call = aws.ecs.list_task_definitions().family_prefix(family).sort(SortOrder::Desc);
    // `most` is at most a hundred.
    let sent = call.max_results(i32::try_from(most).unwrap_or(1)).send().await;
    let reply = sent.map_err(|error| ServiceError::new("ecs:ListTaskDefinitions", &error))?;
    Ok(reply.task_definition_arns().iter().take(most).cloned().collect())
}

/// All active task definitions of this account and region.
///
/// # Errors
/// [`ServiceError`].
pub async fn list_task_definitions(aws: &Aws) -> Result<Vec<String>, ServiceError> {
    let mut pages = aws.ecs.list_task_definitions().into_paginator().items().send();
    let mut arns = Vec::new();
    while let Some(arn) = pages.next().await {
        arns.push(arn.map_err(|error| ServiceError::new("ecs:ListTaskDefinitions", &error))?);
    }
    Ok(arns)
}

/// Family and revision of an ARN, or of `family:revision`.
#[must_use]
pub fn family_and_revision(arn: &str) -> Option<(&str, u64)> {
    let (family, revision) = last_part(arn).split_once(':')?;
    Some((family, revision.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;
    use crate::error::Advice as _;

    #[tokio::test]
    async fn the_newest_of_a_family_come_first_and_few() {
        let (aws, asked) =
            answering(|_, _| (200, json!({"taskDefinitionArns": ["a:td/web:3", "a:td/web:2", "a:td/web:1"]})));
        assert_eq!(list_revisions(&aws, "web", 2).await.expect("ARNs"), ["a:td/web:3", "a:td/web:2"]);
        assert_eq!(asked.all()[0].1, json!({"familyPrefix": "web", "sort": "DESC", "maxResults": 2}));
    }

    #[tokio::test]
    async fn all_pages_of_all_families_are_read() {
        let (aws, asked) = answering(|_, request| match request.get("nextToken") {
            None => (200, json!({"taskDefinitionArns": ["a:td/web:3"], "nextToken": "2"})),
            Some(_) => (200, json!({"taskDefinitionArns": ["a:td/worker:1"]})),
        });
        assert_eq!(list_task_definitions(&aws).await.expect("ARNs"), ["a:td/web:3", "a:td/worker:1"]);
        assert_eq!(asked.all().len(), 2);
        let (aws, _) = answering(|_, _| (400, json!({"__type": "AccessDeniedException", "message": "no"})));
        let error = list_task_definitions(&aws).await.expect_err("refused");
        assert!(error.hints()[0].contains("ecs:ListTaskDefinitions"), "{:?}", error.hints());
    }

    #[test]
    fn an_arn_ends_with_family_and_revision() {
        let arn = "arn:aws:ecs:eu-west-1:000000000000:task-definition/web-fargate-login:7";
        assert_eq!(family_and_revision(arn), Some(("web-fargate-login", 7)));
        assert_eq!(family_and_revision("web"), None);
    }
}

//! `ecs:ListServices`: a cluster's services.

use super::{Aws, ServiceError, last_part};

/// Most ARNs of one answer (ECS API reference, ListServices); without asking it would be ten.
const PAGE: i32 = 100;
/// Pages that are read at most: a suggestion is not worth more.
const PAGES_MAX: usize = 10;

/// Names of services of the cluster, the first thousand: to tell which one was meant.
///
/// # Errors
/// [`ServiceError`].
pub async fn list_services(aws: &Aws, cluster: &str) -> Result<Vec<String>, ServiceError> {
    let arns = pages(aws, cluster, PAGES_MAX).await?;
    Ok(arns.iter().map(|arn| last_part(arn).to_owned()).collect())
}

/// ARNs of all services of the cluster that have not been deleted.
///
/// # Errors
/// [`ServiceError`].
pub async fn list_service_arns(aws: &Aws, cluster: &str) -> Result<Vec<String>, ServiceError> {
    pages(aws, cluster, usize::MAX).await
}

async fn pages(aws: &Aws, cluster: &str, most: usize) -> Result<Vec<String>, ServiceError> {
    let mut pages = aws.ecs.list_services().cluster(cluster).max_results(PAGE).into_paginator().send();
    let mut arns = Vec::new();
    for _ in 0..most {
        let Some(page) = pages.next().await else { break };
        let page = page.map_err(|error| ServiceError::new("ecs:ListServices", &error))?;
        arns.extend(page.service_arns.unwrap_or_default());
    }
    Ok(arns)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;

    #[tokio::test]
    async fn names_of_all_pages_are_listed() {
        let (aws, asked) = answering(|_, request| match request.get("nextToken") {
            None => (200, json!({"serviceArns": ["arn:aws:ecs:r:1:service/shop/web"], "nextToken": "2"})),
            Some(_) => {
                (200, json!({"serviceArns": ["arn:aws:ecs:r:1:service/shop/worker", "arn:aws:ecs:r:1:service/old"]}))
            }
        });
        assert_eq!(list_services(&aws, "shop").await.expect("names"), ["web", "worker", "old"]);
        assert_eq!(asked.all()[1].1, json!({"cluster": "shop", "maxResults": 100, "nextToken": "2"}));
    }

    #[tokio::test]
    async fn a_list_without_end_is_left_by_those_who_only_suggest() {
        let (aws, asked) = answering(|_, request| {
            let next = request.get("nextToken").and_then(|token| token.as_str()?.parse::<u32>().ok()).unwrap_or(0) + 1;
            let body = json!({"serviceArns": ["a/x"], "nextToken": next.to_string()});
            (200, if next > 11 { json!({"serviceArns": ["a/x"]}) } else { body })
        });
        assert_eq!(list_services(&aws, "shop").await.expect("names").len(), PAGES_MAX);
        assert_eq!(asked.all().len(), PAGES_MAX);
        assert_eq!(list_service_arns(&aws, "shop").await.expect("ARNs").len(), 12);
    }
}

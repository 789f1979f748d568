//! `ecs:ListClusters`: the clusters of this account and region.

use super::{Aws, ServiceError, last_part};

/// Names of all clusters.
///
/// # Errors
/// [`ServiceError`].
pub async fn list_clusters(aws: &Aws) -> Result<Vec<String>, ServiceError> {
    let mut pages = aws.ecs.list_clusters().into_paginator().items().send();
    let mut names = Vec::new();
    while let Some(arn) = pages.next().await {
        let arn = arn.map_err(|error| ServiceError::new("ecs:ListClusters", &error))?;
        names.push(last_part(&arn).to_owned());
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;

    #[tokio::test]
    async fn names_of_all_pages_are_listed() {
        let (aws, asked) = answering(|_, request| match request.get("nextToken") {
            None => (200, json!({"clusterArns": ["arn:aws:ecs:r:1:cluster/shop"], "nextToken": "2"})),
            Some(_) => (200, json!({"clusterArns": ["arn:aws:ecs:r:1:cluster/tools"]})),
        });
        assert_eq!(list_clusters(&aws).await.expect("names"), ["shop", "tools"]);
        assert_eq!(asked.operations(), ["ListClusters", "ListClusters"]);
    }
}

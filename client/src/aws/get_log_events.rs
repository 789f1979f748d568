//! `logs:GetLogEvents`: what a log stream holds, from its first event on, page by page.

use aws_sdk_cloudwatchlogs::Client;

use super::{Aws, ServiceError};

/// A log stream, and the region it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogStream {
    /// Name of the log group.
    pub group: String,
    /// Name of the stream.
    pub stream: String,
    /// Name of the region.
    pub region: String,
}

/// A part of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The events' messages in order; none is no sign of the end.
    pub messages: Vec<String>,
    /// Where the next page begins. At the end it is what was asked for (CloudWatch Logs API reference, GetLogEvents).
    pub next: Option<String>,
}

/// One page: the first, or the one that `token` names.
///
/// # Errors
/// [`ServiceError`]; [`is_missing`] before the stream exists, which is when the container starts.
pub async fn get_log_events(aws: &Aws, from: &LogStream, token: Option<&str>) -> Result<Page, ServiceError> {
    let call = in_region(aws, &from.region).get_log_events().log_group_name(&from.group).log_stream_name(&from.stream);
    let sent = call.start_from_head(true).set_next_token(token.map(str::to_owned)).send().await;
    let reply = sent.map_err(|error| ServiceError::new("logs:GetLogEvents", &error))?;
    let messages = reply.events().iter().filter_map(|event| event.message().map(str::to_owned)).collect();
    Ok(Page { messages, next: reply.next_forward_token().map(str::to_owned) })
}

/// Whether the service says that there is no such stream or group.
#[must_use]
pub fn is_missing(error: &ServiceError) -> bool {
    error.code() == Some("ResourceNotFoundException")
}

/// A task may log to another region than its own.
fn in_region(aws: &Aws, region: &str) -> Client {
    if region == aws.region {
        return aws.logs.clone();
    }
    let config = aws.logs.config().to_builder().region(aws_config::Region::new(region.to_owned()));
    Client::from_conf(config.build())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;
    use crate::error::Advice as _;

    fn stream() -> LogStream {
        LogStream { group: "/ecs/cli".to_owned(), stream: "p/cli/1".to_owned(), region: "eu-west-1".to_owned() }
    }

    #[tokio::test]
    async fn a_page_is_asked_for_from_the_head_on() {
        let (aws, asked) = answering(|_, _| {
            let event =
                |message: &str| json!({"timestamp": 1_763_700_000_000_i64, "message": message, "ingestionTime": 2});
            let (forward, backward) = ("f/2/s", "b/1/s");
            (
                200,
                json!({"events": [event("a"), event("b")], "nextForwardToken": forward, "nextBackwardToken": backward}),
            )
        });
        let page = get_log_events(&aws, &stream(), None).await.expect("a page");
        let messages = vec!["a".to_owned(), "b".to_owned()];
        assert_eq!(page, Page { messages, next: Some("f/2/s".to_owned()) });
        get_log_events(&aws, &stream(), page.next.as_deref()).await.expect("a page");
        let first = json!({"logGroupName": "/ecs/cli", "logStreamName": "p/cli/1", "startFromHead": true});
        let mut next = first.clone();
        next["nextToken"] = "f/2/s".into();
        let expected = [first, next].map(|request| ("GetLogEvents".to_owned(), request));
        assert_eq!(asked.all(), expected);
    }

    #[tokio::test]
    async fn another_region_is_asked_in_its_own_name() {
        let (aws, _) = answering(|_, _| (200, json!({"events": []})));
        assert_eq!(in_region(&aws, "us-west-2").config().region().map(AsRef::as_ref), Some("us-west-2"));
        let elsewhere = LogStream { region: "us-west-2".to_owned(), ..stream() };
        assert_eq!(get_log_events(&aws, &elsewhere, None).await.expect("a page"), Page::default());
    }

    #[tokio::test]
    async fn a_stream_that_is_not_yet_there_is_told_apart_from_a_refusal() {
        let (aws, _) = answering(|_, _| {
            let message = "The specified log stream does not exist.";
            (400, json!({"__type": "ResourceNotFoundException", "message": message}))
        });
        assert!(is_missing(&get_log_events(&aws, &stream(), None).await.expect_err("none")));
        let (aws, _) = answering(|_, _| (400, json!({"__type": "AccessDeniedException", "message": "no"})));
        let error = get_log_events(&aws, &stream(), None).await.expect_err("refused");
        assert!(!is_missing(&error));
        assert!(error.hints()[0].contains("host-key-logs.json"), "{:?}", error.hints());
        let (aws, _) = answering(|_, _| (400, json!({"__type": "ThrottlingException", "message": "Rate exceeded"})));
        assert!(get_log_events(&aws, &stream(), None).await.expect_err("throttled").is_transient());
    }
}

//! `FilterLogEvents`: the events of several streams by time.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{begin, group_name, invalid, limit, no_such};
use crate::error::ApiError;
use crate::protocol::aws_json;
use crate::state::Shared;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Vec<String>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<i64>,
}

/// Most events of a page, and most streams of a request.
const PAGE: usize = 10_000;
const STREAMS_MAX: usize = 100;

/// Answers a call.
pub(super) fn call(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(request)?;
    let (begin, size) = (begin(request.next_token.as_deref())?, limit(request.limit, PAGE)?);
    let names = &request.log_stream_names;
    if !names.is_empty() && request.log_stream_name_prefix.is_some() {
        return Err(invalid("Cannot have both logStreamNames and logStreamNamePrefix."));
    }
    if names.len() > STREAMS_MAX {
        return Err(invalid("logStreamNames can have at most 100 items."));
    }
    let terms = terms(request.filter_pattern.as_deref().unwrap_or_default())?;
    let name = group_name(request.log_group_name.clone(), request.log_group_identifier.clone())?;
    let groups = shared.logs.lock();
    let group = groups.get(&name).ok_or_else(|| no_such("group"))?;
    if names.iter().any(|name| !group.streams.contains_key(name)) {
        return Err(no_such("stream"));
    }
    let prefix = request.log_stream_name_prefix.as_deref().unwrap_or_default();
    let is_wanted = |stream: &str| {
        if names.is_empty() { stream.starts_with(prefix) } else { names.iter().any(|name| name == stream) }
    };
    let (from, until) = (request.start_time.unwrap_or(i64::MIN), request.end_time.unwrap_or(i64::MAX));
    let mut found = Vec::new();
    for (stream, held) in group.streams.iter().filter(|(stream, _)| is_wanted(stream)) {
        for (index, event) in held.told().enumerate().filter(|(_, event)| (from..=until).contains(&event.at)) {
            if terms.iter().all(|term| event.message.contains(term)) {
                found.push((event.at, stream, held.gone + index, event));
            }
        }
    }
    found.sort_by_key(|(at, stream, number, _)| (*at, (*stream).clone(), *number));
    let page: Vec<_> = found.iter().skip(begin).take(size).collect();
    let events = page.into_iter().map(|(at, stream, number, event)| {
        json!({
            "logStreamName": stream,
            "timestamp": at,
            "message": event.message,
            "ingestionTime": event.taken_in,
            "eventId": format!("{at:020}{number:036}"),
        })
    });
    let mut reply = json!({"events": events.collect::<Vec<_>>(), "searchedLogStreams": []});
    if begin + size < found.len() {
        reply["nextToken"] = (begin + size).to_string().into();
    }
    Ok(reply)
}

/// The words that a message must hold; the pattern language has more, which is refused rather than misread.
fn terms(pattern: &str) -> Result<Vec<String>, ApiError> {
    if pattern.contains(['?', '{', '[', '%', '-', '*', '"']) {
        return Err(invalid("only patterns of plain words are played here"));
    }
    Ok(pattern.split_whitespace().map(str::to_owned).collect())
}

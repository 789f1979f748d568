//! `DescribeLogStreams`.

use serde::Deserialize;
use serde_json::{Value, json};

use super::store::Stream;
use super::{begin, group_name, invalid, limit, no_such};
use crate::ACCOUNT;
use crate::error::ApiError;
use crate::protocol::aws_json;
use crate::state::Shared;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<String>,
    descending: bool,
    limit: Option<i64>,
    next_token: Option<String>,
}

/// Most streams of a page.
const PAGE: usize = 50;

/// Answers a call.
pub(super) fn describe(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(request)?;
    let name = group_name(request.log_group_name, request.log_group_identifier)?;
    let (begin, size) = (begin(request.next_token.as_deref())?, limit(request.limit, PAGE)?);
    let by_time = match request.order_by.as_deref() {
        None | Some("LogStreamName") => false,
        Some("LastEventTime") if request.log_stream_name_prefix.is_some() => {
            return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
        }
        Some("LastEventTime") => true,
        Some(other) => return Err(invalid(format!("Invalid orderBy '{other}'."))),
    };
    let groups = shared.logs.lock();
    let group = groups.get(&name).ok_or_else(|| no_such("group"))?;
    let prefix = request.log_stream_name_prefix.unwrap_or_default();
    let mut matching: Vec<_> = group.streams.iter().filter(|(name, _)| name.starts_with(&prefix)).collect();
    if by_time {
        matching.sort_by_key(|(_, stream)| stream.told().next_back().map_or(stream.created, |event| event.at));
    }
    if request.descending {
        matching.reverse();
    }
    let page: Vec<_> =
        matching.iter().skip(begin).take(size).map(|(known, stream)| described(shared, &name, known, stream)).collect();
    let mut reply = json!({"logStreams": page});
    if begin + size < matching.len() {
        reply["nextToken"] = (begin + size).to_string().into();
    }
    Ok(reply)
}

fn described(shared: &Shared, group: &str, name: &str, stream: &Stream) -> Value {
    let region = &shared.config.region;
    let mut body = json!({
        "logStreamName": name,
        "creationTime": stream.created,
        "arn": format!("arn:aws:logs:{region}:{ACCOUNT}:log-group:{group}:log-stream:{name}"),
        "storedBytes": 0,
    });
    if let Some((first, last)) = stream.told().next().zip(stream.told().next_back()) {
        body["firstEventTimestamp"] = first.at.into();
        body["lastEventTimestamp"] = last.at.into();
        body["lastIngestionTime"] = last.taken_in.into();
    }
    body
}

//! `GetLogEvents`: one stream, forward or backward. The tokens are never absent; the end is where a token comes back unchanged.

use serde::Deserialize;
use serde_json::{Value, json};

use super::store::{Event, Stream};
use super::{group_name, invalid, limit, no_such};
use crate::error::ApiError;
use crate::protocol::aws_json;
use crate::state::Shared;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Request {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<i64>,
    end_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<i64>,
    start_from_head: bool,
}

/// Most events of a page, and most bytes.
const PAGE: usize = 10_000;
const PAGE_BYTES: usize = 1024 * 1024;

/// Where to read on: before or after the event of this number, counted from the stream's first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Forward(usize),
    Backward(usize),
}

/// Answers a call.
pub(super) fn call(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(request)?;
    let size = limit(request.limit, PAGE)?;
    let given = request.next_token.as_deref().map(Token::parse).transpose()?;
    if request.log_stream_name.is_empty() {
        return Err(invalid(
            "1 validation error detected: Value at 'logStreamName' failed to satisfy constraint: 1 to 512",
        ));
    }
    let name = group_name(request.log_group_name, request.log_group_identifier)?;
    let groups = shared.logs.lock();
    let group = groups.get(&name).ok_or_else(|| no_such("group"))?;
    let stream = group.streams.get(&request.log_stream_name).ok_or_else(|| no_such("stream"))?;
    let (from, until) = (request.start_time.unwrap_or(i64::MIN), request.end_time.unwrap_or(i64::MAX));
    let end = stream.gone + stream.told().len();
    let token = given.unwrap_or(if request.start_from_head { Token::Forward(0) } else { Token::Backward(end) });
    let in_time = |(_, event): &(usize, &Event)| (from..until).contains(&event.at);
    let page = page(stream, token, size, in_time);
    let (first, last) = match (page.first(), page.last(), token) {
        (Some((first, _)), Some((last, _)), _) => (*first, last + 1),
        (_, _, Token::Forward(at) | Token::Backward(at)) => (at, at),
    };
    let events: Vec<_> = page
        .into_iter()
        .map(|(_, event)| json!({"timestamp": event.at, "message": event.message, "ingestionTime": event.taken_in}))
        .collect();
    Ok(json!({
        "events": events,
        "nextForwardToken": Token::Forward(last).text(),
        "nextBackwardToken": Token::Backward(first).text(),
    }))
}

/// The events of a page in order, with their numbers.
fn page(
    stream: &Stream,
    token: Token,
    size: usize,
    in_time: impl Fn(&(usize, &Event)) -> bool,
) -> Vec<(usize, &Event)> {
    let numbered = stream.told().enumerate().map(|(index, event)| (stream.gone + index, event));
    let mut bytes = 0;
    let mut fits = |event: &Event| {
        bytes += event.message.len();
        bytes <= PAGE_BYTES
    };
    match token {
        Token::Forward(at) => numbered
            .filter(|(number, _)| *number >= at)
            .filter(in_time)
            .take(size)
            .take_while(|(_, event)| fits(event))
            .collect(),
        Token::Backward(at) => {
            let backward = numbered.rev().filter(|(number, _)| *number < at).filter(in_time);
            let mut page: Vec<_> = backward.take(size).take_while(|(_, event)| fits(event)).collect();
            page.reverse();
            page
        }
    }
}

impl Token {
    fn parse(text: &str) -> Result<Self, ApiError> {
        let number = |digits: &str| digits.strip_suffix("/s").and_then(|digits| digits.parse().ok());
        let parsed = match text.split_once('/') {
            Some(("f", rest)) => number(rest).map(Self::Forward),
            Some(("b", rest)) => number(rest).map(Self::Backward),
            _ => None,
        };
        parsed.ok_or_else(|| invalid("The specified nextToken is invalid."))
    }

    fn text(self) -> String {
        match self {
            Self::Forward(at) => format!("f/{at:056}/s"),
            Self::Backward(at) => format!("b/{at:056}/s"),
        }
    }
}

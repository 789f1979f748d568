//! Pages of lists: `maxResults`, and a `nextToken` that is good for the list it came from and for no other.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::ApiError;
use crate::protocol::aws_json;

/// Most items of a page (ECS API reference, the List operations), and what callers get who do not say.
pub(super) const PAGE_MAX: i64 = 100;
/// Hexadecimal digits of a token that tell the list it came from.
const SCOPE_DIGITS: usize = 16;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Paging {
    max_results: Option<i64>,
    next_token: Option<String>,
}

/// One page of `all`, as `member`: from 1 to 100 items, without `maxResults` as many as `default`. A token is refused by another
/// operation, by one with other filters, and if anybody has changed it.
pub(super) fn page(all: &[String], request: &Value, default: i64, member: &str) -> Result<Value, ApiError> {
    let paging: Paging = aws_json::parse(request)?;
    let size = paging.max_results.unwrap_or(default);
    if !(1..=PAGE_MAX).contains(&size) {
        return Err(ApiError::invalid("maxResults must be between 1 and 100"));
    }
    let begin = match paging.next_token {
        None => 0,
        Some(token) => begin(&token, request, member).ok_or_else(|| ApiError::invalid("Invalid token"))?,
    };
    // A list may have become shorter since.
    let begin = begin.min(all.len());
    let end = all.len().min(begin + usize::try_from(size).unwrap_or_default());
    let mut page = json!({member: all.get(begin..end).unwrap_or_default()});
    if end < all.len() {
        page["nextToken"] = token(end, request, member).into();
    }
    Ok(page)
}

/// Where the page begins that the token stands for; `None` if it is no token of this list's.
fn begin(given: &str, request: &Value, member: &str) -> Option<usize> {
    let begin = usize::from_str_radix(given.get(SCOPE_DIGITS..)?, 16).ok()?;
    (token(begin, request, member) == given).then_some(begin)
}

fn token(begin: usize, request: &Value, member: &str) -> String {
    let mut filters = request.clone();
    if let Some(filters) = filters.as_object_mut() {
        filters.retain(|name, _| name != "maxResults" && name != "nextToken");
    }
    let mut scope = DefaultHasher::new();
    (member, filters.to_string(), begin).hash(&mut scope);
    format!("{:0SCOPE_DIGITS$x}{begin:x}", scope.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(request: &Value, member: &str) -> Option<&'static str> {
        let all: Vec<_> = ["a", "b", "c"].map(str::to_owned).into();
        page(&all, request, PAGE_MAX, member).err().map(|error| error.code)
    }

    #[test]
    fn pages_follow_each_other_and_have_bounds() {
        let all: Vec<_> = ["a", "b", "c"].map(str::to_owned).into();
        let first = page(&all, &json!({"maxResults": 2}), PAGE_MAX, "arns").expect("a page");
        assert_eq!(first["arns"], json!(["a", "b"]));
        // The number of items may change from page to page.
        let second = page(&all, &json!({"maxResults": 1, "nextToken": first["nextToken"]}), PAGE_MAX, "arns");
        assert_eq!(second, Ok(json!({"arns": ["c"]})));
        let unasked = page(&all, &json!({}), 2, "arns").expect("a page");
        assert_eq!(unasked["arns"], json!(["a", "b"]));
        for size in [0, 101, -1] {
            assert_eq!(refusal(&json!({"maxResults": size}), "arns"), Some("InvalidParameterException"), "{size}");
        }
    }

    #[test]
    fn a_token_is_good_for_its_own_list() {
        let request = json!({"cluster": "shop", "maxResults": 1});
        let own = token(1, &request, "taskArns");
        let with = |token: &str, cluster: &str| json!({"cluster": cluster, "nextToken": token});
        assert_eq!(refusal(&with(&own, "shop"), "taskArns"), None);
        let forged = own.replace('1', "2");
        for (request, member) in [
            (with(&own, "tools"), "taskArns"),
            (with(&own, "shop"), "serviceArns"),
            (with(&forged, "shop"), "taskArns"),
            (with("1", "shop"), "taskArns"),
            (with("", "shop"), "taskArns"),
            (with("äääääääääääääääää", "shop"), "taskArns"),
        ] {
            assert_eq!(refusal(&request, member), Some("InvalidParameterException"), "{request} {member}");
        }
    }
}

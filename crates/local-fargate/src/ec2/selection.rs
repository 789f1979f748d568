//! What every Describe operation of EC2 has in common: ids, filters and pages.

use serde_json::{Value, json};

use crate::error::ApiError;
use crate::protocol::query::Form;

/// Bounds of `MaxResults` (EC2 API reference, the Describe operations played here).
const PAGE: std::ops::RangeInclusive<usize> = 5..=1000;

/// What sets one operation apart.
pub(super) struct Selection<'a> {
    /// Name of the reply's list.
    pub(super) set: &'a str,
    /// Name of the request's list of ids, and of the id in an item.
    pub(super) ids: (&'a str, &'a str),
    /// Code and message of an id that is not there; `{}` is the id.
    pub(super) not_found: (&'static str, &'a str),
    /// Filters and the members they look at; lists on the way are looked through.
    pub(super) filters: &'a [(&'a str, &'a [&'a str])],
}

impl Selection<'_> {
    /// The page of `items` that the request asks for.
    pub(super) fn page(&self, items: Vec<Value>, form: &Form) -> Result<Value, ApiError> {
        form.only(&[self.ids.0, "Filter", "MaxResults", "NextToken", "DryRun"])?;
        let ids = form.list(self.ids.0);
        if !ids.is_empty() && form.text("MaxResults").is_some() {
            let message = format!("The parameter {}s cannot be used with the parameter MaxResults", self.ids.0);
            return Err(ApiError::new("InvalidParameterCombination", message));
        }
        let has_id = |item: &Value, id: &str| item[self.ids.1] == *id;
        if let Some(missing) = ids.iter().find(|id| !items.iter().any(|item| has_id(item, id))) {
            return Err(ApiError::new(self.not_found.0, self.not_found.1.replace("{}", missing)));
        }
        let mut items = items;
        items.retain(|item| ids.is_empty() || ids.iter().any(|id| has_id(item, id)));
        for number in 1.. {
            let Some(name) = form.text(&format!("Filter.{number}.Name")) else { break };
            let values = form.list(&format!("Filter.{number}.Value"));
            if values.iter().any(|value| value.contains(['*', '?'])) {
                return Err(invalid("wildcards in filters are not played here".to_owned()));
            }
            if let Some(key) = name.strip_prefix("tag:") {
                items.retain(|item| values.iter().any(|value| has_tag(item, key, value)));
                continue;
            }
            let path = self.filters.iter().find(|(known, _)| *known == name).map(|(_, path)| *path);
            let path = path.ok_or_else(|| invalid(format!("The filter '{name}' is invalid")))?;
            items.retain(|item| {
                let mut found = Vec::new();
                collect(item, path, &mut found);
                values.iter().any(|value| found.contains(value))
            });
        }
        self.cut(&items, form)
    }

    fn cut(&self, items: &[Value], form: &Form) -> Result<Value, ApiError> {
        let size = match form.text("MaxResults") {
            None => *PAGE.end(),
            Some(text) => text.parse().ok().filter(|size| PAGE.contains(size)).ok_or_else(|| {
                invalid(format!(
                    "Value ( {text} ) for parameter maxResults is invalid. Expecting a value between 5 and 1000."
                ))
            })?,
        };
        let begin = match form.text("NextToken") {
            None => 0,
            Some(token) => token
                .parse()
                .ok()
                .filter(|begin| *begin <= items.len())
                .ok_or_else(|| ApiError::new("InvalidNextToken", "The token is invalid."))?,
        };
        let end = items.len().min(begin + size);
        let mut body = json!({self.set: items.get(begin..end).unwrap_or_default()});
        if end < items.len() {
            body["nextToken"] = end.to_string().into();
        }
        Ok(body)
    }
}

fn invalid(message: String) -> ApiError {
    ApiError::new("InvalidParameterValue", message)
}

fn has_tag(item: &Value, key: &str, value: &str) -> bool {
    item["tagSet"].as_array().is_some_and(|tags| tags.iter().any(|tag| tag["key"] == key && tag["value"] == value))
}

fn collect(value: &Value, path: &[&str], found: &mut Vec<String>) {
    match (value, path) {
        (Value::Array(items), _) => items.iter().for_each(|item| collect(item, path, found)),
        (value, [name, rest @ ..]) => collect(&value[*name], rest, found),
        (Value::Null, []) => {}
        (Value::String(text), []) => found.push(text.clone()),
        (other, []) => found.push(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SELECTION: Selection<'_> = Selection {
        set: "thingSet",
        ids: ("ThingId", "thingId"),
        not_found: ("InvalidThing.NotFound", "no '{}'"),
        filters: &[("group-id", &["groupSet", "groupId"])],
    };

    fn things(count: usize) -> Vec<Value> {
        (0..count)
            .map(|n| json!({"thingId": format!("t-{n}"), "groupSet": [{"groupId": format!("g-{}", n % 2)}], "tagSet": [{"key": "n", "value": n.to_string()}]}))
            .collect()
    }

    fn page(count: usize, form: &str) -> Result<Vec<Value>, &'static str> {
        let page = SELECTION.page(things(count), &Form::parse(form.as_bytes())).map_err(|error| error.code)?;
        Ok(page["thingSet"].as_array().into_iter().flatten().map(|thing| thing["thingId"].clone()).collect())
    }

    #[test]
    fn ids_and_filters_select() {
        assert_eq!(page(3, "ThingId.1=t-2"), Ok(vec![json!("t-2")]));
        assert_eq!(page(3, "ThingId.1=t-9"), Err("InvalidThing.NotFound"));
        assert_eq!(page(3, "Filter.1.Name=group-id&Filter.1.Value.1=g-1"), Ok(vec![json!("t-1")]));
        assert_eq!(page(3, "Filter.1.Name=tag:n&Filter.1.Value.1=2"), Ok(vec![json!("t-2")]));
        assert_eq!(page(3, "Filter.1.Name=tag:N&Filter.1.Value.1=2"), Ok(vec![]));
        assert_eq!(page(3, "Filter.1.Name=group-id&Filter.1.Value.1=g-*"), Err("InvalidParameterValue"));
        assert_eq!(page(3, "Filter.1.Name=colour&Filter.1.Value.1=red"), Err("InvalidParameterValue"));
        assert_eq!(page(3, "Thing=t-2"), Err("UnknownParameter"));
    }

    #[test]
    fn pages_follow_each_other() {
        let first = SELECTION.page(things(7), &Form::parse(b"MaxResults=5")).expect("a page");
        assert_eq!(first["nextToken"], "5");
        assert_eq!(page(7, "MaxResults=5&NextToken=5").map(|page| page.len()), Ok(2));
        assert_eq!(page(7, "MaxResults=4"), Err("InvalidParameterValue"));
        assert_eq!(page(7, "NextToken=x"), Err("InvalidNextToken"));
        assert_eq!(page(7, "MaxResults=5&ThingId.1=t-1"), Err("InvalidParameterCombination"));
    }
}

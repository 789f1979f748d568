//! Whether a registered task definition is what we would register: ECS adds defaults and its own members, and nothing else may
//! differ.

use serde_json::{Map, Value};

use super::{OF_ANSWERS, carrier};

/// Lists whose items have names, and that ECS may give back in another order.
const NAMED: [&str; 4] = ["containerDefinitions", "environment", "secrets", "volumes"];

/// Whether `found`, as described, says what `asked` asks for and no more.
pub(super) fn is_same(found: &Map<String, Value>, asked: &Map<String, Value>) -> bool {
    let found = found.iter().filter(|(name, _)| !OF_ANSWERS.contains(&name.as_str()));
    let found: Map<String, Value> = found.map(|(name, value)| (name.clone(), value.clone())).collect();
    objects(&found, asked)
}

fn objects(found: &Map<String, Value>, asked: &Map<String, Value>) -> bool {
    // The carrier's labels are the mark, which names the revision that it was made from.
    let is_carrier = asked.get("name").is_some_and(|name| name == carrier::NAME);
    let names = found.keys().chain(asked.keys()).filter(|name| !(is_carrier && *name == "dockerLabels"));
    let value = |of: &Map<String, Value>, name: &String| of.get(name).cloned().unwrap_or_default();
    names.into_iter().all(|name| values(name, &value(found, name), &value(asked, name)))
}

fn values(name: &str, found: &Value, asked: &Value) -> bool {
    match (found, asked) {
        (Value::Object(found), Value::Object(asked)) => objects(found, asked),
        (Value::Array(found), Value::Array(asked)) => {
            let (found, asked) = (in_order(name, found), in_order(name, asked));
            found.len() == asked.len() && found.into_iter().zip(asked).all(|(found, asked)| values("", found, asked))
        }
        (found, asked) => found == asked || (is_default(name, found) && is_default(name, asked)),
    }
}

/// What ECS describes of members that were not given.
fn is_default(name: &str, value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(true) => name == "essential",
        Value::Bool(false) => name != "essential",
        Value::Number(number) => number.as_i64() == Some(0),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.iter().all(|(name, value)| is_default(name, value)),
        Value::String(text) => text.is_empty(),
    }
}

fn in_order<'a>(name: &str, items: &'a [Value]) -> Vec<&'a Value> {
    let mut items: Vec<_> = items.iter().collect();
    if NAMED.contains(&name) {
        items.sort_by_key(|item| item["name"].as_str().unwrap_or_default().to_owned());
    }
    items
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn same(found: Value, asked: Value) -> bool {
        let object = |value: Value| value.as_object().expect("an object").clone();
        is_same(&object(found), &object(asked))
    }

    #[test]
    fn what_ecs_adds_makes_no_difference() {
        let asked = json!({"family": "web", "containerDefinitions": [
            {"name": "a", "image": "i", "environment": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]},
        ]});
        let found = json!({"family": "web", "revision": 3, "status": "ACTIVE", "volumes": [], "containerDefinitions": [
            {"name": "a", "image": "i", "cpu": 0, "essential": true, "portMappings": [], "linuxParameters": {"devices": []},
             "environment": [{"name": "Y", "value": "2"}, {"name": "X", "value": "1"}]},
        ]});
        assert!(same(found, asked));
    }

    #[test]
    fn the_mark_makes_no_difference() {
        let marked = |from: &str, image: &str| {
            let labels = json!({"fargate-login.derived-from": from});
            json!({"containerDefinitions": [{"name": carrier::NAME, "image": image, "dockerLabels": labels}]})
        };
        assert!(same(marked("web:42", "i"), marked("web:43", "i")));
        assert!(!same(marked("web:42", "evil"), marked("web:42", "i")));
    }

    #[test]
    fn everything_else_does() {
        let asked = json!({"family": "web", "containerDefinitions": [{"name": "a", "image": "i", "essential": false}]});
        let with = |container: Value| json!({"family": "web", "containerDefinitions": [container]});
        assert!(same(with(json!({"name": "a", "image": "i", "essential": false})), asked.clone()));
        for container in [
            json!({"name": "a", "image": "evil", "essential": false}),
            json!({"name": "a", "image": "i", "essential": true}),
            json!({"name": "a", "image": "i", "essential": false, "command": ["x"]}),
            json!({"name": "a", "image": "i", "essential": false, "environment": [{"name": "X", "value": "1"}]}),
        ] {
            assert!(!same(with(container.clone()), asked.clone()), "{container}");
        }
        let more = json!({"family": "web", "containerDefinitions": [
            {"name": "a", "image": "i", "essential": false}, {"name": "b", "image": "evil"},
        ]});
        assert!(!same(more, asked.clone()));
        assert!(!same(
            json!({"family": "web", "taskRoleArn": "r", "containerDefinitions": asked["containerDefinitions"]}),
            asked
        ));
    }
}

//! A derived task definition is registered once: what has the same content already is found and used again.

use serde_json::{Map, Value, json};

use super::content_hash::FAMILY_END;
use super::members::{array_of, containers, name_of};
use super::{Derived, carrier, same_content};
use crate::aws::describe_task_definition::{TaskDefinition, describe_task_definition, is_missing};
use crate::aws::list_task_definitions::list_revisions;
use crate::aws::register_task_definition::register_task_definition;
use crate::aws::run_task::Tag;
use crate::aws::{Aws, ServiceError};
use crate::plan::tag_value;

/// Revisions that are looked at, newest first. Whoever alternates between more originals of one family registers anew.
const LOOK_BACK: usize = 10;
/// Keys of the mark, as tag and, with a dot for the colon, as label.
const DERIVED_FROM: &str = "derived-from";
const CONTENT_HASH: &str = "content-hash";

/// What we write on a task definition of ours: as tags, for people, policies and bills, and as labels of the carrier, which
/// nobody can change and which callers without `ecs:TagResource` can write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mark {
    /// `family:revision` that it was made from.
    pub derived_from: String,
    /// Hash of its content.
    pub content_hash: String,
}

impl Mark {
    /// The mark on a task definition; `None` on those that are not ours.
    #[must_use]
    pub fn read(definition: &TaskDefinition) -> Option<Self> {
        if !definition.family().ends_with(FAMILY_END) {
            return None;
        }
        let carrier = containers(definition).iter().find(|container| name_of(container) == carrier::NAME);
        let labels = carrier.and_then(|carrier| carrier.get("dockerLabels"));
        let value = |key: &str| {
            let label = labels.and_then(|labels| labels.get(label_key(key))).and_then(Value::as_str);
            label.or_else(|| definition.tag(&tag_key(key))).map(str::to_owned)
        };
        Some(Self { derived_from: value(DERIVED_FROM)?, content_hash: value(CONTENT_HASH)? })
    }
}

/// Writes the mark on the carrier. Not part of what is hashed.
pub(super) fn label(request: &mut Map<String, Value>, derived_from: &str, content_hash: &str) {
    let carriers = array_of(request, "containerDefinitions").iter_mut().filter(|c| name_of(c) == carrier::NAME);
    for carrier in carriers {
        carrier["dockerLabels"] =
            json!({ label_key(DERIVED_FROM): derived_from, label_key(CONTENT_HASH): content_hash });
    }
}

/// ARN of an active task definition with this very content, if there is one. Reads only.
///
/// # Errors
/// [`ServiceError`].
pub async fn find(aws: &Aws, derived: &Derived) -> Result<Option<String>, ServiceError> {
    // The mark finds it quickly; but whoever may register can write a mark, so the content has to be what we would register.
    let is_same = |found: &TaskDefinition| {
        Mark::read(found).is_some_and(|mark| mark.content_hash == derived.content_hash)
            && same_content::is_same(&found.json, &derived.request)
    };
    let newest = match describe_task_definition(aws, derived.family()).await {
        Ok(newest) if is_same(&newest) => return Ok(Some(newest.arn().to_owned())),
        Ok(newest) => newest,
        Err(error) if is_missing(&error) => return Ok(None),
        Err(error) => return Err(error),
    };
    for arn in list_revisions(aws, derived.family(), LOOK_BACK).await? {
        if arn == newest.arn() {
            continue;
        }
        match describe_task_definition(aws, &arn).await {
            Ok(found) if is_same(&found) => return Ok(Some(arn)),
            Ok(_) => {}
            // Deregistered since it was listed.
            Err(error) if is_missing(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Registers it and answers its ARN. `tagged` is for callers with `ecs:TagResource`.
///
/// # Errors
/// [`ServiceError`].
pub async fn register(
    aws: &Aws,
    derived: &Derived,
    tagged: bool,
    caller: Option<&str>,
) -> Result<String, ServiceError> {
    let tag = |key: &str, value: &str| Tag { key: tag_key(key), value: tag_value(value) };
    let mut tags = Vec::new();
    if tagged {
        tags.push(tag(DERIVED_FROM, &derived.original.name()));
        tags.push(tag(CONTENT_HASH, &derived.content_hash));
        tags.push(tag("version", env!("CARGO_PKG_VERSION")));
        tags.extend(caller.map(|caller| tag("caller", caller)));
    }
    register_task_definition(aws, &derived.request, &tags).await
}

fn tag_key(key: &str) -> String {
    format!("fargate-login:{key}")
}

fn label_key(key: &str) -> String {
    format!("fargate-login.{key}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::canned::{Asked, answering};
    use crate::derive::Wishes;

    fn derived() -> Derived {
        let original = json!({
            "family": "web", "revision": 42, "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
            "cpu": "256", "memory": "512", "containerDefinitions": [{"name": "app", "image": "web:7"}],
        });
        let original = TaskDefinition { json: original.as_object().expect("an object").clone(), tags: Vec::new() };
        let init_image = "init:1".to_owned();
        let wishes = Wishes { init_image, keep_entrypoint: false, with_sidecars: false, add_tmp: false };
        Derived::new(&original, "app", &wishes).expect("derived")
    }

    /// An account whose family `web-fargate-login` has these revisions, newest first, each with its content hash.
    fn account(hashes: Vec<String>) -> (Aws, Asked) {
        account_with(hashes, derived().request)
    }

    fn account_with(hashes: Vec<String>, content: Map<String, Value>) -> (Aws, Asked) {
        let arn = |revision: usize| format!("a:task-definition/web-fargate-login:{revision}");
        let newest = hashes.len();
        answering(move |operation, request| match operation {
            "ListTaskDefinitions" => {
                (200, json!({"taskDefinitionArns": (1..=newest).rev().map(arn).collect::<Vec<_>>()}))
            }
            "DescribeTaskDefinition" if hashes.is_empty() => {
                (400, json!({"__type": "ClientException", "message": "Unable to describe task definition."}))
            }
            "DescribeTaskDefinition" => {
                let name = request["taskDefinition"].as_str().expect("a name");
                let revision =
                    name.rsplit_once(':').map_or(newest, |(_, revision)| revision.parse().expect("a number"));
                let tags = json!([
                    {"key": "fargate-login:derived-from", "value": "web:1"},
                    {"key": "fargate-login:content-hash", "value": hashes[newest - revision]},
                ]);
                let mut found = Value::Object(content.clone());
                found["taskDefinitionArn"] = arn(revision).into();
                found["revision"] = revision.into();
                found["containerDefinitions"][1]["dockerLabels"]["fargate-login.content-hash"] =
                    hashes[newest - revision].as_str().into();
                (200, json!({"taskDefinition": found, "tags": tags}))
            }
            "RegisterTaskDefinition" => (200, json!({"taskDefinition": {"taskDefinitionArn": arn(newest + 1)}})),
            other => panic!("{other}"),
        })
    }

    #[tokio::test]
    async fn the_newest_is_found_with_one_call() {
        let (derived, hash) = (derived(), derived().content_hash);
        let (aws, asked) = account(vec![hash, "00".to_owned()]);
        let found = find(&aws, &derived).await.expect("an answer");
        assert_eq!(found.as_deref(), Some("a:task-definition/web-fargate-login:2"));
        assert_eq!(asked.operations(), ["DescribeTaskDefinition"]);
    }

    #[tokio::test]
    async fn an_older_one_is_found_and_nothing_else_is() {
        let (derived, hash) = (derived(), derived().content_hash);
        let (aws, _) = account(vec!["00".to_owned(), "01".to_owned(), hash]);
        let found = find(&aws, &derived).await.expect("an answer");
        assert_eq!(found.as_deref(), Some("a:task-definition/web-fargate-login:1"));
        let (aws, _) = account(vec!["00".to_owned(), "01".to_owned()]);
        assert_eq!(find(&aws, &derived).await, Ok(None));
        let (aws, asked) = account(Vec::new());
        assert_eq!(find(&aws, &derived).await, Ok(None));
        assert_eq!(asked.all().len(), 1);
    }

    #[tokio::test]
    async fn a_mark_on_other_content_is_not_believed() {
        let derived = derived();
        let mut forged = derived.request.clone();
        forged["containerDefinitions"][0]["image"] = "evil:1".into();
        let (aws, _) = account_with(vec![derived.content_hash.clone()], forged);
        assert_eq!(find(&aws, &derived).await, Ok(None));
    }

    #[tokio::test]
    async fn the_mark_is_written_twice_for_callers_who_may_tag() {
        let (derived, (aws, asked)) = (derived(), account(Vec::new()));
        let arn =
            register(&aws, &derived, true, Some("arn:aws:iam::000000000000:user/o'neil")).await.expect("registered");
        assert_eq!(arn, "a:task-definition/web-fargate-login:1");
        register(&aws, &derived, false, None).await.expect("registered");
        let sent: Vec<Value> = asked.all().into_iter().map(|(_, request)| request).collect();
        assert_eq!(sent[0]["tags"][0], json!({"key": "fargate-login:derived-from", "value": "web:42"}));
        assert_eq!(sent[0]["tags"][1], json!({"key": "fargate-login:content-hash", "value": derived.content_hash}));
        assert_eq!(sent[0]["tags"][3]["value"], "arn:aws:iam::000000000000:user/o_neil");
        assert!(sent[1].get("tags").is_none());
        assert_eq!(
            sent[1]["containerDefinitions"][1]["dockerLabels"]["fargate-login.content-hash"],
            derived.content_hash
        );
    }
}

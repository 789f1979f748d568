//! Derived task definitions that nobody needs: older revisions of their family, and those whose original is gone.

use std::collections::{BTreeMap, BTreeSet};

use backon::{ExponentialBuilder, Retryable as _};

use super::Rubbish;
use crate::aws::deregister_task_definition::deregister_task_definition;
use crate::aws::describe_task_definition::{describe_task_definition, is_missing};
use crate::aws::list_task_definitions::{family_and_revision, list_task_definitions};
use crate::aws::{Aws, ServiceError};
use crate::derive::{FAMILY_END, Mark};
use crate::ui::Ui;

/// The account registers and deregisters one task definition a second, after a burst of twenty (ECS Developer Guide, request
/// throttling): beyond what the SDK retries, this many times more is waited for a turn.
const TURNS: usize = 8;

/// Revisions of ours that are not the newest of their family, or whose original has no active revision left. What does not
/// bear our mark is somebody else's, whatever its name.
///
/// # Errors
/// [`ServiceError`].
pub(super) async fn find(aws: &Aws, ui: &Ui) -> Result<Vec<Rubbish>, ServiceError> {
    let arns = list_task_definitions(aws).await?;
    let named = || arns.iter().filter_map(|arn| Some((arn, family_and_revision(arn)?)));
    let families: BTreeSet<&str> = named().map(|(_, (family, _))| family).collect();
    let mut derived: BTreeMap<&str, Vec<(u64, &str)>> = BTreeMap::new();
    for (arn, (family, revision)) in named().filter(|(_, (family, _))| family.ends_with(FAMILY_END)) {
        derived.entry(family).or_default().push((revision, arn));
    }
    let mut rubbish = Vec::new();
    for (family, mut revisions) in derived {
        ui.phase(&format!("DescribeTaskDefinition {family}"));
        revisions.sort_unstable_by(|one, other| other.cmp(one));
        let mut newest = true;
        for (_, arn) in revisions {
            let Some(mark) = mark(aws, arn).await? else { continue };
            let original = mark.derived_from.rsplit_once(':').map_or(mark.derived_from.as_str(), |(family, _)| family);
            let why = if !families.contains(original) {
                Some(format!("its original {original} is gone"))
            } else if !newest {
                Some("has a newer revision".to_owned())
            } else {
                None
            };
            newest = false;
            rubbish.extend(why.map(|why| Rubbish { id: arn.to_owned(), why }));
        }
    }
    Ok(rubbish)
}

/// Deregisters one.
///
/// # Errors
/// [`ServiceError`].
pub(super) async fn take_away(aws: &Aws, rubbish: &Rubbish) -> Result<(), ServiceError> {
    let call = || deregister_task_definition(aws, &rubbish.id);
    let backoff = ExponentialBuilder::default().with_jitter().with_max_times(TURNS);
    call.retry(backoff).when(ServiceError::is_transient).await
}

async fn mark(aws: &Aws, arn: &str) -> Result<Option<Mark>, ServiceError> {
    match describe_task_definition(aws, arn).await {
        Ok(found) => Ok(Mark::read(&found)),
        // Somebody else was faster.
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::canned::{Asked, answering};
    use crate::options::GcOptions;

    /// An account with these task definitions; those with a number are marked as derived from `original:1`.
    fn account(definitions: &'static [(&'static str, Option<&'static str>)]) -> (Aws, Asked) {
        answering(move |operation, request| match operation {
            "ListTaskDefinitions" => {
                let arns: Vec<String> =
                    definitions.iter().map(|(name, _)| format!("a:task-definition/{name}")).collect();
                (200, json!({"taskDefinitionArns": arns}))
            }
            "DescribeTaskDefinition" => {
                let asked = request["taskDefinition"].as_str().expect("a name");
                let (name, original) = definitions.iter().find(|(name, _)| asked.ends_with(name)).expect("listed");
                let (family, revision) = family_and_revision(name).expect("a name");
                let tags = original.map_or(Value::Array(Vec::new()), |original| {
                    json!([
                        {"key": "fargate-login:derived-from", "value": original},
                        {"key": "fargate-login:content-hash", "value": "00"},
                    ])
                });
                (200, json!({"taskDefinition": {"family": family, "revision": revision}, "tags": tags}))
            }
            "DeregisterTaskDefinition" => (200, json!({})),
            other => panic!("{other}"),
        })
    }

    const ACCOUNT: &[(&str, Option<&str>)] = &[
        ("web:41", None),
        ("web-fargate-login:9", Some("web:41")),
        ("web-fargate-login:10", Some("web:41")),
        ("web-fargate-login:8", Some("web:40")),
        // Somebody registered one by hand in our family: not ours, and not the newest of ours.
        ("web-fargate-login:11", None),
        ("gone-fargate-login:1", Some("gone:7")),
        ("not-ours-fargate-login:1", None),
        ("not-ours-fargate-login:2", None),
    ];

    #[tokio::test]
    async fn the_newest_with_a_living_original_stays() {
        let (aws, _) = account(ACCOUNT);
        let found = find(&aws, &Ui::new(true)).await.expect("found");
        let found: Vec<(&str, &str)> =
            found.iter().map(|rubbish| (rubbish.id.as_str(), rubbish.why.as_str())).collect();
        assert_eq!(
            found,
            [
                ("a:task-definition/gone-fargate-login:1", "its original gone is gone"),
                ("a:task-definition/web-fargate-login:9", "has a newer revision"),
                ("a:task-definition/web-fargate-login:8", "has a newer revision"),
            ]
        );
    }

    #[tokio::test]
    async fn a_dry_run_deregisters_nothing() {
        for (dry_run, deregistered) in [(true, 0), (false, 3)] {
            let (aws, asked) = account(ACCOUNT);
            let options = GcOptions { dry_run, ..GcOptions::default() };
            assert_eq!(super::super::sweep(&options, &aws, &Ui::new(true)).await, Ok(3));
            let calls = asked.operations().iter().filter(|operation| *operation == "DeregisterTaskDefinition").count();
            assert_eq!(calls, deregistered, "dry run: {dry_run}");
        }
    }
}

//! Security-group rules that runs have left: those with our tag whose run is over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use jiff::Timestamp;

use super::{Rubbish, tell};
use crate::aws::describe_security_group_rules::{IngressRule, describe_security_group_rules};
use crate::aws::list_runs::list_runs;
use crate::aws::revoke_security_group_ingress::revoke_security_group_ingress;
use crate::aws::{Aws, ServiceError};
use crate::options::GcOptions;
use crate::plan::STARTED_BY;
use crate::plan::ingress::{CLUSTER_TAG, CREATED_TAG, EXPIRES_TAG, RUN_TAG};
use crate::ui::Ui;

/// A rule is added before its task is launched: so long it is left alone though no task is known, if nothing else is said.
const OLDER_THAN: Duration = Duration::from_secs(5 * 60);
/// What the clock that wrote a time may be ahead of ours, or behind.
const CLOCKS: Duration = Duration::from_secs(5 * 60);
/// Beyond what the SDK retries, a throttled call is tried this many times more.
const TRIES: usize = 5;

/// Finds rules of runs that are over and, unless it is a dry run, revokes them. Returns how many.
///
/// # Errors
/// [`ServiceError`], the last of those that were met: one rule that cannot be revoked does not hold up the others.
pub(super) async fn sweep(options: &GcOptions, aws: &Aws, ui: &Ui) -> Result<usize, ServiceError> {
    ui.phase("DescribeSecurityGroupRules");
    let found = find(aws, ui, Timestamp::now(), options.older_than.unwrap_or(OLDER_THAN)).await?;
    let mut refused = None;
    for (group, rubbish) in &found {
        if !options.dry_run {
            ui.phase(&format!("RevokeSecurityGroupIngress {}", rubbish.id));
            let call = || revoke_security_group_ingress(aws, group, &rubbish.id);
            let backoff = ExponentialBuilder::default().with_jitter().with_max_times(TRIES);
            if let Err(error) = call.retry(backoff).when(ServiceError::is_transient).await {
                // The caller may have the right for some groups only.
                ui.warn(&format!("{} in {group} stays", rubbish.id));
                refused = Some(error);
                continue;
            }
        }
        tell(rubbish, ui);
    }
    refused.map_or(Ok(found.len()), Err)
}

/// Rules of all groups of this account and region, each with its group, whose run has no task any more or is past its end. What
/// does not bear our tags is somebody else's; what does not say when and where its run was cannot be judged, and stays.
async fn find(
    aws: &Aws,
    ui: &Ui,
    now: Timestamp,
    older_than: Duration,
) -> Result<Vec<(String, Rubbish)>, ServiceError> {
    let mut running: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut found = Vec::new();
    for rule in describe_security_group_rules(aws, ("tag-key", RUN_TAG)).await? {
        let Some(run) = rule.tag(RUN_TAG) else { continue };
        let why = if is_past(&rule, EXPIRES_TAG, CLOCKS, now) {
            format!("in {}: run {run} is past its end", rule.group)
        } else {
            let Some(cluster) = rule.tag(CLUSTER_TAG).filter(|_| is_past(&rule, CREATED_TAG, older_than, now)) else {
                continue;
            };
            if !running.contains_key(cluster) {
                ui.phase(&format!("ListTasks {cluster}"));
                running.insert(cluster.to_owned(), list_runs(aws, cluster, STARTED_BY).await?);
            }
            if running.get(cluster).is_some_and(|runs| runs.contains(run)) {
                continue;
            }
            format!("in {}: run {run} has no task", rule.group)
        };
        found.push((rule.group.clone(), Rubbish { id: rule.id.clone(), why }));
    }
    Ok(found)
}

/// Whether the time in a tag is so long ago.
fn is_past(rule: &IngressRule, tag: &str, ago: Duration, now: Timestamp) -> bool {
    let time = rule.tag(tag).and_then(|text| text.parse::<Timestamp>().ok());
    // A time that cannot be added to is not past.
    time.and_then(|time| time.checked_add(ago).ok()).is_some_and(|time| time < now)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::canned::{Asked, answering};

    /// Id, run, minutes since it was made, minutes until it ends.
    type Known = (&'static str, &'static str, i64, i64);

    const RULES: &[Known] = &[
        ("sgr-1", "running", 60, 660),
        ("sgr-2", "over", 6, 660),
        ("sgr-3", "over", 4, 660),
        ("sgr-4", "running", 800, -6),
        ("sgr-5", "running", 800, -4),
    ];

    fn item((id, run, age, left): &Known) -> String {
        let at = |minutes: i64| Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
        let tag = |key: &str, value: String| format!("<item><key>{key}</key><value>{value}</value></item>");
        let tags = [
            tag(RUN_TAG, (*run).to_owned()),
            tag(CLUSTER_TAG, "tools".to_owned()),
            tag(CREATED_TAG, at(-age).to_string()),
            tag(EXPIRES_TAG, at(*left).to_string()),
        ];
        let tags = tags.concat();
        format!(
            "<item><securityGroupRuleId>{id}</securityGroupRuleId><groupId>sg-1</groupId><tagSet>{tags}</tagSet></item>"
        )
    }

    fn account(more: &'static str) -> (Aws, Asked) {
        answering(move |operation, request| match operation {
            "DescribeSecurityGroupRules" => {
                assert_eq!(request["Filter.1.Value.1"], RUN_TAG);
                let items: String = RULES.iter().map(item).collect();
                let set = format!("<securityGroupRuleSet>{items}{more}</securityGroupRuleSet>");
                (
                    200,
                    Value::from(format!(
                        "<DescribeSecurityGroupRulesResponse>{set}</DescribeSecurityGroupRulesResponse>"
                    )),
                )
            }
            "ListTasks" => {
                assert_eq!((&request["cluster"], &request["startedBy"]), (&json!("tools"), &json!(STARTED_BY)));
                (200, json!({"taskArns": ["a:task/tools/1"]}))
            }
            "DescribeTasks" => {
                let tags = json!([{"key": RUN_TAG, "value": "running"}]);
                (200, json!({"tasks": [{"lastStatus": "RUNNING", "tags": tags}]}))
            }
            "RevokeSecurityGroupIngress" => (
                200,
                "<RevokeSecurityGroupIngressResponse><return>true</return></RevokeSecurityGroupIngressResponse>".into(),
            ),
            other => panic!("{other}"),
        })
    }

    #[tokio::test]
    async fn rules_of_running_tasks_and_young_ones_stay() {
        let (aws, asked) = account("");
        let found = find(&aws, &Ui::new(true), Timestamp::now(), OLDER_THAN).await.expect("found");
        let found: Vec<_> = found.iter().map(|(group, rubbish)| format!("{group} {}", rubbish.id)).collect();
        assert_eq!(found, ["sg-1 sgr-2", "sg-1 sgr-4"]);
        let lists = asked.operations().iter().filter(|operation| *operation == "ListTasks").count();
        assert_eq!(lists, 1, "each cluster is asked once");
    }

    #[tokio::test]
    async fn a_rule_that_does_not_say_when_and_where_it_was_made_stays() {
        let more = "<item><securityGroupRuleId>sgr-9</securityGroupRuleId><groupId>sg-1</groupId><tagSet><item>\
                    <key>fargate-login:run</key><value>over</value></item></tagSet></item>";
        let (aws, _) = account(more);
        let found = find(&aws, &Ui::new(true), Timestamp::now(), OLDER_THAN).await.expect("found");
        assert!(!found.iter().any(|(_, rubbish)| rubbish.id == "sgr-9"), "{found:?}");
    }

    #[tokio::test]
    async fn a_dry_run_revokes_nothing() {
        for (dry_run, revoked) in [(true, 0), (false, 2)] {
            let (aws, asked) = account("");
            let options = GcOptions { dry_run, ..GcOptions::default() };
            assert_eq!(sweep(&options, &aws, &Ui::new(true)).await, Ok(2));
            let calls =
                asked.operations().iter().filter(|operation| *operation == "RevokeSecurityGroupIngress").count();
            assert_eq!(calls, revoked, "dry run: {dry_run}");
        }
    }
}

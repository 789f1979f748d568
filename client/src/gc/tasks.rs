//! Tasks of this tool that have outlived their longest life: their init should have ended them, and did not, or was never there.

use std::io::Write as _;

use crate::aws::Aws;
use crate::fleet::clock::{now, span};
use crate::fleet::{Member, find};
use crate::options::{Clusters, GcOptions};
use crate::task;
use crate::ui::Ui;

/// Time after the longest life before a task counts as forgotten: the init counts from its own start, which image pull and
/// start timeout keep from RunTask.
const MARGIN_SECONDS: f64 = 15.0 * 60.0;
/// Reason that ECS shows with the stopped task.
const REASON: &str = "stopped by fargate-login gc: past its longest life";

/// Stops them, unless it is a dry run; standard output has one line for each. `Err` when something could not be looked at or
/// stopped, which has been told.
pub(super) async fn sweep(options: &GcOptions, aws: &Aws, ui: &Ui) -> Result<usize, usize> {
    let fleet = match find(&options.clusters, aws, ui).await {
        Ok(fleet) => fleet,
        Err(error) => {
            ui.clear();
            ui.error(&error);
            return Err(0);
        }
    };
    // A caller who names no cluster may have none of the default name.
    let is_absent =
        |code: Option<&str>| options.clusters == Clusters::Default && code == Some("ClusterNotFoundException");
    let failures: Vec<_> = fleet.failures.iter().filter(|error| !is_absent(error.code())).collect();
    ui.clear();
    failures.iter().for_each(|error| ui.error(*error));
    let (mut count, mut complete) = (0, failures.is_empty());
    let now = now();
    for member in &fleet.members {
        let Some(over) = overdue(member, now) else { continue };
        if !options.dry_run {
            ui.phase(&format!("StopTask {}", member.id()));
            let stopped = task::stop(aws, &member.cluster, &member.task.arn, REASON).await;
            ui.clear();
            if let Err(error) = stopped {
                ui.error(&error);
                complete = false;
                continue;
            }
        }
        count += 1;
        // A reader that has gone does not stop the sweeping.
        let _ = writeln!(std::io::stdout(), "{}\tis past its longest life by {}", member.task.arn, span(over));
    }
    if complete { Ok(count) } else { Err(count) }
}

/// How long the task's life has been over, if it is so by more than the margin. What was not granted a life of ours has none
/// that could be over.
fn overdue(member: &Member, now: f64) -> Option<std::time::Duration> {
    // The life counts from the start of the init: from RUNNING, where that is known.
    let began_late = member.task.state.times.started_at? - member.task.state.times.created_at?;
    let over = now - member.deadline()? - began_late.max(0.0);
    if over > MARGIN_SECONDS { std::time::Duration::try_from_secs_f64(over).ok() } else { None }
}

#[cfg(test)]
mod tests {
    use fargate_contract::{Grant, HostSeed};
    use serde_json::json;

    use super::*;
    use crate::aws::canned::{Asked, answering};
    use crate::fleet::tests::{Sample, fleet};

    /// Seconds from RunTask to the end of a default life.
    const LIFE: f64 = 12.0 * 3600.0;
    const CREATED: f64 = 1_000_000.0;

    fn over(sample: Sample, started: Option<f64>, now: f64) -> Option<u64> {
        let mut fleet = fleet(&[sample]);
        fleet.members[0].task.state.times.started_at = started;
        overdue(&fleet.members[0], now).map(|over| over.as_secs())
    }

    /// An account whose cluster has one task of ours, created in the second 1,000 and RUNNING a minute later.
    fn account() -> (Aws, Asked) {
        answering(|operation, _| match operation {
            "ListTasks" => (200, json!({"taskArns": ["a:task/default/1"]})),
            "DescribeTasks" => {
                let grant = Grant { run: Some("r-1".to_owned()), ..Grant::new(HostSeed::new([1; 32]).public_key()) };
                let environment = grant.to_env().expect("an ed25519 key").into_iter();
                let environment: Vec<_> =
                    environment.map(|(name, value)| json!({"name": name, "value": value})).collect();
                let task = json!({
                    "taskArn": "a:task/default/1", "startedBy": "ecs-fargate-login", "lastStatus": "RUNNING",
                    "desiredStatus": "RUNNING", "createdAt": 1000, "startedAt": 1060,
                    "overrides": {"containerOverrides": [{"name": "cli", "environment": environment}]},
                });
                (200, json!({"tasks": [task]}))
            }
            "StopTask" => (200, json!({})),
            other => panic!("{other}"),
        })
    }

    #[tokio::test]
    async fn a_forgotten_task_is_stopped_and_in_a_dry_run_only_named() {
        for (dry_run, stopped) in [(true, 0), (false, 1)] {
            let (aws, asked) = account();
            let options = GcOptions { dry_run, ..GcOptions::default() };
            assert_eq!(sweep(&options, &aws, &Ui::new(true)).await, Ok(1));
            let calls = asked.operations().iter().filter(|operation| *operation == "StopTask").count();
            assert_eq!(calls, stopped, "dry run: {dry_run}");
        }
    }

    #[tokio::test]
    async fn an_account_without_the_default_cluster_has_no_tasks_unless_it_was_named() {
        let absent = || answering(|_, _| (400, json!({"__type": "ClusterNotFoundException", "message": "no"}))).0;
        assert_eq!(sweep(&GcOptions::default(), &absent(), &Ui::new(true)).await, Ok(0));
        let named = GcOptions { clusters: Clusters::Named("tools".to_owned()), ..GcOptions::default() };
        assert_eq!(sweep(&named, &absent(), &Ui::new(true)).await, Err(0));
    }

    #[test]
    fn a_life_counts_from_running_and_has_a_margin() {
        let running = CREATED + 60.0;
        let end = running + LIFE;
        assert_eq!(over(Sample::new("a"), Some(running), end + MARGIN_SECONDS - 1.0), None);
        assert_eq!(over(Sample::new("a"), Some(running), end + MARGIN_SECONDS + 1.0), Some(901));
    }

    #[test]
    fn a_task_that_is_not_ours_or_does_not_run_yet_is_left_alone() {
        let later = CREATED + 100.0 * LIFE;
        assert_eq!(over(Sample::new("a").ancestor(), Some(CREATED), later), None);
        assert_eq!(over(Sample::new("a"), None, later), None);
    }
}

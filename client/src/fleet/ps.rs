//! `fargate-login ps`: the tasks of this tool, for people as a table and for machines as JSON.

use std::io::Write as _;

use serde_json::{Value, json};

use super::clock::{instant, now, span};
use super::{Fleet, Member, find, short_id, table};
use crate::aws::Aws;
use crate::error::EXIT_FAILURE;
use crate::options::Clusters;
use crate::ui::Ui;

/// Stands for what is not known.
const UNKNOWN: &str = "-";

/// Shows them on standard output. Returns the exit status of the program.
pub(super) async fn run(clusters: &Clusters, as_json: bool, aws: &Aws, ui: &Ui) -> u8 {
    let mut fleet = match find(clusters, aws, ui).await {
        Ok(fleet) => fleet,
        Err(error) => {
            ui.error(&error);
            return EXIT_FAILURE;
        }
    };
    fleet.find_addresses(aws, ui).await;
    ui.clear();
    let text = if as_json {
        format!("{:#}\n", to_json(&fleet, now()))
    } else {
        let lines = to_lines(&fleet, *clusters == Clusters::All, now(), table::width());
        lines.into_iter().map(|line| line + "\n").collect()
    };
    let written = std::io::stdout().write_all(text.as_bytes());
    if !as_json && fleet.members.is_empty() {
        ui.note("no tasks of fargate-login are running");
    }
    if fleet.tell_failures(ui) && written.is_ok() { 0 } else { EXIT_FAILURE }
}

/// The table; nothing, not even its heading, when there are no tasks.
fn to_lines(fleet: &Fleet, with_cluster: bool, now: f64, width: Option<usize>) -> Vec<String> {
    if fleet.members.is_empty() {
        return Vec::new();
    }
    let shown = short_id::length(fleet.members.iter().map(Member::id));
    let mut heading = vec!["TASK", "AGE", "WHO", "PHASE", "ADDRESS", "LEFT", "IDLE LIMIT", "COST"];
    let row = |member: &Member| {
        let unknown = || UNKNOWN.to_owned();
        let left = member.deadline().map(|deadline| match deadline - now {
            left if left <= 0.0 => "over".to_owned(),
            left => span(std::time::Duration::from_secs_f64(left)),
        });
        let idle = match (&member.task.grant, member.idle_limit()) {
            (_, Some(limit)) => span(limit),
            (Some(_), None) => "off".to_owned(),
            (None, None) => unknown(),
        };
        let cost = member.cost(now).map(|usd| format!("{}${usd:.4}", if member.task.spot { "<" } else { "" }));
        let mut row = vec![
            member.id().chars().take(shown).collect(),
            member.age(now).map_or_else(unknown, span),
            member.task.caller.as_deref().map_or_else(unknown, who),
            member.phase(),
            member.address.map_or_else(unknown, |address| address.to_string()),
            left.unwrap_or_else(unknown),
            idle,
            cost.unwrap_or_else(unknown),
        ];
        if with_cluster {
            row.insert(1, member.cluster.clone());
        }
        row
    };
    let rows: Vec<_> = fleet.members.iter().map(row).collect();
    if with_cluster {
        heading.insert(1, "CLUSTER");
    }
    table::lines(&heading, &rows, if with_cluster { 3 } else { 2 }, width)
}

/// The part of a caller's ARN that people read: `user/jane`, `Admin/jane@example.com`.
pub(super) fn who(arn: &str) -> String {
    let name = arn.splitn(6, ':').nth(5).unwrap_or(arn);
    name.strip_prefix("assumed-role/").unwrap_or(name).to_owned()
}

/// The names are documented, and stay.
fn to_json(fleet: &Fleet, now: f64) -> Value {
    let member = |member: &Member| {
        let task = &member.task;
        json!({
            "task_id": member.id(),
            "task_arn": task.arn,
            "cluster": member.cluster,
            "task_definition": task.task_definition,
            "run": task.grant.as_ref().and_then(|grant| grant.run.clone()),
            "caller": task.caller,
            "phase": member.phase(),
            "last_status": task.state.last_status,
            "address": member.address.map(|address| address.to_string()),
            "created_at": task.state.times.created_at.and_then(instant),
            "age_seconds": member.age(now).map(|age| age.as_secs()),
            "deadline": member.deadline().and_then(instant),
            "idle_limit_seconds": member.idle_limit().map(|limit| limit.as_secs()),
            "usd_so_far": member.cost(now).map(|usd| (usd * 1e6).round() / 1e6),
            "spot": task.spot,
        })
    };
    fleet.members.iter().map(member).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::tests::{Sample, fleet};

    #[test]
    fn the_table_tells_what_is_known_and_marks_what_is_not() {
        let fleet = fleet(&[
            Sample::new("0123456789abcdef0123456789abcdef").caller("arn:aws:iam::1:user/jane").idle(1800),
            Sample::new("f0123456789abcdef0123456789abcde").ancestor(),
        ]);
        let lines = to_lines(&fleet, false, 1_000_065.0, Some(100));
        assert_eq!(
            lines,
            [
                "TASK          AGE  WHO        PHASE    ADDRESS   LEFT    IDLE LIMIT  COST",
                "0123456789ab  1m   user/jane  running  10.0.1.7  11h58m  30m         $0.0002",
                "f0123456789a  1m   -          running  10.0.1.7  -       -           $0.0002",
            ]
        );
        let with_cluster = to_lines(&fleet, true, 1_000_065.0, None);
        assert!(with_cluster[1].starts_with("0123456789ab  shop     1m"), "{with_cluster:?}");
    }

    #[test]
    fn the_names_for_machines_stay() {
        let fleet = fleet(&[Sample::new("01").caller("arn:aws:iam::1:user/jane").idle(60)]);
        assert_eq!(
            to_json(&fleet, 1_000_065.5),
            json!([{
                "task_id": "01", "task_arn": "arn:aws:ecs:r:1:task/shop/01", "cluster": "shop", "task_definition": "cli:1",
                "run": "r-1", "caller": "arn:aws:iam::1:user/jane", "phase": "running", "last_status": "RUNNING",
                "address": "10.0.1.7", "created_at": "1970-01-12T13:46:40Z", "age_seconds": 65,
                "deadline": "1970-01-13T01:46:40Z", "idle_limit_seconds": 60, "usd_so_far": 0.000225, "spot": false,
            }])
        );
    }

    #[test]
    fn people_are_told_by_their_names() {
        assert_eq!(who("arn:aws:sts::1:assumed-role/Admin/jane@example.com"), "Admin/jane@example.com");
        assert_eq!(who("arn:aws:iam::1:user/ops/joe"), "user/ops/joe");
    }
}

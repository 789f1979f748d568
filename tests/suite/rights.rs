//! The IAM policies beside the task definitions: what they allow is told in SECURITY.md, and is enough for what is called.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::{fs, iter};

use e2e::World;
use serde_json::Value;

use super::listing::account;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The actions that a policy allows.
fn allowed(policy: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(root().join("task-definitions/iam").join(policy)).expect("a policy");
    let policy: Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(policy["Version"], "2012-10-17");
    let mut actions = BTreeSet::new();
    for statement in policy["Statement"].as_array().expect("statements") {
        if statement["Effect"] == "Allow" {
            let action = &statement["Action"];
            let several = action.as_array().cloned().unwrap_or_else(|| vec![action.clone()]);
            actions.extend(several.iter().map(|action| action.as_str().expect("an action").to_owned()));
        }
    }
    actions
}

#[test]
fn every_right_is_told_with_what_it_lets_somebody_do() {
    let security = fs::read_to_string(root().join("SECURITY.md")).expect("a file");
    let rows: Vec<_> = security.lines().filter(|line| line.starts_with("| `")).collect();
    let mut policies = 0;
    for policy in fs::read_dir(root().join("task-definitions/iam")).expect("policies") {
        let policy = policy.expect("an entry").file_name().into_string().expect("text");
        policies += 1;
        for action in allowed(&policy) {
            let named = format!("`{action}`");
            let told = rows.iter().any(|row| row.split('|').nth(1).is_some_and(|cell| cell.contains(&named)));
            assert!(told, "{policy} allows {action}, of which SECURITY.md's table says nothing");
        }
    }
    assert!(policies >= 9, "{policies}");
}

#[test]
fn the_policies_are_enough_for_what_a_login_calls() {
    let calls = |world: &World, flags: &[&str]| {
        let done = world.login().args(flags).args(["--", "true"]).run();
        assert_eq!(done.code, 0, "{}", done.stderr);
        world.calls().into_iter().collect::<BTreeSet<_>>()
    };
    // STS tells everybody who they are.
    let operator: BTreeSet<_> =
        allowed("operator.json").into_iter().chain(iter::once("sts:GetCallerIdentity".to_owned())).collect();
    let plain = calls(&World::new(), &["--spot"]);
    assert_eq!(plain.difference(&operator).collect::<Vec<_>>(), [""; 0]);
    let logged = calls(&super::host_key_logs::world_with(|_| {}), &["--host-key", "logs"]);
    assert!(logged.contains("logs:GetLogEvents"), "{logged:?}");
    let role = ["--task-role-arn", super::over_ssm::ROLE];
    let chosen = calls(&World::new(), &[&role[..], &["--subnets", "subnet-3", "--no-public"]].concat());
    assert!(chosen.contains("ssm:StartSession") && chosen.contains("ec2:DescribeSubnets"), "{chosen:?}");
    let more: BTreeSet<_> = operator.union(&allowed("login-ssm.json")).cloned().collect();
    assert_eq!(chosen.difference(&more).collect::<Vec<_>>(), [""; 0]);
    let more: BTreeSet<_> = operator.union(&allowed("host-key-logs.json")).cloned().collect();
    assert_eq!(logged.difference(&more).collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_policy_is_enough_for_exec() {
    let world = super::ecs_exec::one_task();
    let before = world.calls().len();
    let exec = || world.program().args(["exec", "--", "sh", "-c", "echo on; read line"]);
    let mut cut = exec().start();
    cut.read_until("on");
    world.stand_in().cut_sessions();
    cut.feed(b"go\n");
    assert_eq!(cut.wait().code, 0);
    let mut left = exec().start();
    left.read_until("on");
    left.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(left.wait().code, 143);
    world.stand_in().inject(local_fargate::Fault::AgentNotConnected);
    assert_eq!(exec().run().code, 255);
    let called: BTreeSet<_> = world.calls().split_off(before).into_iter().collect();
    assert_eq!(called, allowed("exec.json"), "what is called, and no more");
}

#[test]
fn the_policy_is_enough_for_listings() {
    let world = account(&[("web", 1)]);
    let before = world.calls().len();
    for words in [&["services", "-A"][..], &["tasks", "-A"], &["tasks", "--service", "web"], &["tasks", "--stopped"]] {
        assert_eq!(world.program().args(words).run().code, 0, "{words:?}");
    }
    let id = world.task().arn.rsplit('/').next().expect("an id").to_owned();
    for name in [&id[..], &id[..8]] {
        assert_eq!(world.program().args(["describe", name]).run().code, 0, "{name}");
    }
    let called: BTreeSet<_> = world.calls().split_off(before).into_iter().collect();
    assert_eq!(called, allowed("listing.json"), "what is called, and no more");
}

#[test]
fn the_policy_is_enough_for_forwards_without_a_task() {
    let world = super::tunnels::service::world(1, true);
    let before = world.calls().len();
    let done = world.program().args(["forward", "--service", "web", "0:localhost:1", "--", "true"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let called: BTreeSet<_> = world.calls().split_off(before).into_iter().collect();
    assert!(called.contains("ssmmessages:OpenDataChannel") && called.contains("ecs:ListTasks"), "{called:?}");
    let allowed = allowed("port-forward.json");
    assert_eq!(called.difference(&allowed).collect::<Vec<_>>(), [""; 0]);
}

//! Which way is taken, why, and what cannot be had.

use e2e::{Program, World};
use local_fargate::Fault;
use serde_json::Value;

use super::{ROLE, through_ssm};

/// No machine is in its network: it is for documentation (RFC 3849).
const FAR: [&str; 3] = ["--subnets", "subnet-3", "--no-public"];

fn plan(program: &Program) -> Value {
    let done = program.clone().arg("--dry-run").run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    serde_json::from_slice(&done.stdout).expect("JSON")
}

/// What the plan says of the route: which, and why.
fn route(program: &Program) -> (String, String) {
    let plan = plan(program);
    let text = |member: &str| plan["route"][member].as_str().expect("text").to_owned();
    let enabled = plan["runTask"]["enableExecuteCommand"].as_bool().expect("a bool");
    assert_eq!(enabled, text("via") == "ssm", "the agent is asked for where it is needed");
    (text("via"), text("reason"))
}

#[test]
fn auto_takes_the_direct_way_where_it_may_work() {
    let world = World::new();
    let login = || world.login().args(["--task-role-arn", ROLE]);
    let of = |program: Program| {
        let (via, reason) = route(&program);
        (via, reason)
    };
    let direct = |reason: &str| ("direct".to_owned(), reason.to_owned());
    assert_eq!(of(login()), direct("a public address is asked for"));
    assert_eq!(of(login().args(FAR).args(["--via", "direct"])), direct("it was asked for"));
    let local = world.program().args(["--local", "-n", "test-cli", "--no-public"]);
    assert_eq!(of(local), direct("tasks of --local are on this machine"));
    let allowed = login().args(FAR).args(["--allow-cidr", "10.0.0.0/8"]);
    assert!(of(allowed).1.contains("`--allow-cidr` has nothing to let in"));
    assert_eq!(of(login().args(FAR)).0, "ssm");
    let no_role = of(world.login().args(FAR));
    assert_eq!(no_role.0, "direct", "as it was before there was another way");
    assert!(
        no_role.1.contains("but `--via ssm` needs a task role, and task definition test-cli:1 has none"),
        "{no_role:?}"
    );
}

#[test]
fn who_may_not_ask_for_subnets_or_the_definition_goes_as_before() {
    for action in ["ec2:DescribeSubnets", "ecs:DescribeTaskDefinition"] {
        let denied = Fault::AccessDenied { action: action.to_owned() };
        let world = World::with(|config| config.faults.push(denied));
        let (via, reason) = route(&world.login().args(["--task-role-arn", ROLE]).args(FAR));
        assert_eq!(via, "direct", "{action}: {reason}");
        assert!(reason.contains("not known"), "{action}: {reason}");
    }
}

#[test]
fn auto_goes_through_systems_manager_where_nothing_else_leads() {
    let world = World::new();
    let program = world.login().args(["--task-role-arn", ROLE, "-v"]).args(FAR).args(["--shell-command", "exit 3"]);
    let done = program.run();
    assert_eq!(done.code, 3, "{}", done.stderr);
    assert!(done.stderr.contains("no network of this machine"), "-v says why: {}", done.stderr);
    let plan = plan(&world.login().args(["--task-role-arn", ROLE]).args(FAR));
    let calls = plan["calls"].to_string();
    for call in ["ec2:DescribeSubnets", "ssm:StartSession", "ssmmessages:OpenDataChannel", "ssm:TerminateSession"] {
        assert!(calls.contains(call), "{calls}");
    }
    super::gone(&world);
}

#[test]
fn what_cannot_be_is_wrong_usage() {
    let world = World::new();
    let ssm = || through_ssm(&world);
    let cases = [
        (ssm().arg("--allow-my-ip"), "`--allow-my-ip` has nothing to let in"),
        (ssm().args(["--allow-cidr", "10.0.0.0/8"]), "`--allow-cidr` has nothing to let in"),
        (ssm().args(["--platform-version", "1.3.0"]), "which platform version 1.3.0 has not"),
        (ssm().args(["--env", "AWS_ACCESS_KEY_ID=x"]), "does not work with variable AWS_ACCESS_KEY_ID"),
        (world.login().args(["--via", "ssm"]), "needs a task role, and task definition test-cli:1 has none"),
        (world.login().args(["--via", "vpn"]), "is not a way to the task"),
    ];
    for (program, words) in cases {
        let done = program.args(["--", "true"]).run();
        assert_eq!(done.code, 2, "{words}: {}", done.stderr);
        assert!(done.stderr.contains(words) && done.stderr.contains("hint:"), "{words}: {}", done.stderr);
    }
    assert!(world.stand_in().tasks().is_empty());
}

#[test]
fn a_role_that_nobody_knew_was_missing_is_told_by_run_task() {
    let denied = Fault::AccessDenied { action: "ecs:DescribeTaskDefinition".to_owned() };
    let world = World::with(|config| config.faults.push(denied));
    let done = world.login().args(["--via", "ssm", "--", "true"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(
        done.stderr.contains("must have a task role") && done.stderr.contains("--task-role-arn"),
        "{}",
        done.stderr
    );
}

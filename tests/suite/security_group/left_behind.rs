//! The client is killed where a rule exists, and nobody else has been: it is revoked, or `gc` finds it and spares all others.

use e2e::World;
use local_fargate::Fault;
use nix::sys::signal::Signal;

use super::{MY_IP, authorize, cidrs, tag};

/// `gc`, for which every rule is old enough.
fn sweep(world: &World, flags: &[&str]) -> String {
    let done = world.program().args(["gc", "--older-than", "1ms"]).args(flags).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    done.text()
}

/// A rule as a run has left it that had no chance to revoke it.
fn over(world: &World, cidr: &str, run: &str, expires: &str) {
    let tags = [
        ("fargate-login:run", run),
        ("fargate-login:cluster", "default"),
        ("fargate-login:created", "2026-01-01T00:00:00Z"),
        ("fargate-login:expires", expires),
    ];
    authorize(world, cidr, &tags);
}

#[test]
fn a_signal_after_authorize_revokes_the_rule_and_launches_nothing() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129)] {
        let world = World::new();
        let parked = world.login().args(["--allow-cidr", MY_IP, "--", "true"]).park_at("after-authorize");
        assert_eq!(cidrs(&world), [format!("{MY_IP}/32")]);
        parked.signal(signal);
        let done = parked.wait();
        assert_eq!((done.code, cidrs(&world)), (code, Vec::new()), "{signal}: {}", done.stderr);
        assert!(world.stand_in().tasks().is_empty(), "{signal}: nothing is launched any more");
    }
}

#[test]
fn a_signal_while_the_task_starts_revokes_the_rule() {
    let world = World::with(|config| config.faults.push(Fault::NoAddressEver));
    let mut running = world.login().args(["--allow-cidr", MY_IP]).start();
    running.hear("PROVISIONING");
    running.signal(Signal::SIGTERM);
    let done = running.wait();
    assert_eq!((done.code, cidrs(&world)), (143, Vec::new()), "{}", done.stderr);
}

#[test]
fn after_sigkill_gc_finds_the_rule_and_revokes_it() {
    for checkpoint in ["after-authorize", "after-run-task"] {
        let world = World::new();
        let login = world.login().args(["--allow-cidr", MY_IP, "--login-timeout", "2s", "--", "true"]);
        let parked = login.park_at(checkpoint);
        parked.signal(Signal::SIGKILL);
        assert_eq!(parked.wait().code, 137);
        let rules = world.stand_in().rules();
        let [rule] = rules.as_slice() else { panic!("{checkpoint}: one rule: {rules:?}") };
        if checkpoint == "after-run-task" {
            assert_eq!(world.stopped_task().last_status, "STOPPED");
        }
        let young = world.program().arg("gc").run();
        assert!(young.stdout.is_empty(), "too young, as long as nothing else is said: {}", young.text());
        let line = format!("{}\tin sg-1: run {} has no task\n", rule.id, tag(rule, "fargate-login:run"));
        assert_eq!(sweep(&world, &["--dry-run"]), line, "{checkpoint}");
        assert_eq!(cidrs(&world).len(), 1, "a dry run revokes nothing");
        assert_eq!(sweep(&world, &[]), line, "{checkpoint}");
        assert_eq!(cidrs(&world), Vec::<String>::new(), "{checkpoint}");
    }
}

#[test]
fn gc_spares_running_sessions_and_rules_that_are_not_ours() {
    let world = World::new();
    let mut running = world.login().args(["--allow-cidr", MY_IP, "--shell-command", "echo ready; cat"]).start();
    running.read_until("ready");
    authorize(&world, "198.51.100.1/32", &[]);
    authorize(&world, "198.51.100.2/32", &[("owner", "somebody")]);
    over(&world, "198.51.100.3/32", "over", "2999-01-01T00:00:00Z");
    over(&world, "198.51.100.4/32", "long-over", "2026-01-01T12:00:00Z");
    let done = world.program().arg("gc").run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let whys: Vec<_> = done.text().lines().filter_map(|line| Some(line.split_once('\t')?.1.to_owned())).collect();
    assert_eq!(whys, ["in sg-1: run over has no task", "in sg-1: run long-over is past its end"]);
    let left = [format!("{MY_IP}/32"), "198.51.100.1/32".to_owned(), "198.51.100.2/32".to_owned()];
    assert_eq!(cidrs(&world), left);
    assert_eq!(sweep(&world, &[]), "", "the run has a task, however old its rule");
    assert_eq!(running.wait().code, 0);
    assert_eq!(cidrs(&world), left[1..]);
}

#[test]
fn a_caller_that_may_not_see_rules_still_clears_away_task_definitions() {
    let denied = Fault::AccessDenied { action: "ec2:DescribeSecurityGroupRules".to_owned() };
    let world = World::with(|config| config.faults.push(denied));
    let done = world.program().arg("gc").run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains("task-definitions/iam/gc.json"), "{}", done.stderr);
    assert!(done.stderr.contains("0 task definitions deregistered"), "{}", done.stderr);
}

#[test]
fn a_rule_that_gc_may_not_revoke_does_not_hold_up_the_others() {
    let denied = Fault::AccessDenied { action: "ec2:RevokeSecurityGroupIngress".to_owned() };
    let world = World::with(|config| config.faults.push(Fault::Times { count: 1, fault: Box::new(denied) }));
    over(&world, "198.51.100.3/32", "over", "2999-01-01T00:00:00Z");
    over(&world, "198.51.100.4/32", "over", "2999-01-01T00:00:00Z");
    let done = world.program().arg("gc").run();
    assert_eq!((done.code, done.text().lines().count()), (255, 1), "{}", done.stderr);
    assert!(done.stderr.contains("in sg-1 stays") && done.stderr.contains("allow-my-ip.json"), "{}", done.stderr);
    assert_eq!(cidrs(&world), ["198.51.100.3/32"]);
}

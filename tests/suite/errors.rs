//! Every failure as its user reads it: an error that names the thing, a hint that names the way out, the exit status. The
//! snapshots stand in `suite/snapshots`.

use e2e::redact::redact;
use e2e::{Finished, World};
use local_fargate::{Config, Fault};

/// The error and its hints, without the phases before and the farewell after them.
fn told(done: &Finished) -> String {
    let said = |line: &&str| ["error:", "hint:", "warning:"].iter().any(|word| line.starts_with(word));
    let lines: Vec<_> = done.stderr.lines().filter(said).collect();
    redact(&format!("exit status {}\n{}\n", done.code, lines.join("\n")))
}

fn failing(configure: impl FnOnce(&mut Config), args: &[&str]) -> (World, Finished) {
    let world = World::with(configure);
    let done = world.login().args(args).args(["--", "true"]).run();
    (world, done)
}

fn nothing_launched(world: &World) {
    assert!(world.stand_in().tasks().is_empty(), "{:?}", world.stand_in().tasks());
}

#[test]
fn no_capacity() {
    let (world, done) = failing(|config| config.faults.push(Fault::Capacity), &[]);
    nothing_launched(&world);
    insta::assert_snapshot!(told(&done));
}

#[test]
fn vcpu_quota() {
    let (world, done) = failing(|config| config.faults.push(Fault::VcpuQuota), &[]);
    nothing_launched(&world);
    insta::assert_snapshot!(told(&done));
}

#[test]
fn a_caller_that_may_not_tag_goes_on_without_tags() {
    let fault = || Fault::AccessDenied { action: "ecs:TagResource".to_owned() };
    let (world, done) = failing(|config| config.faults.push(fault()), &[]);
    nothing_launched(&world);
    insta::assert_snapshot!(told(&done));
    let (_world, done) = failing(|config| config.faults.push(fault()), &["--no-tags"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn unknown_cluster() {
    let (_world, done) = failing(|_| {}, &["-cluster", "nowhere"]);
    insta::assert_snapshot!(told(&done));
}

#[test]
fn unknown_task_definition() {
    let (_world, done) = failing(|_| {}, &["-n", "nothing"]);
    insta::assert_snapshot!(told(&done));
}

#[test]
fn unknown_container() {
    let (_world, done) = failing(|_| {}, &["-cli-container-name", "web"]);
    insta::assert_snapshot!(told(&done));
}

#[test]
fn unknown_subnet() {
    let (_world, done) = failing(|_| {}, &["-sn", "subnet-404"]);
    insta::assert_snapshot!(told(&done));
}

#[test]
fn unknown_security_group() {
    let (_world, done) = failing(|_| {}, &["-sg", "sg-404"]);
    insta::assert_snapshot!(told(&done));
}

#[test]
fn image_that_cannot_be_pulled() {
    let message = "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref docker.io/library/nothing:latest: not found";
    let (world, done) = failing(|config| config.faults.push(Fault::ImagePull { message: message.to_owned() }), &[]);
    assert_eq!(world.stopped_task().stop_code.as_deref(), Some("TaskFailedToStart"));
    insta::assert_snapshot!(told(&done));
}

#[test]
fn container_that_exits_early() {
    let (_world, done) = failing(|config| config.images[0].entry_point = vec!["/bin/false".into()], &[]);
    insta::assert_snapshot!(told(&done));
}

#[test]
fn no_address_in_time() {
    let (world, done) = failing(|config| config.faults.push(Fault::NoAddressEver), &["--start-timeout", "3s"]);
    assert_eq!(world.stopped_task().stop_code.as_deref(), Some("UserInitiated"));
    insta::assert_snapshot!(told(&done));
}

#[test]
fn nothing_listens_on_the_port() {
    let sleeps = |config: &mut Config| config.images[0].entry_point = vec!["/bin/sleep".into(), "1000".into()];
    let (world, done) = failing(sleeps, &["--start-timeout", "3s"]);
    assert_eq!(world.stopped_task().stop_code.as_deref(), Some("UserInitiated"));
    insta::assert_snapshot!(told(&done));
}

#[test]
fn an_unknown_profile_is_no_silent_fallback() {
    let world = World::new();
    let done = world.login().args(["--profile", "prodution"]).run();
    assert_eq!(world.calls(), Vec::<String>::new());
    insta::assert_snapshot!(told(&done).replace(&world.home().display().to_string(), "~"));
}

#[test]
fn a_missing_region_is_no_silent_default() {
    let world = World::new();
    let done = world.login().env_remove("AWS_REGION").run();
    assert_eq!(world.calls(), Vec::<String>::new());
    insta::assert_snapshot!(told(&done));
}

#[test]
fn missing_task_definition_and_missing_subnets() {
    let world = World::new();
    let nothing = world.program().run();
    let no_subnet = world.program().args(["-n", "test-cli"]).run();
    assert_eq!(world.calls(), Vec::<String>::new());
    insta::assert_snapshot!(format!("{}{}", told(&nothing), told(&no_subnet)));
}

#[test]
fn overrides_that_are_too_long() {
    let world = World::new();
    let done = world.login().args(["--env", &format!("BIG={}", "x".repeat(8000))]).run();
    nothing_launched(&world);
    insta::assert_snapshot!(told(&done));
}

#[test]
fn an_endpoint_that_is_not_there() {
    let world = World::new();
    let done = world.login().args(["--endpoint-url", "http://127.0.0.1:1", "--no-tags"]).run();
    insta::assert_snapshot!(told(&done));
}

#[test]
fn throttling_is_waited_out() {
    let throttled = |config: &mut Config| {
        config.faults.push(Fault::Throttle { action: "DescribeTasks".to_owned(), count: 5 });
        config.faults.push(Fault::Missing { calls: 2 });
        config.faults.push(Fault::NoAddressYet { describes: 2 });
    };
    let (world, done) = failing(throttled, &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(world.stopped_task().last_status, "STOPPED");
}

//! Forwards by way of a service: whichever of its tasks runs.

use std::io::Read as _;
use std::net::Ipv4Addr;

use e2e::World;
use e2e::program::Running;
use local_fargate::ProcessImage;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

use super::{all_over, connect, count, echo, echoed, local, up};
use crate::listing::account;

/// A service that keeps so many tasks of a program that sleeps, with agents that run.
pub(crate) fn world(count: usize, exec: bool) -> World {
    let world = World::with(|config| {
        config.agents.pacing = false;
        for image in ["app:42", "proxy:1"] {
            let entry_point = vec!["/bin/sleep".into(), "1000".into()];
            config.images.push(ProcessImage { name: image.to_owned(), entry_point, env: Vec::new() });
        }
        config.task_definitions.push(account::definition().to_string());
    });
    let mut request = account::request("default", "web", 1);
    request["serviceName"] = "web".into();
    request["desiredCount"] = count.into();
    request["enableExecuteCommand"] = exec.into();
    request.as_object_mut().expect("an object").remove("count");
    world.call("ecs", "CreateService", &request).expect("a service");
    world.wait_until(|world| connected(world).len() == count || (!exec && running(world).len() == count));
    world
}

fn tasks(world: &World) -> Vec<Value> {
    let arns = world.call("ecs", "ListTasks", &json!({"serviceName": "web"})).expect("a list")["taskArns"].clone();
    if arns.as_array().is_none_or(Vec::is_empty) {
        return Vec::new();
    }
    let seen = world.call("ecs", "DescribeTasks", &json!({"tasks": arns})).expect("tasks");
    seen["tasks"].as_array().cloned().unwrap_or_default()
}

fn running(world: &World) -> Vec<Value> {
    let mut tasks = tasks(world);
    tasks.retain(|task| task["lastStatus"] == "RUNNING");
    tasks
}

/// Those whose agents all run.
fn connected(world: &World) -> Vec<Value> {
    let mut tasks = running(world);
    tasks.retain(|task| {
        let mut containers = task["containers"].as_array().into_iter().flatten();
        containers.all(|known| known["managedAgents"][0]["lastStatus"] == "RUNNING")
    });
    tasks
}

/// A forward whose connections all have the task looked at, however short a while ago that was done.
fn looking(world: &World, through: &[&str], specs: impl IntoIterator<Item = String>) -> (Running, Vec<u16>) {
    up(world.program().env("FARGATE_LOGIN_ALWAYS_LOOK", "1"), through, specs)
}

#[test]
fn when_its_task_goes_the_next_session_goes_to_another() {
    let world = world(2, true);
    let server = echo(Ipv4Addr::LOCALHOST);
    let (mut running, ports) =
        looking(&world, &["--service", "web", "--container", "proxy"], [format!("0:{}", local(server))]);
    let line = running.hear("sessions go to task ");
    let mut open = connect(ports[0]);
    echoed(&mut open, b"in the first");
    let first = world.stand_in().sessions()[0].target.clone();
    let parts: Vec<_> = first.split('_').collect();
    assert!(line.contains(parts[1]), "{line}");
    let arn = connected(&world).iter().find_map(|task| {
        let arn = task["taskArn"].as_str()?;
        arn.ends_with(parts[1]).then(|| arn.to_owned())
    });
    world.call("ecs", "StopTask", &json!({"task": arn.expect("the task that is used")})).expect("stopped");
    world.wait_until(|world| {
        !connected(world).iter().any(|task| task["taskArn"].as_str().is_some_and(|arn| arn.ends_with(parts[1])))
    });
    echoed(&mut connect(ports[0]), b"in the second");
    open.read(&mut [0]).expect_err("what was open is reset");
    running.hear("the task that the session went to is gone");
    let told = running.hear("is gone: sessions go to task ");
    let second =
        world.stand_in().sessions().iter().map(|session| session.target.clone()).find(|target| *target != first);
    let second = second.expect("another target");
    assert!(told.contains(second.split('_').nth(1).expect("an id")), "{told}");
    running.signal(Signal::SIGINT);
    assert_eq!(running.wait().code, 130);
    all_over(&world);
    assert_eq!(count(&world, "ssm:StartSession"), 2);
}

#[test]
fn what_a_service_lacks_is_told() {
    let (open, closed) = (world(1, true), world(1, false));
    for (world, flags, words, hint) in [
        (
            &open,
            &["--service", "wbe"][..],
            "there is no service `wbe` in cluster default",
            "did you mean `--service web`?",
        ),
        (
            &open,
            &["--service", "web", "--container", "db"],
            "none has a container `db`; there are app, proxy",
            "--container",
        ),
        (&closed, &["--service", "web"], "ECS Exec is not enabled", "--enable-execute-command"),
    ] {
        let done = world.program().arg("forward").args(flags).arg("0:localhost:1").run();
        assert_eq!(done.code, 255, "{}", done.stderr);
        assert!(done.stderr.contains(words) && done.stderr.contains(hint), "{words}: {}", done.stderr);
        assert_eq!(count(world, "ssm:StartSession"), 0);
    }
}

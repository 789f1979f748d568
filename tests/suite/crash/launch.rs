//! The client ends while it does not know what it has: a task definition just registered, a task whose RunTask was never answered.

use e2e::{Program, World};
use local_fargate::Fault;
use nix::sys::signal::Signal;
use serde_json::{Value, json};

const SIGNALS: [(Signal, i32); 4] =
    [(Signal::SIGKILL, 137), (Signal::SIGTERM, 143), (Signal::SIGHUP, 129), (Signal::SIGINT, 130)];

/// A world with the task definition `web`, and a login that derives one from it.
fn deriving() -> (World, Program) {
    let world = World::new();
    let web = json!({
        "family": "web", "requiresCompatibilities": ["FARGATE"], "networkMode": "awsvpc", "cpu": "256", "memory": "512",
        "containerDefinitions": [{"name": "app", "image": "app:1", "essential": true}],
    });
    world.call("ecs", "RegisterTaskDefinition", &web).expect("registered");
    let program = world.program().args(["--from", "web", "-sn", "subnet-1", "--init-image", e2e::world::IMAGE]);
    (world, program)
}

#[test]
fn a_task_definition_that_nobody_ran_is_used_again_and_gc_names_it() {
    for (signal, code) in SIGNALS {
        let (world, program) = deriving();
        let parked = program.park_at("after-register");
        parked.signal(signal);
        assert_eq!(parked.wait().code, code, "{signal}");
        assert!(!world.calls().contains(&"ecs:RunTask".to_owned()), "{signal}");
        let plan = program.arg("--dry-run").run();
        let plan: Value =
            serde_json::Deserializer::from_slice(&plan.stdout).into_iter().next().expect("a plan").expect("JSON");
        let derived = plan["derive"]["registered"].as_str().expect("it is found again").to_owned();
        assert!(derived.ends_with("task-definition/web-fargate-login:1"), "{derived}");
        let gc = || world.program().arg("gc").run();
        assert_eq!(gc().text(), "", "the next run needs it");
        world.call("ecs", "DeregisterTaskDefinition", &json!({"taskDefinition": "web:1"})).expect("deregistered");
        assert_eq!(
            world.program().args(["gc", "--dry-run"]).run().text(),
            format!("{derived}\tits original web is gone\n")
        );
        assert_eq!(gc().text(), format!("{derived}\tits original web is gone\n"));
        assert_eq!(gc().text(), "");
    }
}

#[test]
fn a_task_that_the_client_never_heard_of_ends_by_itself() {
    let world = World::with(|config| config.faults.push(Fault::LostReply { action: "RunTask".to_owned(), count: 100 }));
    let running = world.login().args(["--login-timeout", "4s"]).start();
    world.wait_until(|world| !world.stand_in().tasks().is_empty());
    running.signal(Signal::SIGKILL);
    assert_eq!(running.wait().code, 137);
    let task = world.stopped_task();
    assert_eq!(task.exit_codes, [("cli".to_owned(), Some(124))], "nobody came");
    world.wait_gone(&task.address.expect("an address"));
}

#[test]
fn a_task_whose_reply_was_lost_is_the_clients_all_the_same() {
    for (signal, code) in &SIGNALS[1..] {
        let world = World::with(|config| {
            config.faults.push(Fault::LostReply { action: "RunTask".to_owned(), count: 1 });
            config.faults.push(Fault::NoAddressEver);
        });
        let running = world.login().start();
        world.wait_until(|world| !world.stand_in().tasks().is_empty());
        running.signal(*signal);
        let done = running.wait();
        assert_eq!(done.code, *code, "{signal}: {}", done.stderr);
        assert_eq!(world.stopped_task().stop_code.as_deref(), Some("UserInitiated"), "{signal}");
    }
}

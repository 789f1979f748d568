//! What keeps ECS Exec out of a container is named, with what helps.

use e2e::redact::redact;
use e2e::{Terminal, World};
use local_fargate::{Fault, Latency};
use serde_json::json;

use super::account::{container, definition, exec, one_task, one_task_in, request, run, service, world};

fn told(world: &World, words: &[&str]) -> String {
    let done = exec(world).args(words.iter().copied()).args(["--", "true"]).run();
    let lines: Vec<_> =
        done.stderr.lines().filter(|line| ["error:", "hint:"].iter().any(|word| line.starts_with(word))).collect();
    redact(&format!("exit status {}\n{}\n", done.code, lines.join("\n")))
}

#[test]
fn what_is_missing_is_named() {
    let world = world(|config| {
        let mut locked = container("app");
        locked["readonlyRootFilesystem"] = json!(true);
        config.task_definitions.push(definition("locked", &[locked]).to_string());
    });
    let mut all = vec![
        told(&world, &[]),
        told(&world, &["--service", "web"]),
        told(&world, &["--task", "ffffffffffffffffffffffffffffffff"]),
    ];
    let without = run(&world, &request("web", false));
    all.push(told(&world, &["--task", &without]));
    service(&world, "web", 1);
    all.push(told(&world, &["--service", "wbe"]));
    all.push(told(&world, &["--service", "web", "--container", "web"]));
    all.push(told(&world, &["-cluster", "nowhere"]));
    world.call("ecs", "StopTask", &json!({"task": without, "reason": "maintenance"})).expect("stopped");
    world.wait_stopped(&without);
    all.push(told(&world, &["--task", &without]));
    // The agent is said to run and is not connected.
    let locked = run(&world, &request("locked", true));
    world.stand_in().inject(Fault::AgentNotConnected);
    all.push(told(&world, &["--task", &locked]));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_service_whose_tasks_have_no_exec_is_told_how_to_have_it() {
    let world = world(|_| {});
    let mut request = request("web", false);
    request["serviceName"] = json!("web");
    request["desiredCount"] = json!(1);
    world.call("ecs", "CreateService", &request).expect("a service");
    world.wait_until(|world| world.stand_in().tasks().iter().any(|task| task.last_status == "RUNNING"));
    let told = told(&world, &["--service", "web"]);
    assert!(told.contains("exit status 255"), "{told}");
    let command =
        "aws ecs update-service --cluster default --service web --enable-execute-command --force-new-deployment";
    assert!(told.contains(command), "{told}");
    assert!(world.stand_in().sessions().is_empty());
}

#[test]
fn an_agent_that_has_yet_to_start_is_waited_for() {
    let world = world(|config| config.latency = Latency::Scaled { percent: 10 });
    let reply = world.call("ecs", "RunTask", &request("web", true)).expect("a task");
    let arn = reply["tasks"][0]["taskArn"].as_str().expect("an ARN");
    // DescribeTasks knows it a moment later.
    world.wait_until(|world| {
        let known = world.call("ecs", "DescribeTasks", &json!({"tasks": [arn]}));
        known.is_ok_and(|known| known["tasks"][0].is_object())
    });
    let done = exec(&world).args(["--task", arn, "--", "echo", "here"]).run();
    assert_eq!((done.code, done.text().as_str()), (0, "here\n"), "{}", done.stderr);
    assert!(done.stderr.contains("waiting for container app"), "{}", done.stderr);
}

#[test]
fn an_agent_that_connects_late_is_tried_again() {
    let world = one_task();
    world.stand_in().inject(Fault::Times { count: 2, fault: Box::new(Fault::AgentNotConnected) });
    let done = exec(&world).args(["--", "echo", "here"]).run();
    assert_eq!((done.code, done.text().as_str()), (0, "here\n"), "{}", done.stderr);
    assert_eq!(world.calls().iter().filter(|call| *call == "ecs:ExecuteCommand").count(), 3);
}

#[test]
fn credentials_that_have_expired_are_told_before_a_session_and_in_it() {
    let world = one_task();
    world.stand_in().inject(Fault::CredentialsExpired);
    let told = told(&world, &[]);
    assert!(told.contains("exit status 255") && told.contains("ExpiredTokenException"), "{told}");
    assert!(told.contains("hint: the credentials have expired: sign in again"), "{told}");
    assert!(world.stand_in().sessions().is_empty());

    let world = one_task();
    let mut terminal = Terminal::start(&exec(&world).args(["--shell", "/bin/sh"]));
    terminal.expect_prompt();
    world.stand_in().inject(Fault::CredentialsExpired);
    world.stand_in().cut_sessions();
    assert_eq!(terminal.wait(), 255, "{}", terminal.screen());
    assert!(terminal.is_restored());
    let screen = terminal.screen();
    assert!(
        screen.contains("the session cannot be resumed: ssm:ResumeSession failed: ExpiredTokenException"),
        "{screen}"
    );
    assert!(screen.contains("sign in again"), "{screen}");
}

#[test]
fn a_container_without_a_shell_is_told_what_goes_without_one() {
    let world = one_task_in(|config| config.agents.lacking = vec!["/bin/sh".to_owned()]);
    let told = told(&world, &[]);
    assert!(told.contains("exit status 255"), "{told}");
    let words = "error: the container has no shell to tell the command's exit status: Unable to start command: Failed to start pty: fork/exec /bin/sh: no such file or directory";
    assert!(told.contains(words) && told.contains("hint: `--no-shell -- PROGRAM"), "{told}");
    let done = exec(&world).args(["--no-shell", "--", "echo", "it goes"]).run();
    assert_eq!((done.code, done.text().as_str()), (0, "it goes\n"), "{}", done.stderr);
    let mut terminal = Terminal::start(&exec(&world));
    assert_eq!(terminal.wait(), 255, "{}", terminal.screen());
    assert!(terminal.is_restored() && terminal.screen().contains("no shell"), "{}", terminal.screen());
    assert!(!world.calls().contains(&"ssm:TerminateSession".to_owned()), "they end by themselves");
}

#[test]
fn a_refusal_names_the_right_that_is_lacking() {
    let world = one_task();
    world.stand_in().inject(Fault::AccessDenied { action: "ecs:ExecuteCommand".to_owned() });
    let told = told(&world, &[]);
    assert!(told.contains("exit status 255") && told.contains("allow `ecs:ExecuteCommand`"), "{told}");
}

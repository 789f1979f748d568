//! A console in an image that knows nothing of us: one command beside a running service, and nothing left of it.

use e2e::{Program, Terminal, World, docker};
use serde_json::{Value, json};

use super::{shell, shell_with, world_with};

const PASSWORD: &str = "arn:aws:secretsmanager:us-east-1:000000000000:secret:db/web-AbCdEf:password::";

/// A world with the service `web`: an application that listens, with a secret, a health check and a proxy beside it.
fn world() -> Option<World> {
    world_of(json!({}), json!([]))
}

/// The same with more members of the application's container, and more containers.
fn world_of(more: Value, others: Value) -> Option<World> {
    if !docker::has(docker::PLAIN) {
        return None;
    }
    let secrets = [("db/web".to_owned(), json!({"password": "p'q"}).to_string())];
    let world = world_with(|config| config.secrets = secrets.into_iter().collect())?;
    let mut app = shell_with(
        "app",
        "exec httpd -f -p 8080 -h /etc",
        json!({
            "environment": [{"name": "STAGE", "value": "production\nof two lines"}],
            "secrets": [{"name": "PASSWORD", "valueFrom": PASSWORD}],
            "portMappings": [{"containerPort": 8080}],
            "healthCheck": {"command": ["CMD-SHELL", "wget -qO- http://localhost:8080/hostname"], "interval": 5},
            "workingDirectory": "/etc",
            "linuxParameters": {"initProcessEnabled": true},
        }),
    );
    for (name, value) in more.as_object().expect("an object") {
        app[name] = value.clone();
    }
    let proxy = shell_with(
        "proxy",
        "exec sleep 1000",
        json!({"essential": false, "dependsOn": [{"containerName": "app", "condition": "START"}]}),
    );
    let mut containers = vec![app, proxy];
    containers.extend(others.as_array().expect("a list").iter().cloned());
    super::register(&world, containers.into(), json!({"family": "web"})).expect("registered");
    let network = json!({"awsvpcConfiguration": {"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"}});
    let request = json!({
        "serviceName": "web", "taskDefinition": "web", "desiredCount": 1, "launchType": "FARGATE", "networkConfiguration": network,
    });
    world.call("ecs", "CreateService", &request).expect("made");
    world.wait_until(|world| !world.stand_in().tasks().is_empty());
    let service = world.stand_in().tasks()[0].arn.clone();
    world.wait_running(&service);
    Some(world)
}

fn console(world: &World) -> Program {
    world.program().args(["--like-service", "web", "--init-image", docker::PLAIN])
}

/// ARN of the task that is not the service's.
fn ours(world: &World) -> String {
    let tasks = world.stand_in().tasks();
    let service = world.call("ecs", "ListTasks", &json!({"serviceName": "web"})).expect("listed");
    let is_ours = |arn: &String| !service["taskArns"].as_array().expect("a list").iter().any(|known| known == arn);
    tasks.into_iter().map(|task| task.arn).rfind(is_ours).expect("a task of ours")
}

fn calls_of(world: &World, action: &str) -> usize {
    world.calls().iter().filter(|call| **call == format!("ecs:{action}")).count()
}

#[test]
fn one_command_to_a_console_with_the_same_environment_and_secret_and_nothing_left() {
    let Some(world) = world() else { return };
    let before = calls_of(&world, "RegisterTaskDefinition");
    let line = "echo \"$STAGE|$PASSWORD|$IMAGE_SAYS\"; pwd; id -u; env | grep -c FARGATE_LOGIN; exit 3";
    for _ in 0..2 {
        let done = console(&world).args(["--shell-command", line]).run();
        assert_eq!(done.code, 3, "{}", done.stderr);
        assert_eq!(done.text(), "production\nof two lines|p'q|hello\n/etc\n0\n0\n");
        let arn = ours(&world);
        world.wait_stopped(&arn);
        let id = arn.rsplit('/').next().expect("an id");
        assert_eq!(docker::containers(id), Vec::<String>::new());
        let task = super::describe(&world, &arn);
        let names: Vec<_> =
            task["containers"].as_array().expect("containers").iter().map(|known| known["name"].clone()).collect();
        assert_eq!(names.len(), 2, "the chosen container and the carrier: {names:?}");
        assert_eq!(super::container(&task, "app")["exitCode"], 3);
    }
    assert_eq!(calls_of(&world, "RegisterTaskDefinition") - before, 1, "the second run used what the first registered");
    let service = world.call("ecs", "DescribeServices", &json!({"services": ["web"]})).expect("described");
    assert_eq!(service["services"][0]["runningCount"], 1, "the service never noticed");
}

#[test]
fn the_host_key_may_be_read_in_the_applications_own_log() {
    let options = json!({
        "awslogs-group": "/shop", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "shop", "awslogs-create-group": "true",
    });
    let log = json!({"logDriver": "awslogs", "options": options});
    let Some(world) = world_of(json!({"logConfiguration": log}), json!([])) else { return };
    let before = calls_of(&world, "DescribeTaskDefinition");
    let done = console(&world).args(["--host-key", "logs", "--shell-command", "echo in; exit 3"]).run();
    assert_eq!((done.code, done.text().as_str()), (3, "in\n"), "{}", done.stderr);
    let run = world.stand_in().journal().into_iter().rfind(|call| call.action == "RunTask").expect("a RunTask");
    assert!(!run.request.to_string().contains("HOST_SEED"), "the override holds no secret");
    let named: Vec<_> = world.stand_in().journal().into_iter().filter(|call| call.action == "GetLogEvents").collect();
    assert_eq!(named[0].request["logGroupName"], "/shop");
    // The service's, and those of the family that is derived from it, looked through for one to use again.
    assert!(calls_of(&world, "DescribeTaskDefinition") - before <= 2, "{:?}", world.calls());
}

#[test]
fn a_terminal_in_the_applications_image() {
    let Some(world) = world() else { return };
    let mut terminal = Terminal::start(&console(&world));
    terminal.expect_prompt();
    terminal.send("stty size; exit 4\r");
    terminal.expect("24 80");
    assert_eq!(terminal.wait(), 4, "{}", terminal.screen());
    assert!(terminal.is_restored());
}

#[test]
fn whatever_the_image_has_is_enough() {
    // Another user and a read-only root, with a place to write that was asked for.
    let Some(world) = world_of(json!({"user": "1234:5678", "readonlyRootFilesystem": true}), json!([])) else { return };
    let refused = console(&world).args(["--", "true"]).run();
    assert_eq!(refused.code, 2, "{}", refused.stderr);
    assert!(refused.stderr.contains("--add-tmp"), "{}", refused.stderr);
    let line = "id -u; id -g; touch /tmp/x && echo wrote; touch /x 2>/dev/null || echo read-only";
    let done = console(&world).args(["--add-tmp", "--shell-command", line]).run();
    assert_eq!((done.code, done.text().as_str()), (0, "1234\n5678\nwrote\nread-only\n"), "{}", done.stderr);
}

#[test]
fn an_entry_point_that_wraps_may_stay() {
    let wrapper = json!(["sh", "-c", "export WRAPPED=yes; exec \"$@\"", "wrapper"]);
    let Some(world) = world_of(json!({"entryPoint": wrapper, "command": ["httpd", "-f", "-p", "8080"]}), json!([]))
    else {
        return;
    };
    let echo = ["--shell-command", "echo \"wrapped: $WRAPPED\""];
    let without = console(&world).args(echo).run();
    assert_eq!((without.code, without.text().as_str()), (0, "wrapped: \n"), "{}", without.stderr);
    let with = console(&world).arg("--keep-entrypoint").args(echo).run();
    assert_eq!((with.code, with.text().as_str()), (0, "wrapped: yes\n"), "{}", with.stderr);
}

#[test]
fn several_candidates_are_asked_about_on_a_terminal_and_listed_elsewhere() {
    let Some(world) = world_of(json!({}), json!([shell("worker", "exec sleep 1000")])) else { return };
    let listed = console(&world).args(["--", "true"]).run();
    assert_eq!(listed.code, 2, "{}", listed.stderr);
    assert!(["app", "worker", "--container"].iter().all(|word| listed.stderr.contains(word)), "{}", listed.stderr);
    let mut terminal = Terminal::start(&console(&world).args(["--shell-command", "echo in $0"]));
    terminal.expect("worker");
    terminal.send("worker\r");
    assert_eq!(terminal.wait(), 0, "{}", terminal.screen());
    let named = console(&world).args(["--container", "nobody", "--", "true"]).run();
    assert_eq!(named.code, 2);
    assert!(named.stderr.contains("nobody") && named.stderr.contains("worker"), "{}", named.stderr);
}

#[test]
fn a_dry_run_shows_the_difference_and_changes_nothing() {
    let Some(world) = world() else { return };
    let before = calls_of(&world, "RegisterTaskDefinition");
    let done = console(&world).arg("--dry-run").run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let text = done.text();
    for line in [
        "-      \"healthCheck\"",
        "+      \"name\": \"fargate-login-init\"",
        "+        \"/fargate-login/fargate-init\"",
    ] {
        let words: Vec<_> = line.split_whitespace().collect();
        assert!(
            text.lines().any(|shown| shown
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
                .starts_with(&words.join(" "))),
            "{line}:\n{text}"
        );
    }
    assert!(!text.contains("of two lines"), "values are hidden");
    assert_eq!(calls_of(&world, "RegisterTaskDefinition") - before, 0);
    assert_eq!(calls_of(&world, "RunTask"), 0);
}

#[test]
fn gc_deregisters_what_is_no_longer_the_newest() {
    let Some(world) = world() else { return };
    assert_eq!(console(&world).args(["--", "true"]).run().code, 0);
    assert_eq!(console(&world).args(["--with-sidecars", "--", "true"]).run().code, 0);
    let families = || {
        let listed =
            world.call("ecs", "ListTaskDefinitions", &json!({"familyPrefix": "web-fargate-login"})).expect("listed");
        listed["taskDefinitionArns"].as_array().expect("a list").len()
    };
    assert_eq!(families(), 2);
    let shown = world.program().args(["gc", "--dry-run"]).run();
    assert_eq!((shown.code, families()), (0, 2), "{}", shown.stderr);
    assert_eq!(world.program().arg("gc").run().code, 0);
    assert_eq!(families(), 1);
}

#[test]
fn what_cannot_be_is_said_before_anything_is_made() {
    let Some(world) = world() else { return };
    let refused = |program: Program, words: &[&str]| {
        let done = program.args(["--", "true"]).run();
        assert_ne!(done.code, 0);
        assert!(words.iter().all(|word| done.stderr.contains(word)), "{words:?}: {}", done.stderr);
    };
    let program = || world.program().args(["--init-image", docker::PLAIN, "-sn", "subnet-1"]);
    refused(program().args(["--like-service", "wbe"]), &["wbe", "hint:", "web"]);
    refused(program().args(["--like-service", "web", "-cluster", "shop"]), &["shop"]);
    let ec2 = json!({
        "family": "old", "networkMode": "host", "requiresCompatibilities": ["EC2"],
        "containerDefinitions": [{"name": "app", "image": docker::BUSYBOX, "memory": 128}],
    });
    world.call("ecs", "RegisterTaskDefinition", &ec2).expect("registered");
    refused(program().args(["--from", "old"]), &["old", "host", "hint:"]);
    refused(program().args(["--from", "none:3"]), &["none:3"]);
    assert_eq!(calls_of(&world, "RunTask"), 0);
}

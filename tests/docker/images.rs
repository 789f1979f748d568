//! Our images, and an ancestor's, logged into by our client.

use e2e::{Program, Terminal, World, docker};
use serde_json::{Value, json};

use super::{register, world, world_with};

/// A world in which the task definition `test` is this image.
fn world_of(image: &str, more: Value) -> Option<World> {
    if !docker::has(image) {
        return None;
    }
    let world = world()?;
    let mut cli = json!({"name": "cli", "image": image, "environment": [{"name": "GREETING", "value": "a \"b\"\nc"}]});
    for (name, value) in more.as_object().expect("an object") {
        cli[name] = value.clone();
    }
    register(&world, json!([cli]), json!({})).expect("registered");
    Some(world)
}

fn login(world: &World) -> Program {
    world.program().args(["-n", "test", "-sg", "sg-1", "-sn", "subnet-1"])
}

/// What a session has to be in every image: the command's output, its exit status, the container's environment, and an end.
fn a_session_works(world: &World, arguments: &[&str], hands_on_newlines: bool) {
    let greeting = if hands_on_newlines { "a \"b\"\nc" } else { "" };
    let line = format!("test \"$GREETING\" = '{greeting}' || echo wrong: $GREETING; cat; exit 5");
    let line = if hands_on_newlines { line } else { "cat; exit 5".to_owned() };
    let done = login(world).args(arguments.iter().copied()).args(["--shell-command", &line]).run_with(b"in and out");
    assert_eq!((done.code, done.stdout.as_slice()), (5, &b"in and out"[..]), "{}", done.stderr);
    let task = world.stopped_task();
    let id = task.arn.rsplit('/').next().expect("an id").to_owned();
    assert_eq!(docker::containers(&id), Vec::<String>::new());
}

/// The plain image's user is not root: it may listen on port 22 where the definition allows it.
fn open_ports() -> Value {
    json!({"systemControls": [{"namespace": "net.ipv4.ip_unprivileged_port_start", "value": "0"}]})
}

#[test]
fn the_plain_image_is_logged_into() {
    let Some(world) = world_of(docker::PLAIN, open_ports()) else { return };
    a_session_works(&world, &[], true);
    assert_eq!(world.task().exit_codes, [("cli".to_owned(), Some(5))]);
}

#[test]
fn the_plain_image_is_logged_into_through_systems_manager() {
    // The agent enters the container's network, which only root may.
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let Some(world) = world_of(docker::PLAIN, open_ports()) else { return };
    let role = "arn:aws:iam::000000000000:role/test-cli-task";
    a_session_works(&world, &["--via", "ssm", "--task-role-arn", role], true);
    let log = world.stand_in().log(&world.task().arn, "cli");
    assert!(log.iter().any(|line| line.contains("127.0.0.1:22")), "nobody else reaches it: {log:?}");
    assert!(world.stand_in().sessions().iter().all(|session| session.is_over));
}

#[test]
fn the_application_image_has_its_console() {
    let Some(world) = world_of(docker::APP_EXAMPLE, json!({"entryPoint": ["/fargate-init"], "user": "0"})) else {
        return;
    };
    let done = login(&world).args(["--shell-command", "command -v console && pwd"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(String::from_utf8_lossy(&done.stdout).contains("/console"), "{:?}", done.stdout);
}

#[test]
fn openssh_behind_the_init_is_logged_into() {
    let Some(world) = world_of(docker::OPENSSH, json!({})) else { return };
    a_session_works(&world, &[], true);
}

#[test]
fn openssh_behind_the_init_shows_the_key_that_its_log_announces() {
    let options = json!({
        "awslogs-group": "/ssh", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p", "awslogs-create-group": "true",
    });
    let log = json!({"logConfiguration": {"logDriver": "awslogs", "options": options}});
    let Some(world) = world_of(docker::OPENSSH, log) else { return };
    a_session_works(&world, &["--host-key", "logs"], true);
}

#[test]
fn an_ancestors_image_is_logged_into_when_its_key_may_be_new() {
    let Some(world) = world_of(docker::ANCESTOR, json!({})) else { return };
    let refused = login(&world).args(["--", "true"]).run();
    assert_eq!(refused.code, 255, "its host key is not the one we made: {}", refused.stderr);
    assert!(refused.stderr.contains("accept-new"), "{}", refused.stderr);
    let Some(world) = world_of(docker::ANCESTOR, json!({})) else { return };
    a_session_works(&world, &["--host-key", "accept-new"], false);
}

#[test]
fn a_terminal_in_the_shipped_task_definition() {
    let Some(world) = world_with(|_| {}) else { return };
    if !docker::has(e2e::world::IMAGE) {
        return;
    }
    let mut terminal = Terminal::start(&world.program().args(["-n", "test-cli", "-sg", "sg-1", "-sn", "subnet-1"]));
    // Its user is not root.
    terminal.expect("$ ");
    terminal.send("stty size; exit 6\r");
    terminal.expect("24 80");
    assert_eq!(terminal.wait(), 6, "{}", terminal.screen());
    assert!(terminal.is_restored());
    assert_eq!(world.stopped_task().exit_codes, [("cli".to_owned(), Some(6))]);
}

#[test]
fn one_command_without_aws() {
    let Some(world) = world() else { return };
    if !docker::has(e2e::world::IMAGE) {
        return;
    }
    let done = world.program().args(["--local=docker", "-n", "test-cli", "--", "id", "-un"]).run();
    assert_eq!((done.code, done.stdout.as_slice()), (0, &b"operator\n"[..]), "{}", done.stderr);
}

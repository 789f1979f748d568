//! The network goes: the client notices within its keepalive bound, and the init ends by its own rule.

use e2e::{Terminal, World, docker};

use super::world;

/// A session whose network is taken away; the terminal when the client has ended with 255 and given it back.
fn cut_off(world: &World, options: &[&str]) -> Option<Terminal> {
    if !docker::has(e2e::world::IMAGE) {
        return None;
    }
    let login = world.program().args(["-n", "test-cli", "-sg", "sg-1", "-sn", "subnet-1"]);
    let mut terminal = Terminal::start(&login.args(options.iter().copied()));
    // The image's user is not root.
    terminal.expect("$ ");
    assert!(terminal.is_raw());
    let id = world.task().arn.rsplit('/').next().expect("an id").to_owned();
    let of_task = format!("label=local-fargate.task={id}");
    let all = docker::lines(&["ps", "--quiet", "--filter", &of_task]);
    let named = docker::lines(&["ps", "--quiet", "--filter", &of_task, "--filter", "label=local-fargate.container"]);
    // The container that holds the network is the one that no task definition knows.
    let holder = all.iter().find(|known| !named.contains(known)).expect("a holder").clone();
    let format = "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}";
    let network = docker::lines(&["inspect", "--format", format, &holder]).concat();
    let _ = docker::lines(&["network", "disconnect", "--force", &network, &holder]);
    assert_eq!(terminal.wait(), 255, "{}", terminal.screen());
    assert!(terminal.is_restored());
    Some(terminal)
}

#[test]
fn the_client_notices_and_stops_the_task() {
    let Some(world) = world() else { return };
    let Some(terminal) = cut_off(&world, &["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=2"]) else {
        return;
    };
    assert!(terminal.screen().contains("no longer answers"), "{}", terminal.screen());
    // Told to stop: its session, which nobody can reach any more, is ended with it.
    let exit = world.stopped_task().exit_codes;
    assert!(matches!(exit.as_slice(), [(_, Some(code))] if *code != 0), "{exit:?}");
    assert_eq!(world.task().stop_code.as_deref(), Some("UserInitiated"));
}

#[test]
fn the_init_ends_by_its_own_rule() {
    let Some(world) = world() else { return };
    // Long enough for the network to be gone before.
    let patient = ["-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=4", "--idle-timeout", "8s"];
    let Some(terminal) = cut_off(&world, &patient) else { return };
    assert!(terminal.screen().contains("exit code 122"), "{}", terminal.screen());
    // Nobody told it: nothing was typed for as long as the grant allows.
    assert_eq!(world.stopped_task().exit_codes, [("cli".to_owned(), Some(122))]);
    assert_eq!(world.task().stop_code.as_deref(), Some("EssentialContainerExited"));
}

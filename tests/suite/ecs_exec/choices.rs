//! Which container is meant: named, the only one, or the one that is chosen.

use e2e::{Terminal, World};

use super::account::{exec, one_task, request, run, service, world};

fn hostname(world: &World, words: &[&str]) -> (i32, String, String) {
    let done = exec(world).args(words.iter().copied()).args(["--", "sh", "-c", "echo in $LOCAL_FARGATE_ADDRESS"]).run();
    (done.code, done.text(), done.stderr)
}

#[test]
fn a_task_is_named_in_every_way_that_describe_takes() {
    let world = world(|_| {});
    let (arn, other) = (run(&world, &request("web", true)), run(&world, &request("web", true)));
    let id = arn.rsplit('/').next().expect("an id");
    let address = |arn: &str| {
        let tasks = world.stand_in().tasks();
        tasks.into_iter().find(|task| task.arn == arn).and_then(|task| task.address).expect("an address")
    };
    for name in [arn.as_str(), id, &id[..20]] {
        let (code, text, stderr) = hostname(&world, &["--task", name]);
        assert_eq!((code, text), (0, format!("in {}\n", address(&arn))), "{name}: {stderr}");
    }
    assert_eq!(hostname(&world, &["--task", &other]).1, format!("in {}\n", address(&other)));
}

#[test]
fn the_only_one_is_meant_and_tasks_without_exec_are_no_choice() {
    let world = world(|_| {});
    run(&world, &request("pair", false));
    service(&world, "web", 1);
    for words in [&[][..], &["--service", "web"], &["--service", "web", "--container", "app"]] {
        let (code, text, stderr) = hostname(&world, words);
        assert_eq!((code, text.starts_with("in ")), (0, true), "{words:?}: {stderr}");
    }
}

#[test]
fn without_a_terminal_a_choice_is_a_list_and_wrong_usage() {
    let world = world(|_| {});
    service(&world, "web", 2);
    let (code, text, stderr) = hostname(&world, &[]);
    assert_eq!((code, text.as_str()), (2, ""), "{stderr}");
    assert!(stderr.contains("error: there are 2 tasks of service web: name one"), "{stderr}");
    assert_eq!(stderr.lines().filter(|line| line.starts_with("hint: `--task ")).count(), 2, "{stderr}");
    let pair = run(&world, &request("pair", true));
    let (code, _, stderr) = hostname(&world, &[]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("hint: `--service web`: service web, 2 tasks"), "{stderr}");
    assert!(
        stderr.contains(&format!("hint: `--task {}`: family pair, 1 task", pair.rsplit('/').next().expect("an id"))),
        "{stderr}"
    );
    let (code, _, stderr) = hostname(&world, &["--task", &pair]);
    assert_eq!(code, 2, "{stderr}");
    assert!(stderr.contains("hint: `--container proxy`: proxy  app:1"), "{stderr}");
    assert_eq!(hostname(&world, &["--task", &pair, "--container", "proxy"]).0, 0);
    assert!(world.stand_in().sessions().len() == 1, "nothing was started but the last");
}

#[test]
fn on_a_terminal_one_is_asked() {
    let world = world(|_| {});
    service(&world, "web", 1);
    run(&world, &request("pair", true));
    let mut terminal =
        Terminal::start(&exec(&world).args(["--", "sh", "-c", "echo in $LOCAL_FARGATE_ADDRESS; exit 3"]));
    terminal.expect("1  family pair, 1 task");
    terminal.expect("2  service web, 1 task");
    terminal.expect("Which one? [1-2] ");
    terminal.send("three\r");
    terminal.expect("Which one? [1-2] ");
    terminal.send("1\r");
    terminal.expect("2  proxy");
    terminal.send("2\r");
    terminal.expect("in 127.");
    assert_eq!(terminal.wait(), 3, "{}", terminal.screen());
    let target = &world.stand_in().sessions()[0].target;
    let pair = world.stand_in().tasks().into_iter().find(|task| task.exit_codes.len() == 2).expect("the pair").arn;
    assert!(target.contains(pair.rsplit('/').next().expect("an id")), "{target} {pair}");

    let mut terminal = Terminal::start(&exec(&world));
    terminal.expect("Which one? [1-2] ");
    terminal.send("\x03");
    assert_eq!(terminal.wait(), 130, "{}", terminal.screen());
    let mut terminal = Terminal::start(&exec(&world));
    terminal.expect("Which one? [1-2] ");
    terminal.send("\x04");
    terminal.expect("nothing was chosen");
    assert_eq!(terminal.wait(), 255, "{}", terminal.screen());
}

#[test]
fn wrong_usage_is_told() {
    let world = one_task();
    for (words, told) in [
        (&["--task", "01", "--service", "web"][..], "`--task` and `--service` exclude each other"),
        (&["--no-shell"], "`--no-shell` has no command"),
        (&["--shell", "/bin/sh", "--", "ls"], "`--shell` and a command exclude each other"),
        (&["--spot"], "`--spot` says nothing to `exec`"),
        (&["ls"], "`ls` is not a subcommand"),
    ] {
        let done = exec(&world).args(words.iter().copied()).run();
        assert_eq!(done.code, 2, "{words:?}");
        assert!(done.stderr.contains(told), "{words:?}: {}", done.stderr);
    }
}

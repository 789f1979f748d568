//! A program of this machine with the tunnel up: what it is told, whose signals are whose, and what its end is.

use e2e::{Terminal, World};
use nix::sys::signal::Signal;

use super::gone;

#[test]
fn it_is_told_where_its_forwards_are_and_its_end_is_ours() {
    let world = World::new();
    let line = r#"echo "$FARGATE_LOGIN_FORWARD_HOST $FARGATE_LOGIN_FORWARD_1_HOST {host}"
        test "$FARGATE_LOGIN_FORWARD_2_PORT" = "{port_2}" && test "$FARGATE_LOGIN_FORWARD_PORT" = "{port}"
        test "$FARGATE_LOGIN_FORWARD_1_PORT" = "{port_1}" && test "$FARGATE_LOGIN_REMOTE_FORWARD_1_PORT" -gt 0 && cat && exit 9"#;
    let flags = ["-L", "0:db:1", "-D", "0", "-R", "0:db:1", "--exec", "--", "sh", "-e", "-c", line];
    let done = world.login().args(flags).run_with(b"its input");
    assert_eq!((done.code, done.text().as_str()), (9, "127.0.0.1 127.0.0.1 127.0.0.1\nits input"), "{}", done.stderr);
    gone(&world);
    let world = World::new();
    let done = world.login().args(["-L", "0:db:1", "--exec", "--", "sh", "-c", "kill -KILL $$"]).run();
    assert_eq!(done.code, 137, "{}", done.stderr);
}

#[test]
fn one_that_is_not_there_costs_nothing() {
    for (program, code) in [("no-such-program-at-all", 127), ("/etc/passwd", 126)] {
        let world = World::new();
        let done = world.login().args(["-L", "0:db:1", "--exec", "--", program]).run();
        assert_eq!(done.code, code, "{}", done.stderr);
        assert!(done.stderr.contains(program), "{}", done.stderr);
        assert!(!world.calls().contains(&"ecs:RunTask".to_owned()), "nothing is launched");
    }
}

#[test]
fn signals_are_passed_on_and_its_answer_counts() {
    for (signal, name) in [(Signal::SIGTERM, "TERM"), (Signal::SIGINT, "INT"), (Signal::SIGHUP, "HUP")] {
        let world = World::new();
        let line = format!("trap 'echo got it; exit 7' {name}; echo ready; while :; do sleep 0.1; done");
        let mut running = world.login().args(["-L", "0:db:1", "--exec", "--", "sh", "-c", &line]).start();
        running.read_until("ready");
        running.signal(signal);
        let done = running.wait();
        assert_eq!((done.code, done.text().trim()), (7, "got it"), "{signal}: {}", done.stderr);
        gone(&world);
    }
}

#[test]
fn what_is_typed_at_the_terminal_reaches_it_once() {
    let world = World::new();
    // A shell that is reading may give that up for the signal, with nothing read.
    let line = "trap 'n=$((n + 1))' INT; echo rea''dy; until read line; do :; done; echo \"<$n $line>\"; exit $n";
    let mut terminal = Terminal::start(&world.login().args(["-L", "0:db:1", "--exec", "--", "sh", "-c", line]));
    terminal.expect("ready");
    terminal.send("\x03");
    terminal.expect("^C");
    terminal.send("word\r");
    terminal.expect("<1 word>");
    assert_eq!(terminal.wait(), 1, "{}", terminal.screen());
    gone(&world);
}

#[test]
fn it_is_ended_when_its_tunnel_is_gone_for_good() {
    let world = World::new();
    let line = "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.1; done";
    let flags = ["--max-lifetime", "4s", "-L", "0:db:1", "--exec", "--", "sh", "-c", line];
    let mut running = world.login().args(flags).start();
    running.read_until("ready");
    let done = running.wait();
    assert_eq!((done.code, done.text().trim()), (255, "told"), "{}", done.stderr);
    assert!(done.stderr.contains("the connection is lost for good"), "{}", done.stderr);
    assert_eq!(world.stopped_task().exit_codes, [("cli".to_owned(), Some(123))]);
}

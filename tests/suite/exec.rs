//! Commands: arguments, bytes and exit statuses arrive exactly.

use e2e::World;

#[test]
fn arguments_arrive_exactly() {
    let world = World::new();
    let odd = ["a b", "it's", "", "$HOME", "two\nlines", "größe", "*", "-n", "\\", "\"q\""];
    let done = world.login().args(["--", "printf", "%s|"]).args(odd).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.text(), odd.map(|word| format!("{word}|")).concat());
}

#[test]
fn the_exit_status_is_the_commands_own() {
    let world = World::new();
    for (script, code) in
        [("exit 0", 0), ("exit 3", 3), ("exit 255", 255), ("kill -TERM $$", 143), ("kill -KILL $$", 137)]
    {
        let done = world.login().args(["--shell-command", script]).run();
        assert_eq!(done.code, code, "{script}: {}", done.stderr);
    }
}

#[test]
fn stdout_and_stderr_stay_apart_and_our_talk_is_not_on_stdout() {
    let world = World::new();
    let done = world.login().args(["--shell-command", "echo out; echo err >&2"]).run();
    assert_eq!(done.text(), "out\n");
    assert!(done.stderr.contains("err\n"), "{}", done.stderr);
    let quiet = world.login().args(["-q", "--shell-command", "echo out; echo err >&2"]).run();
    assert_eq!((quiet.text().as_str(), quiet.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
fn stdin_is_closed_half_and_the_answer_still_comes() {
    let world = World::new();
    let input: Vec<u8> = (0..3_000_000_u32).flat_map(u32::to_le_bytes).collect();
    let done = world.login().args(["--shell-command", "wc -c; echo after"]).run_with(&input);
    assert_eq!(done.text().split_whitespace().collect::<Vec<_>>(), ["12000000", "after"], "{}", done.stderr);
    let echoed = world.login().args(["--", "cat"]).run_with(&input);
    assert!(echoed.stdout == input, "{} of {} bytes came back", echoed.stdout.len(), input.len());
}

#[test]
fn the_containers_environment_is_the_sessions_less_the_grant() {
    let world = World::new();
    let value = "quote ' \" newline\nümlaut $x";
    let done =
        world.login().args(["--env", &format!("ODD={value}"), "--shell-command", "printf %s \"$ODD\"; env"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let text = done.text();
    assert!(text.starts_with(value), "{text}");
    assert!(text.contains("AWS_EXECUTION_ENV=AWS_ECS_FARGATE"), "{text}");
    assert!(!text.contains("_AUTHORIZED_PUBLIC_KEY") && !text.contains("_FARGATE_LOGIN_"), "{text}");
}

#[test]
fn a_slow_reader_gets_every_byte() {
    let world = World::new();
    let mut running = world.login().args(["--shell-command", "head -c 40000000 /dev/zero; echo end >&2"]).start();
    // Nobody reads stdout until the remote has said that it is done: credit must not be needed for that.
    running.hear("RunTask");
    let done = running.wait();
    assert_eq!((done.code, done.stdout.len()), (0, 40_000_000), "{}", done.stderr);
}

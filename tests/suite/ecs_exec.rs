//! `exec`: a command in a container that runs already arrives exactly, and so do its output and its exit status.

mod account;
mod choices;
mod missing;
mod sessions;

use e2e::Terminal;
use nix::sys::signal::{Signal, kill};

use account::exec;
pub(crate) use account::one_task;

#[test]
fn arguments_arrive_exactly_and_output_is_clean() {
    let world = one_task();
    let odd = ["a b", "it's", "", "$HOME", "two\nlines", "größe", "*", "-n", "\\", "\"q\"", "# no", "a\tb", "`x`"];
    let done = exec(&world).args(["--", "printf", "%s|"]).args(odd).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.text(), odd.map(|word| format!("{word}|")).concat());
}

#[test]
fn the_exit_status_is_the_commands_own() {
    let world = one_task();
    let cases = [
        ("exit 0", 0),
        ("exit 3", 3),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
        ("no-such", 127),
    ];
    for (script, code) in cases {
        let done = exec(&world).args(["--", "sh", "-c", script]).run();
        assert_eq!(done.code, code, "{script}: {}", done.stderr);
    }
    // Builtins of the wrapper's own shell do it no harm.
    for (words, code) in [(&["exit", "4"][..], 4), (&["set", "-x"], 0), (&["no-such-program"], 127)] {
        assert_eq!(exec(&world).arg("--").args(words.iter().copied()).run().code, code, "{words:?}");
    }
    assert!(world.stand_in().sessions().iter().all(|session| session.is_over && session.irregularities.is_empty()));
    assert!(!world.calls().contains(&"ssm:TerminateSession".to_owned()), "they end by themselves");
}

#[test]
fn errors_are_told_apart_and_the_environment_is_the_containers() {
    let world = one_task();
    let script =
        "echo out; echo err >&2; printf more >&2; echo $GREETING; [ -t 0 ] || [ -t 1 ] || [ -t 2 ] || echo pipes";
    let done = exec(&world).args(["-q", "--", "sh", "-c", script]).run();
    assert_eq!((done.text().as_str(), done.stderr.as_str()), ("out\nhello\npipes\n", "err\nmore"));
}

#[test]
fn input_of_any_bytes_arrives_with_its_end() {
    let world = one_task();
    let all: Vec<u8> = (0..=255).collect();
    for input in [Vec::new(), b"no line feed".to_vec(), b"\x04\x04\x16\x03\n\r\n".to_vec(), all.repeat(5)] {
        let done = exec(&world).args(["--", "cat"]).run_with(&input);
        assert_eq!((done.code, &done.stdout), (0, &input), "{}", done.stderr);
    }
    // More than the container's terminal holds.
    let input: Vec<u8> = (0..40_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    let done = exec(&world).args(["--", "sh", "-c", "cat; exit 9"]).run_with(&input);
    assert_eq!((done.code, done.stdout.len()), (9, input.len()), "{}", done.stderr);
    assert!(done.stdout == input);
    // A command that wants none of it is not held up by it.
    let done = exec(&world).args(["--", "head", "-c", "2"]).run_with(&input);
    assert_eq!((done.code, done.stdout.as_slice()), (0, &input[..2]), "{}", done.stderr);
}

#[test]
fn a_command_ends_though_our_input_does_not() {
    let world = one_task();
    let mut running = exec(&world).args(["--", "sh", "-c", "echo on; exit 3"]).start();
    running.read_until("on");
    world.wait_until(|world| world.stand_in().sessions().iter().all(|session| session.is_over));
    assert_eq!(running.wait().code, 3);
    assert!(!world.calls().contains(&"ssm:TerminateSession".to_owned()), "it ended by itself");
}

#[test]
fn output_that_looks_like_a_marker_is_output() {
    let world = one_task();
    // The wrapper itself, nonce included, as a list of processes shows it; and its tracing.
    let done = exec(&world)
        .args(["--", "sh", "-xc", "tr '\\0' '\\n' </proc/$PPID/cmdline; printf '\\033_0123\\033'; exit 5"])
        .run();
    assert_eq!(done.code, 5, "{}", done.stderr);
    assert!(
        done.text().contains("printf \"\\033_%sx%s\\033") && done.text().ends_with("\x1b_0123\x1b"),
        "{:?}",
        done.text()
    );
    assert!(done.stderr.contains("+ exit 5"), "{}", done.stderr);
}

#[test]
fn a_script_on_standard_input_is_run_by_a_shell() {
    let world = one_task();
    let done = exec(&world).run_with(b"echo $((6*7))\nexit 6\n");
    assert_eq!((done.code, done.text().as_str()), (6, "42\n"), "{}", done.stderr);
}

#[test]
fn a_shell_at_a_terminal_is_raw_resized_interrupted_and_restored() {
    let world = one_task();
    let mut terminal = Terminal::start(&exec(&world).args(["--shell", "/bin/sh"]));
    terminal.expect_prompt();
    assert!(terminal.is_raw());
    terminal.send("stty size; echo $GREETING\r");
    terminal.expect("24 80\r\nhello\r\n");
    // Nothing is typed after the first change: what is would bring the size along.
    terminal.send("echo wai''ting; until stty size | grep '^42 131'; do sleep 0.1; done\r");
    terminal.expect("waiting");
    terminal.resize(42, 131);
    terminal.expect("42 131\r\n");
    terminal.resize(43, 132);
    terminal.send("stty size\r");
    terminal.expect("43 132");
    terminal.send("sleep 1000\r");
    terminal.expect("sleep 1000");
    terminal.send("\x03");
    terminal.expect_prompt();
    terminal.send("exit 7\r");
    assert_eq!(terminal.wait(), 7, "{}", terminal.screen());
    assert!(terminal.is_restored());
    let shown = terminal.screen();
    assert!(!shown.contains("\x1b_") && !shown.contains("printf"), "nothing of the wrapper is shown: {shown:?}");
}

#[test]
fn a_command_at_a_terminal_has_one_and_its_status_is_ours() {
    let world = one_task();
    let mut terminal = Terminal::start(&exec(&world).args([
        "--",
        "sh",
        "-c",
        "tty; printf 'name? '; read name; echo hi $name; exit 12",
    ]));
    terminal.expect("/dev/pts/");
    terminal.expect("name? ");
    terminal.send("ada\r");
    terminal.expect("hi ada");
    assert_eq!(terminal.wait(), 12, "{}", terminal.screen());
    assert!(terminal.is_restored());
}

#[test]
fn what_the_terminal_shows_is_recorded_without_the_markers() {
    let world = one_task();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("session.cast");
    let name = file.to_str().expect("UTF-8");
    let mut terminal =
        Terminal::start(&exec(&world).args(["-it", "--record", name, "--", "sh", "-c", "echo s''hown; exit 4"]));
    assert_eq!(terminal.wait(), 4, "{}", terminal.screen());
    let cast = std::fs::read_to_string(&file).expect("a recording");
    assert!(cast.contains("shown") && !cast.contains("\\u001b_"), "{cast}");
    // It takes nothing's place, and there is none of what no terminal shows.
    let mut terminal = Terminal::start(&exec(&world).args(["--record", name]));
    assert_eq!(terminal.wait(), 2, "{}", terminal.screen());
    let other = folder.path().join("other.cast");
    let done = exec(&world).args(["--record", other.to_str().expect("UTF-8"), "--", "true"]).run();
    assert_eq!((done.code, other.exists()), (2, false), "{}", done.stderr);
    assert!(done.stderr.contains("run it on a terminal"), "{}", done.stderr);
}

#[test]
fn flags_of_docker_and_kubectl_mean_what_they_mean_there() {
    let world = one_task();
    let done = exec(&world).args(["-i", "--", "cat"]).run_with(b"in");
    assert_eq!((done.code, done.text().as_str()), (0, "in"), "{}", done.stderr);
    let mut terminal = Terminal::start(&exec(&world).args(["-it", "--", "sh", "-c", "tty; exit 6"]));
    terminal.expect("/dev/pts/");
    assert_eq!(terminal.wait(), 6, "{}", terminal.screen());
    let done = exec(&world).args(["-it", "-T", "--", "true"]).run();
    assert_eq!(done.code, 2, "{}", done.stderr);
    assert!(done.stderr.contains("`-t` asks for a terminal, and `-T` for pipes"), "{}", done.stderr);
}

#[test]
fn whatever_ends_us_leaves_no_session_behind() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let world = one_task();
        let mut terminal = Terminal::start(&exec(&world).args(["--shell", "/bin/sh"]));
        terminal.expect_prompt();
        kill(terminal.pid(), signal).expect("the program runs");
        assert_eq!(terminal.wait(), 128 + signal as i32, "{}", terminal.screen());
        assert!(terminal.is_restored());
        account::assert_terminated(&world);
    }
    let world = one_task();
    let mut terminal = Terminal::start(&exec(&world).args(["--shell", "/bin/sh"]));
    terminal.expect_prompt();
    terminal.send("\r~.");
    assert_eq!(terminal.wait(), 255, "{}", terminal.screen());
    assert!(terminal.is_restored());
    account::assert_terminated(&world);

    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let world = one_task();
        let mut running = exec(&world).args(["--", "sh", "-c", "echo on; sleep 1000"]).start();
        running.read_until("on");
        running.signal(signal);
        assert_eq!(running.wait().code, 128 + signal as i32);
        account::assert_terminated(&world);
    }
    let world = one_task();
    let running = exec(&world).park_at("after-execute-command");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait().code, 143);
    account::assert_terminated(&world);
    // A reader that goes away ends the command, as a pipe would.
    let world = one_task();
    let mut running = exec(&world).args(["--", "sh", "-c", "yes"]).start();
    running.read_until("y");
    running.close_stdout();
    assert_eq!(running.wait().code, 141);
    account::assert_terminated(&world);
    account::assert_alone(&world);
}

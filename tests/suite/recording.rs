//! `--record`: a session with a terminal in a file that a player can show, whole on every way out.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use e2e::{Terminal, World};
use nix::sys::signal::{Signal, kill};
use serde_json::Value;

/// The lines of a recording; each is JSON, whatever ended the program.
fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("a recording in UTF-8");
    assert!(text.ends_with('\n'), "{text:?}");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// What a player would write to a terminal.
fn shown(lines: &[Value]) -> String {
    let output = lines[1..].iter().filter(|line| line[1] == "o");
    output.map(|line| line[2].as_str().expect("text")).collect()
}

#[test]
fn a_recording_has_what_was_shown_and_not_what_was_typed() {
    let world = World::new();
    let file = world.home().join("session.cast");
    let mut terminal = Terminal::start(&world.login().arg("--record").arg(&file));
    terminal.expect_prompt();
    terminal.send("printf '\\303\\251 %s\\n' $((40 + 2))\r");
    terminal.expect("é 42");
    terminal.expect_prompt();
    // What comes after the size has changed shows it.
    terminal.resize(30, 100);
    terminal.send("stty size; stty -echo; echo si''lent; read secret; stty echo; echo do''ne\r");
    terminal.expect("silent");
    terminal.send("hunter2\r");
    terminal.expect("done");
    terminal.send("exit\r");
    assert_eq!(terminal.wait(), 0, "{}", terminal.screen());
    let lines = lines(&file);
    let header = &lines[0];
    assert_eq!((&header["version"], &header["width"], &header["height"]), (&2.into(), &80.into(), &24.into()));
    assert_eq!(header["env"]["TERM"], "xterm-256color");
    let shown = shown(&lines);
    assert!(shown.contains("é 42") && shown.contains("done"), "{shown}");
    assert!(terminal.screen().contains(shown.trim()), "{shown:?} is not what was on {:?}", terminal.screen());
    assert!(lines.iter().any(|line| line[1] == "r" && line[2] == "100x30"), "{lines:?}");
    assert!(!fs::read_to_string(&file).expect("text").contains("hunter2"));
    let times: Vec<_> = lines[1..].iter().map(|line| line[0].as_f64().expect("seconds")).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert_eq!(fs::metadata(&file).expect("a file").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_recording_is_whole_however_the_program_ends() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGKILL] {
        let world = World::new();
        let file = world.home().join("session.cast");
        let limits = ["--login-timeout", "60s", "--reconnect-grace", "0"];
        let mut terminal = Terminal::start(&world.login().args(limits).arg("--record").arg(&file));
        terminal.expect_prompt();
        terminal.send("echo be''fore\r");
        terminal.expect("before");
        // A line that the user sees is on its way to the file: it is there at the latest when a second one is.
        while !fs::read_to_string(&file).expect("text").contains("before\\r") {
            terminal.send("\r");
            terminal.expect_prompt();
        }
        kill(terminal.pid(), signal).expect("the program runs");
        assert_eq!(terminal.wait(), 128 + signal as i32, "{}", terminal.screen());
        assert!(shown(&lines(&file)).contains("before\r\n"), "{signal}");
        let _ = world.stopped_task();
    }
}

#[test]
fn what_cannot_be_recorded_is_told_before_anything_is_asked_for() {
    let world = World::new();
    let there = world.home().join("there.cast");
    fs::write(&there, "mine").expect("a file");
    let new = world.home().join("new.cast");
    let nowhere = world.home().join("none/new.cast");
    for (flags, file, words) in [
        (&["-tt"][..], &there, "exists already"),
        (&["--", "true"], &new, "only a session with a terminal can be recorded"),
        (&["-T"], &new, "only a session with a terminal can be recorded"),
        (&["-tt"], &nowhere, "cannot record to"),
    ] {
        let done = world.login().arg("--record").arg(file).args(flags).run();
        assert_eq!(done.code, 2, "{}", done.stderr);
        assert!(done.stderr.contains(words) && done.stderr.contains("hint: "), "{words}: {}", done.stderr);
    }
    assert!(world.stand_in().tasks().is_empty());
    assert!(!world.calls().contains(&"ecs:RunTask".to_owned()));
    assert_eq!(fs::read_to_string(&there).expect("a file"), "mine");
    assert!(!new.exists(), "a file that nothing came to goes");
}

#[test]
fn a_terminal_that_is_forced_is_recorded_at_the_size_that_it_has() {
    let world = World::new();
    let file = world.home().join("session.cast");
    let recorded = world.login().arg("--record").arg(&file).args(["-tt", "--", "stty", "size"]);
    let done = recorded.run();
    assert_eq!((done.code, done.text().as_str()), (0, "24 80\r\n"), "{}", done.stderr);
    let lines = lines(&file);
    assert_eq!((&lines[0]["width"], &lines[0]["height"]), (&80.into(), &24.into()));
    assert_eq!(shown(&lines), "24 80\r\n");
}

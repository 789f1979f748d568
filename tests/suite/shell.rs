//! The interactive shell, through a real terminal.

use e2e::{Terminal, World};

#[test]
fn the_remote_terminal_has_our_size_and_follows_it() {
    let world = World::new();
    let mut terminal = Terminal::start(&world.login());
    terminal.expect_prompt();
    terminal.send("stty size; echo $TERM\r");
    terminal.expect("24 80");
    terminal.expect("xterm-256color");
    terminal.resize(40, 120);
    terminal.send("stty size\r");
    terminal.expect("40 120");
    terminal.send("exit\r");
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn control_c_belongs_to_the_remote() {
    let world = World::new();
    let mut terminal = Terminal::start(&world.login());
    terminal.expect_prompt();
    // Only a program that has said something is sure to be the one that the terminal's signals go to.
    terminal.send("sh -c 'echo \"star\"ted; exec sleep 1000'\r");
    terminal.expect("started");
    assert!(terminal.is_raw());
    terminal.send("\x03");
    terminal.expect_prompt();
    terminal.send("echo \"still\"-here; exit 5\r");
    terminal.expect("still-here");
    assert_eq!(terminal.wait(), 5);
    assert!(terminal.is_restored());
}

#[test]
fn the_escape_ends_the_session_and_restores_the_terminal() {
    let world = World::new();
    let mut terminal = Terminal::start(&world.login());
    terminal.expect_prompt();
    terminal.send("\r~?");
    terminal.expect("~.");
    terminal.send("\r~.");
    assert_eq!(terminal.wait(), 255, "{}", terminal.screen());
    assert!(terminal.is_restored());
    assert_eq!(world.stopped_task().last_status, "STOPPED");
}

#[test]
fn a_command_gets_a_terminal_only_when_asked() {
    let world = World::new();
    let mut plain = Terminal::start(&world.login().args(["--shell-command", "tty || true"]));
    plain.expect("not a tty");
    assert_eq!(plain.wait(), 0);
    let mut asked = Terminal::start(&world.login().args(["-t", "--shell-command", "tty"]));
    asked.expect("/dev/pts/");
    assert_eq!(asked.wait(), 0);
    assert!(asked.is_restored());
}

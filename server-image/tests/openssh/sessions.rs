//! What a session is: streams, exit statuses, signals, terminals.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::Stdio;

use crate::container::{Container, text};

/// Larger than every buffer on the way together.
const LARGE: usize = 6 * 1024 * 1024;

#[test]
fn streams_are_apart_and_the_exit_code_comes_back() {
    let mut container = Container::start(&[]);
    let output = container.run("echo pay''load; echo err >&2; exit 7");
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("payload\n".to_owned(), "err\n".to_owned()));
    assert_eq!((output.status.code(), container.ended()), (Some(7), 7));
    let start = container.last("session_start");
    assert_eq!((&start["kind"], &start["terminal"]), (&"exec".into(), &false.into()));
    assert!(!container.events.iter().any(|event| event.to_string().contains("payload")), "no payload in the log");
}

#[test]
fn input_ends_and_output_follows() {
    let mut container = Container::start(&[]);
    let mut ssh = container.ssh(&[], &["cat; echo done >&2; exit 3"]).stdin(Stdio::piped()).spawn().expect("ssh");
    let sent: Vec<u8> = (0..LARGE).map(|index| (index / 7 % 251) as u8).collect();
    let (mut stdin, copy) = (ssh.stdin.take().expect("stdin"), sent.clone());
    let writer = std::thread::spawn(move || stdin.write_all(&copy).expect("a reader"));
    let output = ssh.wait_with_output().expect("ssh");
    writer.join().expect("a writer");
    assert!(output.stdout == sent, "{} of {} bytes", output.stdout.len(), sent.len());
    assert_eq!((text(&output.stderr), output.status.code()), ("done\n".to_owned(), Some(3)));
    assert_eq!(container.ended(), 3);
}

#[test]
fn output_is_whole_before_the_end() {
    let mut container = Container::start(&[]);
    let output = container.run(&format!("head -c {LARGE} /dev/zero; exit 1"));
    assert_eq!((output.stdout.len(), output.status.code()), (LARGE, Some(1)));
    assert_eq!(container.ended(), 1);
}

#[test]
fn a_process_that_reads_nothing_does_not_hold_the_input() {
    let mut container = Container::start(&[]);
    let mut ssh = container.ssh(&[], &["exit 2"]).stdin(Stdio::piped()).spawn().expect("ssh");
    // The pipe may break at any point.
    let _ = ssh.stdin.take().expect("stdin").write_all(&vec![0; LARGE]);
    assert_eq!(ssh.wait().expect("ssh").code(), Some(2));
    assert_eq!(container.ended(), 2);
}

#[test]
fn death_by_a_signal_is_told_as_such() {
    let mut container = Container::start(&[]);
    let output = container.ssh(&["-o", "LogLevel=DEBUG1"], &["kill -SEGV $$"]).output().expect("ssh");
    assert_eq!(output.status.code(), Some(255));
    let told = text(&output.stderr);
    assert!(told.contains("client_input_channel_req: channel 0 rtype exit-signal"), "{told}");
    assert_eq!(container.ended(), 128 + 11);
    assert_eq!(container.last("session_end")["reason"], "killed by SIGSEGV");
}

#[test]
fn a_terminal_controls_its_session() {
    let mut container = Container::start(&[]);
    let command =
        "test \"$(tty)\" = \"$SSH_TTY\" && test -t 2 && ps -o stat= -p $$ && echo ready $TERM; exec sleep 1000";
    let mut ssh =
        container.ssh(&["-tt"], &[command]).env("TERM", "xterm-test").stdin(Stdio::piped()).spawn().expect("ssh");
    let mut lines = BufReader::new(ssh.stdout.take().expect("stdout"));
    let mut line = || {
        let mut line = String::new();
        lines.read_line(&mut line).expect("text");
        line
    };
    assert!(line().contains("s+"), "it leads a session, in the foreground");
    assert_eq!(line(), "ready xterm-test\r\n");
    ssh.stdin.as_mut().expect("stdin").write_all(b"\x03").expect("a reader");
    assert_eq!(ssh.wait().expect("ssh").code(), Some(255));
    assert_eq!(container.ended(), 128 + 2);
    assert_eq!(container.last("session_end")["reason"], "killed by SIGINT");
}

#[test]
fn a_shell_is_a_login_shell() {
    let mut container = Container::start(&[]);
    let mut ssh = container.ssh(&["-tt"], &[]).stdin(Stdio::piped()).spawn().expect("ssh");
    ssh.stdin.as_mut().expect("stdin").write_all(b"echo \"=$0=\"\nexit 5\n").expect("a reader");
    let mut shown = String::new();
    ssh.stdout.take().expect("stdout").read_to_string(&mut shown).expect("text");
    assert!(shown.contains("=-bash=") || shown.contains("=-sh="), "{shown}");
    assert_eq!(ssh.wait().expect("ssh").code(), Some(5));
    assert_eq!(container.ended(), 5);
    assert_eq!(container.last("session_start")["kind"], "shell");
}

#[test]
fn a_background_process_holds_a_session_as_with_openssh() {
    let mut container = Container::start(&[]);
    let mut ssh =
        container.ssh(&[], &["(read x; echo later) <&0 & exit 4"]).stdin(Stdio::piped()).spawn().expect("ssh");
    container.until("session_start");
    ssh.stdin.as_mut().expect("stdin").write_all(b"\n").expect("a reader");
    let output = ssh.wait_with_output().expect("ssh");
    assert_eq!((text(&output.stdout), output.status.code()), ("later\n".to_owned(), Some(4)));
    assert_eq!(container.ended(), 4);
    let mut container = Container::start(&[]);
    let output = container.ssh(&["-tt"], &["sleep 1000 & exit 4"]).output().expect("ssh");
    assert_eq!((output.status.code(), container.ended()), (Some(4), 4), "a terminal ends with its leader");
}

#[test]
fn several_sessions_share_a_connection() {
    let mut container = Container::start(&[]);
    let socket = format!("ControlPath={}", container.directory.path().join("mux").display());
    let mut master = container.ssh(&["-M", "-o", &socket], &["cat"]).stdin(Stdio::piped()).spawn().expect("ssh");
    container.until("session_start");
    for code in [1, 2, 3] {
        let output = container.ssh(&["-o", &socket], &[&format!("exit {code}")]).output().expect("ssh");
        assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    }
    drop(master.stdin.take());
    assert_eq!((master.wait().expect("ssh").code(), container.ended()), (Some(0), 0));
}

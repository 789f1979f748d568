//! The wrapper on a terminal of its own, run by every shell that is here.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use super::super::canonical::{END_OF_FILE, NUDGE, typed};
use super::super::marker::{Markers, Piece};
use super::*;

/// Shells that containers have: Debian's, Alpine's, Red Hat's.
const SHELLS: [&[&str]; 3] = [&["dash"], &["busybox", "sh"], &["bash", "--posix"]];

#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    out: String,
    err: String,
    status: Option<u8>,
    ended: bool,
}

/// What comes of a command with this input; `None` where the shell is not here.
fn run(shell: &[&str], mode: Mode, command: &[&str], input: &[u8]) -> Option<Told> {
    let nonce = Nonce::draw();
    let pty = nix::pty::openpty(None, None).expect("a pseudo-terminal");
    for end in [&pty.master, &pty.slave] {
        // What the wrapper leaves running must not hold the terminal.
        rustix::io::fcntl_setfd(end, rustix::io::FdFlags::CLOEXEC).expect("a descriptor");
    }
    let slave = || Stdio::from(pty.slave.try_clone().expect("a descriptor"));
    let child = Command::new(shell[0])
        .args(&shell[1..])
        .args(["-c", &script(mode), "sh", nonce.text()])
        .args(command)
        .stdin(slave())
        .stdout(slave())
        .stderr(slave())
        .spawn();
    let mut child = child.ok()?;
    drop(pty.slave);
    let mut master = File::from(pty.master);
    let (mut markers, mut told, mut buffer) = (Markers::new(&nonce), Told::default(), [0; 1024]);
    let mut keys = master.try_clone().expect("a descriptor");
    // The end of the terminal is an error.
    while let Ok(count @ 1..) = master.read(&mut buffer) {
        for piece in markers.take(&buffer[..count]) {
            match piece {
                Piece::Before(text) => panic!("{text:?} before the wrapper began"),
                Piece::Begun { piped } => {
                    assert_eq!(piped, mode == Mode::Pipes, "{shell:?}");
                    if piped {
                        keys.write_all(&typed(input)).and_then(|()| keys.write_all(&[END_OF_FILE])).expect("typed");
                    }
                }
                Piece::Out(text) => told.out.push_str(&String::from_utf8_lossy(&text)),
                Piece::Err(text) => told.err.push_str(&String::from_utf8_lossy(&text)),
                Piece::Exit(status) => {
                    told.status = Some(status);
                    let end = [&[NUDGE, END_OF_FILE][..], nonce.text().as_bytes(), b"\n"].concat();
                    keys.write_all(&end).expect("typed");
                }
            }
        }
    }
    told.ended = child.wait().expect("a child").success();
    Some(told)
}

#[test]
fn the_command_follows_the_wrapper_word_by_word() {
    let nonce = Nonce::draw();
    let command = ["echo", "it's", "", "a\nb"].map(str::to_owned);
    for mode in [Mode::Terminal, Mode::Pipes] {
        let words = quote::tests::split(&line(mode, &nonce, &command)).expect("words");
        assert_eq!(words[..2], [SHELL, "-c"]);
        assert_eq!(words[3..5], ["sh", nonce.text()]);
        assert_eq!(words[5..], command);
    }
}

#[test]
fn every_shell_tells_output_errors_and_status_apart_and_ends_when_it_is_heard() {
    let script = "cat; printf 'e 1\\ne\\\\2' >&2; exit 7";
    let (mut ran, input) = (0, b"a\x04b\x16\r\n\x03z".as_slice());
    for shell in SHELLS {
        let Some(told) = run(shell, Mode::Pipes, &["sh", "-c", script], input) else { continue };
        let out = String::from_utf8_lossy(input).into_owned();
        assert_eq!(told, Told { out, err: "e 1\ne\\2".to_owned(), status: Some(7), ended: true }, "{shell:?}");
        let killed = run(shell, Mode::Pipes, &["sh", "-c", "kill -TERM $$"], b"never read").expect("it ran before");
        assert_eq!((killed.status, killed.ended), (Some(143), true), "{shell:?}");
        let told = run(shell, Mode::Terminal, &["sh", "-c", "echo on; exit 9"], b"").expect("it ran before");
        let expected = Told { out: "on\r\n".to_owned(), err: String::new(), status: Some(9), ended: true };
        assert_eq!(told, expected, "{shell:?}");
        ran += 1;
    }
    assert!(ran > 0, "not even sh is here");
}

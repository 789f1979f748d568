//! Sessions against a real OpenSSH server.

use std::io::{self, PipeReader, PipeWriter, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::way_back::WayBack;
use super::{ExitStatus, SessionError, SessionRequest, Stdio, run_on};
use crate::options::{RemoteCommand, Tty};
use crate::session::terminal::TURN;
use crate::ssh::sshd::Sshd;
use crate::ssh::{Connection, Loss, SshError};

/// Long enough for every event that a test awaits, however busy the machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(120);

pub(super) fn shell(line: &str) -> SessionRequest {
    SessionRequest { command: RemoteCommand::ShellCommand(line.to_owned()), ..SessionRequest::default() }
}

/// A foreign server keeps nothing to come back to.
struct NoWay;

impl WayBack for NoWay {
    async fn connect(&self) -> Result<Connection, SshError> {
        unreachable!("nobody asked for a session that is kept")
    }

    async fn task_ended(&self) {}
}

/// The test's ends of a session's standard streams.
pub(super) struct Ends {
    pub(super) stdin: PipeWriter,
    pub(super) stdout: PipeReader,
    pub(super) stderr: PipeReader,
}

pub(super) fn pipes() -> (Stdio, Ends) {
    let (their_stdin, stdin) = io::pipe().expect("a pipe");
    let (stdout, their_stdout) = io::pipe().expect("a pipe");
    let (stderr, their_stderr) = io::pipe().expect("a pipe");
    let stdio = Stdio { stdin: their_stdin.into(), stdout: their_stdout.into(), stderr: their_stderr.into() };
    (stdio, Ends { stdin, stdout, stderr })
}

pub(super) fn read_all(mut reader: impl io::Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let mut all = Vec::new();
        reader.read_to_end(&mut all).expect("readable");
        all
    })
}

/// How it ended, its standard output and its standard error.
type Outcome = (Result<ExitStatus, SessionError>, String, String);

async fn run(sshd: &Sshd, request: SessionRequest, stdin: &'static [u8]) -> Outcome {
    let mut connection = sshd.connect().await;
    let (stdio, mut ends) = pipes();
    let fed = std::thread::spawn(move || ends.stdin.write_all(stdin));
    let (stdout, stderr) = (read_all(ends.stdout), read_all(ends.stderr));
    let session = run_on(&mut connection, request, stdio, &NoWay, CancellationToken::new());
    let ended = tokio::time::timeout(PATIENCE, session).await.expect("an end");
    fed.join().expect("no panic").expect("written");
    let text = |read: JoinHandle<Vec<u8>>| String::from_utf8(read.join().expect("no panic")).expect("UTF-8");
    (ended, text(stdout), text(stderr))
}

#[tokio::test]
async fn a_command_has_its_status_and_two_outputs() {
    let Some(sshd) = Sshd::new() else { return };
    let (ended, stdout, stderr) = run(&sshd, shell("echo out; echo err >&2; exit 7"), b"").await;
    assert_eq!(ended.expect("a status"), ExitStatus::Code(7));
    assert_eq!((stdout.as_str(), stderr.as_str()), ("out\n", "err\n"));
}

#[tokio::test]
async fn words_arrive_as_they_are_and_variables_are_set() {
    let Some(sshd) = Sshd::new() else { return };
    let words = ["printf", "%s\n", "a b", "it's", "", "$HOME", "two\nlines", "ü"];
    let command = RemoteCommand::Argv(words.map(str::to_owned).to_vec());
    let (ended, stdout, _) = run(&sshd, SessionRequest { command, ..SessionRequest::default() }, b"").await;
    assert_eq!(ended.expect("a status").exit_code(), 0);
    assert_eq!(stdout, "a b\nit's\n\n$HOME\ntwo\nlines\nü\n");

    let set_env = vec![("GREETING".to_owned(), "hello there".to_owned())];
    let (_, stdout, _) = run(&sshd, SessionRequest { set_env, ..shell("echo $GREETING") }, b"").await;
    assert_eq!(stdout, "hello there\n");
}

#[tokio::test]
async fn standard_input_is_half_closed() {
    let Some(sshd) = Sshd::new() else { return };
    // Both wait for the end of their input and answer after it.
    let (ended, stdout, _) = run(&sshd, shell("sort; echo done"), b"b\na\n").await;
    assert_eq!((ended.expect("a status"), stdout.as_str()), (ExitStatus::Code(0), "a\nb\ndone\n"));
}

#[tokio::test]
async fn an_open_standard_input_does_not_hold_the_end() {
    let Some(sshd) = Sshd::new() else { return };
    let mut connection = sshd.connect().await;
    let (stdio, ends) = pipes();
    let session = run_on(&mut connection, shell("exit 3"), stdio, &NoWay, CancellationToken::new());
    let ended = tokio::time::timeout(PATIENCE, session).await.expect("an end");
    assert_eq!(ended.expect("a status"), ExitStatus::Code(3));
    drop(ends);
}

#[tokio::test]
async fn a_death_by_signal_is_128_and_more() {
    let Some(sshd) = Sshd::new() else { return };
    let (ended, ..) = run(&sshd, shell("kill -TERM $$"), b"").await;
    let status = ended.expect("a status");
    assert!(matches!(&status, ExitStatus::Signal { name, .. } if name == "TERM"), "{status:?}");
    assert_eq!(status.exit_code(), 143);
}

#[tokio::test]
async fn many_bytes_come_through_a_remote_pipe_whole() {
    let Some(sshd) = Sshd::new() else { return };
    let mut connection = sshd.connect().await;
    let (stdio, mut ends) = pipes();
    let sent: Vec<u8> = (0..4_000_000u32).flat_map(u32::to_le_bytes).collect();
    let expected = sent.clone();
    let fed = std::thread::spawn(move || ends.stdin.write_all(&sent));
    let (stdout, _stderr) = (read_all(ends.stdout), read_all(ends.stderr));
    let session = run_on(&mut connection, shell("cat"), stdio, &NoWay, CancellationToken::new());
    let ended = tokio::time::timeout(PATIENCE, session).await.expect("an end");
    assert_eq!(ended.expect("a status"), ExitStatus::Code(0));
    fed.join().expect("no panic").expect("written");
    assert!(stdout.join().expect("no panic") == expected);
}

#[tokio::test]
async fn a_reader_that_has_enough_ends_the_session_as_sigpipe_would() {
    let Some(sshd) = Sshd::new() else { return };
    let mut connection = sshd.connect().await;
    let (stdio, mut ends) = pipes();
    let head = std::thread::spawn(move || {
        let mut some = [0; 10];
        ends.stdout.read_exact(&mut some).map(|()| some)
    });
    let session = run_on(&mut connection, shell("yes"), stdio, &NoWay, CancellationToken::new());
    let ended = tokio::time::timeout(PATIENCE, session).await.expect("an end");
    assert_eq!(ended.expect("an end without error").exit_code(), 141);
    assert_eq!(&head.join().expect("no panic").expect("read"), b"y\ny\ny\ny\ny\n");
}

#[tokio::test]
async fn a_cancelled_session_ends_though_its_output_is_stuck() {
    let Some(sshd) = Sshd::new() else { return };
    let mut connection = sshd.connect().await;
    let (stdio, mut ends) = pipes();
    let cancel = CancellationToken::new();
    let session = run_on(&mut connection, shell("yes"), stdio, &NoWay, cancel.clone());
    let begun = tokio::task::spawn_blocking(move || {
        let mut one = [0];
        ends.stdout.read_exact(&mut one).map(|()| ends)
    });
    let cancelled = async {
        // The pipe is kept, and read no further.
        let ends = begun.await.expect("no panic").expect("a first byte");
        cancel.cancel();
        ends
    };
    let (ended, _ends) =
        tokio::time::timeout(PATIENCE, async { tokio::join!(session, cancelled) }).await.expect("an end");
    assert!(matches!(ended, Err(SessionError::Cancelled)), "{ended:?}");
}

#[tokio::test]
async fn a_connection_that_breaks_ends_the_session() {
    let Some(sshd) = Sshd::new() else { return };
    // The server's process for this connection: its shell's parent.
    let (ended, ..) = run(&sshd, shell("kill -KILL $PPID; sleep 60"), b"").await;
    assert!(matches!(ended, Err(SessionError::Ssh(SshError::PeerLost(Loss::Cut | Loss::Broken(_))))), "{ended:?}");
}

/// A session with a terminal at our side; the test types at, and reads from, the pseudo-terminal's other end.
pub(super) struct Screen {
    pub(super) master: std::fs::File,
    seen: String,
}

impl Screen {
    pub(super) fn new() -> (Stdio, Self) {
        let size = nix::pty::Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = nix::pty::openpty(Some(&size), None).expect("a pseudo-terminal");
        let end = |fd: &OwnedFd| fd.try_clone().expect("a duplicate");
        let stdio = Stdio { stdin: end(&pty.slave), stdout: end(&pty.slave), stderr: pty.slave };
        (stdio, Self { master: pty.master.into(), seen: String::new() })
    }

    /// Waits until `text` has come; what came after it is kept for the next wait.
    pub(super) fn wait_for(&mut self, text: &str) {
        let mut buffer = [0; 4096];
        loop {
            if let Some(at) = self.seen.find(text) {
                self.seen.drain(..at + text.len());
                return;
            }
            let read = self.master.read(&mut buffer).unwrap_or(0);
            assert!(read > 0, "waiting for {text:?}, the screen ended with {:?}", self.seen);
            self.seen.push_str(&String::from_utf8_lossy(&buffer[..read]));
        }
    }

    /// Without the signal: the kernel tells a terminal's foreground group, and the tests are in none.
    pub(super) fn resize(&self, rows: u16, columns: u16) {
        let size = rustix::termios::Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        rustix::termios::tcsetwinsize(&self.master, size).expect("a terminal");
    }

    pub(super) fn type_in(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).expect("a terminal");
    }
}

async fn on_screen(
    sshd: &Sshd,
    request: SessionRequest,
    script: impl FnOnce(&mut Screen) + Send + 'static,
) -> Result<ExitStatus, SessionError> {
    let _turn = TURN.lock().await;
    let mut connection = sshd.connect().await;
    let (stdio, mut screen) = Screen::new();
    let stdin = stdio.stdin.try_clone().expect("a duplicate");
    let before = rustix::termios::tcgetattr(&stdin).expect("a terminal");
    let user = tokio::task::spawn_blocking(move || {
        script(&mut screen);
        screen
    });
    let session = run_on(&mut connection, request, stdio, &NoWay, CancellationToken::new());
    let ended = tokio::time::timeout(PATIENCE, session).await.expect("an end");
    let _screen = user.await.expect("the script went through");
    let after = rustix::termios::tcgetattr(&stdin).expect("a terminal");
    assert_eq!(format!("{before:?}"), format!("{after:?}"), "the terminal is as it was");
    ended
}

#[tokio::test]
async fn a_shell_on_a_terminal_has_its_size_and_ends_with_its_status() {
    let Some(sshd) = Sshd::new() else { return };
    let ended = on_screen(&sshd, SessionRequest::default(), |screen| {
        // Nothing is typed after the change: what is would bring the size along.
        screen.type_in("stty size; tty; while ! stty size | grep '^40 '; do sleep 0.05; done; exit 5\r");
        screen.wait_for("30 100");
        screen.wait_for("/dev/pts/");
        screen.resize(40, 120);
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGWINCH).expect("caught");
        screen.wait_for("40 120");
    });
    assert_eq!(ended.await.expect("a status"), ExitStatus::Code(5));
}

#[tokio::test]
async fn what_is_typed_after_a_change_of_size_finds_it() {
    let Some(sshd) = Sshd::new() else { return };
    let ended = on_screen(&sshd, SessionRequest::default(), |screen| {
        screen.type_in("stty size\r");
        screen.wait_for("30 100");
        // No signal tells of it.
        screen.resize(40, 120);
        screen.type_in("stty size; exit 5\r");
        screen.wait_for("40 120");
    });
    assert_eq!(ended.await.expect("a status"), ExitStatus::Code(5));
}

#[tokio::test]
async fn a_command_gets_a_terminal_only_on_request() {
    let Some(sshd) = Sshd::new() else { return };
    for (tty, code) in [(Tty::Auto, 1), (Tty::Request, 0)] {
        let ended = on_screen(&sshd, SessionRequest { tty, ..shell("test -t 0") }, |_| {}).await;
        assert_eq!(ended.expect("a status"), ExitStatus::Code(code), "{tty:?}");
    }
    let (ended, ..) = run(&sshd, SessionRequest { tty: Tty::Force, ..shell("test -t 0") }, b"").await;
    assert_eq!(ended.expect("a status"), ExitStatus::Code(0));
    let (ended, _, stderr) = run(&sshd, SessionRequest { tty: Tty::Request, ..shell("test -t 0") }, b"").await;
    assert_eq!(ended.expect("a status"), ExitStatus::Code(1));
    assert!(stderr.contains("-tt"), "{stderr}");
}

#[tokio::test]
async fn control_keys_are_the_remotes_and_escapes_are_ours() {
    let Some(sshd) = Sshd::new() else { return };
    let request =
        SessionRequest { tty: Tty::Request, ..shell("trap 'echo interrupted' INT; echo ready; read line; cat") };
    let ended = on_screen(&sshd, request, |screen| {
        screen.wait_for("ready");
        // A shell that the signal meets just before its `read` would run the trap only after the next line.
        screen.type_in("\x03\r");
        screen.wait_for("interrupted");
        screen.type_in("\r~?");
        screen.wait_for("end the session");
        screen.type_in("x\r~~y\r");
        screen.wait_for("~y");
        screen.type_in("\r~.");
        screen.wait_for("left");
    });
    assert_eq!(ended.await.expect("no error"), ExitStatus::Left);
}

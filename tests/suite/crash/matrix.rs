//! Every place at which a task exists, and everything that can happen to the client there: whatever it is, the task ends within
//! the limits of its grant, no process and no file is left, and a terminal is as it was if the client lived to see to it.

use e2e::{Terminal, World};
use nix::sys::signal::{Signal, kill};

use crate::over_ssm::ROLE;

/// What happens to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// A signal that it may answer; SIGKILL, which it may not.
    Signal(Signal),
    /// Its terminal is closed.
    Closed,
    /// It is stopped, and continued only when the task has ended.
    Frozen,
}

const FATES: [Fate; 7] = [
    Fate::Signal(Signal::SIGKILL),
    Fate::Signal(Signal::SIGTERM),
    Fate::Signal(Signal::SIGHUP),
    Fate::Signal(Signal::SIGINT),
    Fate::Signal(Signal::SIGQUIT),
    Fate::Closed,
    Fate::Frozen,
];

/// One row of the matrix.
struct Row {
    checkpoint: &'static str,
    /// What is run; nothing is a shell.
    command: &'static [&'static str],
    /// The limit that ends the task if the client cannot.
    limit: [&'static str; 2],
    /// Whether the remote's own exit status is known by then.
    is_over: bool,
}

/// Before the login, nobody comes in time: long enough for a busy machine to reach the checkpoint.
const NOBODY_COMES: [&str; 2] = ["--login-timeout", "4s"];
/// After it, the closed connection ends the task; a client that is frozen keeps it open until the longest life is over. It has
/// to be long enough for a login on a busy machine.
const LIFE: [&str; 2] = ["--max-lifetime", "10s"];

impl Row {
    fn play(&self) {
        for fate in FATES {
            self.cell(fate);
        }
    }

    fn cell(&self, fate: Fate) {
        let case = format!("{} at {}: {fate:?}", self.checkpoint, self.limit.join(" "));
        let (world, scratch) = (World::new(), tempfile::tempdir().expect("a directory"));
        let program = world.login().args(self.limit).args(self.command);
        let program = program.env("FARGATE_LOGIN_CHECKPOINT", self.checkpoint).env("TMPDIR", scratch.path());
        let mut terminal = Terminal::start(&program);
        terminal.expect(&format!("checkpoint: {}", self.checkpoint));
        let address = world.task().address.expect("an address");
        let signal = |signal| kill(terminal.pid(), signal).expect("the program runs");
        let (code, saw_it) = match fate {
            Fate::Signal(how) => {
                signal(how);
                let code = terminal.wait();
                assert!(how == Signal::SIGKILL || terminal.is_restored(), "{case}");
                (code, (how != Signal::SIGKILL).then_some(how))
            }
            Fate::Closed => (terminal.close(), Some(Signal::SIGHUP)),
            Fate::Frozen => {
                signal(Signal::SIGSTOP);
                let _ = world.stopped_task();
                // What the checkpoint waits for, and what the client finds out then.
                signal(Signal::SIGTERM);
                signal(Signal::SIGCONT);
                let code = terminal.wait();
                assert!(terminal.is_restored(), "{case}");
                (code, Some(Signal::SIGTERM))
            }
        };
        let expected = match saw_it {
            None => 128 + Signal::SIGKILL as i32,
            Some(_) if self.is_over => 0,
            Some(signal) => 128 + signal as i32,
        };
        assert_eq!(code, expected, "{case}");
        let task = world.stopped_task();
        let asked = world.calls().iter().any(|call| call == "ecs:StopTask");
        assert_eq!(asked, saw_it.is_some(), "{case}: {task:?}");
        if !asked || fate == Fate::Frozen {
            assert_eq!(task.stop_code.as_deref(), Some("EssentialContainerExited"), "{case}: {task:?}");
        }
        world.wait_gone(&address);
        world.wait_until(|world| world.stand_in().sessions().iter().all(|session| session.is_over));
        for directory in [scratch.path(), world.home()] {
            let left: Vec<_> = std::fs::read_dir(directory).expect("a directory").flatten().collect();
            assert!(left.is_empty(), "{case}: {left:?}");
        }
    }
}

#[test]
fn after_run_task() {
    Row { checkpoint: "after-run-task", command: &[], limit: NOBODY_COMES, is_over: false }.play();
}

#[test]
fn after_the_route_is_known() {
    Row { checkpoint: "after-route", command: &[], limit: NOBODY_COMES, is_over: false }.play();
}

/// Through Systems Manager, with as much left to lose.
const SSM: [&str; 4] = ["--via", "ssm", "--task-role-arn", ROLE];

#[test]
fn after_a_session_of_systems_manager_is_started() {
    Row { checkpoint: "after-start-session", command: &SSM, limit: NOBODY_COMES, is_over: false }.play();
}

#[test]
fn after_a_session_of_systems_manager_leads_to_the_task() {
    Row { checkpoint: "after-route", command: &SSM, limit: NOBODY_COMES, is_over: false }.play();
}

#[test]
fn after_the_terminal_is_raw_through_systems_manager() {
    Row { checkpoint: "after-raw-mode", command: &SSM, limit: LIFE, is_over: false }.play();
}

#[test]
fn after_the_login() {
    Row { checkpoint: "after-connect", command: &[], limit: LIFE, is_over: false }.play();
}

#[test]
fn before_a_copy() {
    Row { checkpoint: "before-copy", command: &["cp", "_:/etc/passwd", "-"], limit: LIFE, is_over: false }.play();
}

#[test]
fn after_the_forwards_stand() {
    Row { checkpoint: "after-forwards", command: &["-N", "-L", "0:127.0.0.1:1"], limit: LIFE, is_over: false }.play();
}

#[test]
fn after_the_terminal_is_raw() {
    Row { checkpoint: "after-raw-mode", command: &[], limit: LIFE, is_over: false }.play();
}

#[test]
fn after_the_session() {
    Row { checkpoint: "after-session", command: &["--", "true"], limit: LIFE, is_over: true }.play();
}

#[test]
fn before_the_task_is_stopped() {
    Row { checkpoint: "before-stop-task", command: &["--", "true"], limit: LIFE, is_over: true }.play();
}

//! A connection that gets more sessions while what comes from the task fills those it has.

use std::path::{Path, PathBuf};

use e2e::{Running, Terminal, World};
use local_fargate::{Fault, Impairment, SessionSummary};
use nix::sys::signal::Signal;

use super::endings::terminate;
use super::{content, ended_sessions, gone, run_task, through_ssm};

/// Bytes that take some seconds at an agent's pace.
const LENGTH: usize = 6_000_000;
/// A session that has sent so many bytes has carried a part of them, and not only its own beginning.
const PART: u64 = 100_000;

/// A file that a task can print, which goes with the directory.
fn known(folder: &Path) -> (PathBuf, Vec<u8>) {
    let (path, bytes) = (folder.join("known"), content(LENGTH));
    std::fs::write(&path, &bytes).expect("written");
    (path, bytes)
}

fn carried(sessions: &[SessionSummary]) -> usize {
    sessions.iter().filter(|session| session.sent.1 >= PART).count()
}

/// The init's word that another session carries a part.
const JOINED: &str = r#""event":"joined""#;

/// Waits until so many sessions have been opened.
fn wait_for_sessions(world: &World, count: usize) {
    let opened = |call: &&String| call.ends_with(":OpenDataChannel");
    world.wait_until(|world| world.calls().iter().filter(opened).count() >= count);
}

/// Waits until a connection is about to have another session; answers the ids of all, that of its first before the others: it alone is
/// sure to carry a part already.
fn wait_for_another(world: &World) -> Vec<String> {
    wait_for_sessions(world, 2);
    let mut sessions = world.stand_in().sessions();
    sessions.sort_by_key(|session| std::cmp::Reverse(session.sent.1));
    sessions.into_iter().map(|session| session.id).collect()
}

/// A copy that would take long, when it has two sessions at least, and their ids.
fn copying(world: &World, folder: &Path) -> (Running, Vec<String>) {
    let there = folder.join("there");
    std::fs::File::create(&there).and_then(|file| file.set_len(1 << 30)).expect("a file of zeros");
    let running = through_ssm(world).args(["cp".into(), super::in_task(&there), folder.join("here").into()]).start();
    let ids = wait_for_another(world);
    (running, ids)
}

#[test]
fn a_download_is_spread_over_several_sessions() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
    let (path, bytes) = known(folder.path());
    let done = through_ssm(&world).args(["--shell-command", &format!("cat {}; exit 3", path.display())]).run();
    assert_eq!((done.code, done.stdout.len()), (3, bytes.len()), "{}", done.stderr);
    assert!(done.stdout == bytes, "the same bytes");
    let sessions = ended_sessions(&world);
    assert!((2..=4).contains(&sessions.len()) && carried(&sessions) >= 2, "{sessions:?}");
    gone(&world);
    let task = world.task();
    let lines = world.stand_in().log(&task.arn, "cli");
    assert_eq!(lines.iter().filter(|line| line.contains(JOINED)).count(), sessions.len() - 1, "{lines:?}");
}

#[test]
fn files_come_over_several_sessions_too() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
    let (path, bytes) = known(folder.path());
    let done = through_ssm(&world).args(["cp".into(), super::in_task(&path), "-".into()]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout == bytes, "the same bytes");
    assert!(carried(&ended_sessions(&world)) >= 2);
}

#[test]
fn one_session_stays_one_where_that_is_asked_for_and_where_little_comes() {
    let variable = |world: &World| {
        run_task(world)["overrides"]["containerOverrides"][0]["environment"]
            .to_string()
            .contains("_FARGATE_LOGIN_LINKS")
    };
    let line = "head -c 2500000 /dev/zero";
    for way in ["option", "variable", "file"] {
        let world = World::new();
        let program = through_ssm(&world).args(["--shell-command", line]);
        let program = match way {
            "option" => program.args(["--ssm-sessions", "1"]),
            "variable" => program.env("FARGATE_LOGIN_SSM_SESSIONS", "1"),
            _ => {
                let folder = world.home().join(".config/fargate-login");
                std::fs::create_dir_all(&folder).expect("a directory");
                std::fs::write(folder.join("config.toml"), "ssm-sessions = 1\n").expect("written");
                program
            }
        };
        let done = program.run();
        assert_eq!((done.code, done.stdout.len()), (0, 2_500_000), "{way}: {}", done.stderr);
        assert_eq!((ended_sessions(&world).len(), variable(&world)), (1, false), "{way}");
    }
    let world = World::new();
    let done = through_ssm(&world).args(["--shell-command", "head -c 200000 /dev/zero"]).run();
    assert_eq!((done.code, done.stdout.len()), (0, 200_000), "{}", done.stderr);
    assert_eq!((ended_sessions(&world).len(), variable(&world)), (1, true));
}

#[test]
fn a_session_that_is_ended_takes_the_connection_along_and_none_is_left() {
    let world = World::new();
    let running = through_ssm(&world).args(["--shell-command", "cat /dev/zero"]).start();
    let done = std::thread::scope(|scope| {
        scope.spawn(|| terminate(&world, &wait_for_another(&world)[0]));
        running.wait()
    });
    assert_eq!(done.code, 255, "{}", done.stderr);
    let told = "session of Systems Manager that carried the connection has ended";
    assert!(done.stderr.contains(told), "{}", done.stderr);
    gone(&world);
}

#[test]
fn a_terminal_comes_back_when_one_of_its_sessions_is_ended() {
    let world = World::new();
    let mut terminal = Terminal::start(&through_ssm(&world));
    terminal.expect_prompt();
    terminal.send("kept=kept-$((40 + 2)); stty -echo; echo ready-$((1 + 1))\r");
    terminal.expect("ready-2");
    // Little, as terminals go: it is drawn.
    let print = |words: &str| format!("head -c 2500000 /dev/zero | tr '\\0' '.'; echo; echo {words}-$((1 + 1))\r");
    terminal.send(&print("all"));
    terminal.expect("all-2");
    let ids = wait_for_another(&world);
    terminal.send(&print("again"));
    terminate(&world, &ids[0]);
    terminal.expect("again-2");
    terminal.send("echo $kept\r");
    terminal.expect("kept-42");
    terminal.send("exit 6\r");
    assert_eq!(terminal.wait(), 6, "{}", terminal.screen());
    gone(&world);
}

#[test]
fn bytes_survive_cuts_of_every_session() {
    let mut impairment = Impairment::default();
    impairment.cut_after_bytes = Some(1_000_000);
    let world = World::with(|config| config.faults.push(Fault::Impaired(impairment)));
    let folder = tempfile::tempdir().expect("a directory");
    let (path, bytes) = known(folder.path());
    let done = through_ssm(&world).args(["--shell-command", &format!("cat {}", path.display())]).run();
    assert_eq!((done.code, done.stdout.len()), (0, bytes.len()), "{}", done.stderr);
    assert!(done.stdout == bytes, "the same bytes");
    let sessions = ended_sessions(&world);
    assert!(sessions.iter().filter(|session| session.connections >= 2).count() >= 2, "resumed: {sessions:?}");
}

#[test]
fn a_signal_leaves_no_session() {
    for (signal, code) in [(Signal::SIGINT, 130), (Signal::SIGTERM, 143)] {
        let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
        let (running, _) = copying(&world, folder.path());
        running.signal(signal);
        let done = running.wait();
        assert_eq!(done.code, code, "{}", done.stderr);
        assert!(ended_sessions(&world).len() >= 2);
        gone(&world);
    }
}

#[test]
fn a_session_that_is_refused_is_done_without() {
    let (world, folder) = (World::new(), tempfile::tempdir().expect("a directory"));
    let (path, bytes) = known(folder.path());
    let line = format!("read line; cat {}", path.display());
    let mut running = through_ssm(&world).args(["-v", "--shell-command", &line]).start();
    wait_for_sessions(&world, 1);
    world.stand_in().inject(Fault::AccessDenied { action: "ssm:StartSession".to_owned() });
    running.feed(b"go\n");
    let done = running.wait();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout == bytes, "the same bytes");
    assert_eq!(ended_sessions(&world).len(), 1);
    let asked = world.calls().iter().filter(|call| *call == "ssm:StartSession").count();
    assert!((2..=4).contains(&asked), "asked again, and not without end: {asked}");
    gone(&world);
}

#[test]
fn an_init_that_knows_nothing_of_several_has_one() {
    let world = World::new();
    let engine = "FARGATE_INIT_ENGINE=openssh";
    let done =
        through_ssm(&world).args(["--env", engine, "--shell-command", "head -c 2500000 /dev/zero; exit 9"]).run();
    assert_eq!((done.code, done.stdout.len()), (9, 2_500_000), "{}", done.stderr);
    assert!(run_task(&world)["overrides"].to_string().contains("_FARGATE_LOGIN_LINKS"));
    assert_eq!(ended_sessions(&world).len(), 1);
}

//! `--via`: SSH through sessions of Systems Manager is SSH as ever, and nothing stays of the sessions; `auto` takes the direct way
//! wherever that may work.

mod choice;
mod endings;
mod several;

use e2e::{Program, SshHost, Terminal, World};
use local_fargate::{Config, SessionSummary};
use serde_json::Value;

use crate::files::{content, in_task};

/// A task role: the agent needs one.
pub(super) const ROLE: &str = "arn:aws:iam::000000000000:role/test-cli-task";

/// The main job, through Systems Manager.
pub(super) fn through_ssm(world: &World) -> Program {
    world.login().args(["--via", "ssm", "--task-role-arn", ROLE])
}

/// A world whose agents do not pace what they send: for bytes in numbers.
fn fast() -> World {
    World::with(|config: &mut Config| config.agents.pacing = false)
}

/// The request of the only RunTask.
fn run_task(world: &World) -> Value {
    let mut calls = world.stand_in().journal();
    calls.retain(|call| call.action == "RunTask");
    assert_eq!(calls.len(), 1, "{calls:?}");
    calls.remove(0).request
}

/// Looks whether the sessions are over, in which nothing was irregular, and returns them.
fn ended_sessions(world: &World) -> Vec<SessionSummary> {
    world.wait_until(|world| world.stand_in().sessions().iter().all(|session| session.is_over));
    let sessions = world.stand_in().sessions();
    for session in &sessions {
        assert_eq!(session.irregularities, [""; 0], "{session:?}");
        assert_eq!(session.session_type, "Port");
    }
    sessions
}

/// Looks whether nothing is left of a run.
fn gone(world: &World) {
    let task = world.stopped_task();
    let _ = ended_sessions(world);
    world.wait_gone(&task.address.expect("an address"));
}

#[test]
fn a_command_has_its_bytes_and_its_exit_status() {
    let world = World::new();
    let done = through_ssm(&world).args(["--shell-command", "cat; echo err >&2; exit 7"]).run_with(b"through");
    assert_eq!((done.code, done.text().as_str()), (7, "through"), "{}", done.stderr);
    assert!(done.stderr.contains("err\n"), "{}", done.stderr);
    assert!(done.stderr.contains("waiting for SSH at port 2222 of ecs:default_"), "{}", done.stderr);
    let request = run_task(&world);
    assert_eq!(request["enableExecuteCommand"], true);
    assert_eq!(request["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"], "DISABLED");
    let variables = request["overrides"]["containerOverrides"][0]["environment"].as_array().expect("variables").clone();
    let listen = variables.iter().find(|variable| variable["name"] == "_FARGATE_LOGIN_LISTEN").expect("that variable");
    assert_eq!(listen["value"], "127.0.0.1", "only the agent reaches it");
    assert!(!world.calls().iter().any(|call| call.starts_with("ec2:")), "{:?}", world.calls());
    let sessions = ended_sessions(&world);
    assert_eq!(sessions.len(), 1, "{sessions:?}");
    gone(&world);
}

#[test]
fn a_direct_run_is_as_it_was() {
    let world = World::new();
    let done = world.login().args(["--task-role-arn", ROLE, "--", "true"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(run_task(&world)["enableExecuteCommand"], false);
    assert!(!world.calls().iter().any(|call| call.starts_with("ssm:")), "{:?}", world.calls());
}

#[test]
fn a_terminal_is_one() {
    let world = World::new();
    let mut terminal = Terminal::start(&through_ssm(&world));
    terminal.expect_prompt();
    terminal.send("stty size\r");
    terminal.expect("24 80");
    terminal.resize(40, 120);
    terminal.send("stty size\r");
    terminal.expect("40 120");
    terminal.send("exit 5\r");
    assert_eq!(terminal.wait(), 5, "{}", terminal.screen());
    assert!(terminal.is_restored());
    gone(&world);
}

#[test]
fn the_host_key_is_checked_as_ever() {
    let world = e2e::ancestor::world();
    let done = world.login().args(["--via", "ssm", "--task-role-arn", ROLE, "--", "true"]).run();
    assert_eq!(done.code, 255);
    assert!(done.stderr.contains("SHA256:"), "{}", done.stderr);
    let _ = ended_sessions(&world);
}

#[test]
fn a_foreign_sshd_is_reached_too() {
    let world = e2e::ancestor::world();
    let program = world.login().args(["--via", "ssm", "--task-role-arn", ROLE]).args(e2e::ancestor::flags());
    let done = program.args(["--shell-command", "cat; exit 9"]).run_with(b"through");
    assert_eq!((done.code, done.text().as_str()), (9, "through"), "{}", done.stderr);
}

#[test]
fn a_forward_carries_what_a_program_here_asks_for() {
    let (world, folder) = (fast(), tempfile::tempdir().expect("a directory"));
    let (path, bytes) = (folder.path().join("served"), content(2_000_000));
    std::fs::write(&path, &bytes).expect("written");
    let server = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = server.local_addr().expect("bound").port();
    std::thread::spawn(move || {
        for stream in server.incoming() {
            let mut stream = stream.expect("a connection");
            let bytes = std::fs::read(&path).expect("a file");
            std::io::Write::write_all(&mut stream, &bytes).expect("written");
        }
    });
    let forward = format!("0:127.0.0.1:{port}");
    let script = "exec 3<>/dev/tcp/$0/$1; cat <&3";
    let program = through_ssm(&world).args(["-L", &forward, "--exec", "--", "bash", "-c", script, "{host}", "{port}"]);
    let done = program.run();
    assert_eq!((done.code, done.stdout.len()), (0, bytes.len()), "{}", done.stderr);
    assert!(done.stdout == bytes, "the same bytes");
    gone(&world);
}

#[test]
fn files_go_there_and_back() {
    let (world, folder) = (fast(), tempfile::tempdir().expect("a directory"));
    let (there, bytes) = (folder.path().join("there"), content(3_000_000));
    let done = through_ssm(&world).args(["cp".into(), "-".into(), in_task(&there)]).run_with(&bytes);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(std::fs::read(&there).expect("a file") == bytes, "the same bytes");
    let done = through_ssm(&world).args(["cp".into(), in_task(&there), "-".into()]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout == bytes, "the same bytes");
    let _ = ended_sessions(&world);
}

#[test]
fn openssh_has_a_session_for_each_connection() {
    let host = SshHost::new(fast(), &["--linger", "1s", "--via", "ssm", "--task-role-arn", ROLE]);
    let mut first = host.run("echo ready; cat").start();
    first.read_until("ready");
    let second = host.run("cat; exit 4").run_with(b"beside");
    assert_eq!((second.code, second.text().as_str()), (4, "beside"), "{}", second.stderr);
    first.feed(b"still");
    let done = first.wait();
    assert_eq!((done.code, done.text().as_str()), (0, "\nstill"), "{}", done.stderr);
    assert_eq!(ended_sessions(&host.world).len(), 2);
    gone(&host.world);
    host.wait_tidy();
}

//! OpenSSH and what starts it, on a task that starts with their first connection and goes after their last.

mod editor;
mod files;
mod programs;
mod runs;
mod settings;

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;

use e2e::{SshHost, Terminal, World};

/// Long enough for the next command of a test on a busy machine.
const STAYS: [&str; 2] = ["--linger", "60s"];
/// For tests that wait for the end.
const GOES: [&str; 2] = ["--linger", "1s"];

#[test]
fn ssh_starts_a_task_and_it_goes_after_the_last_connection() {
    let host = SshHost::new(World::new(), &GOES);
    let done = host.run("cat; echo err >&2; exit 7").run_with(b"through");
    assert_eq!((done.code, done.text().as_str()), (7, "through"), "{}", done.stderr);
    assert_eq!(done.stderr, "fargate-login: starting a task for dev\nerr\n");
    let task = host.world.stopped_task();
    assert_eq!(task.stop_code.as_deref(), Some("UserInitiated"));
    host.wait_tidy();
    host.world.wait_gone(&task.address.expect("an address"));
}

#[test]
fn a_shell_in_a_terminal() {
    let host = SshHost::new(World::new(), &GOES);
    let mut terminal = Terminal::start(&host.ssh().arg("dev"));
    terminal.expect_prompt();
    terminal.send("stty size; exit 3\n");
    terminal.expect("24 80");
    assert_eq!(terminal.wait(), 3);
    assert!(terminal.is_restored());
    assert_eq!(host.world.stopped_task().stop_code.as_deref(), Some("UserInitiated"));
    host.wait_tidy();
}

#[test]
fn the_next_connection_joins_the_run() {
    let host = SshHost::new(World::new(), &STAYS);
    let first = host.run("echo one").run();
    let second = host.run("echo two").run();
    assert_eq!((first.text() + &second.text()).as_str(), "one\ntwo\n", "{}{}", first.stderr, second.stderr);
    assert_eq!(second.stderr, "", "only the one that starts a task says so");
    assert_eq!(host.launches(), 1);
}

#[test]
fn connections_at_once_share_one_task() {
    let host = SshHost::new(World::new(), &GOES);
    let megabyte: Vec<u8> = (0..1024 * 1024).map(|index| (index / 7 % 251) as u8).collect();
    std::thread::scope(|scope| {
        let visits: Vec<_> = (0..6).map(|_| scope.spawn(|| host.run("cat").run_with(&megabyte))).collect();
        for visit in visits {
            let done = visit.join().expect("no panic");
            assert_eq!(done.code, 0, "{}", done.stderr);
            assert!(done.stdout == megabyte, "{} bytes came back", done.stdout.len());
        }
    });
    assert_eq!(host.launches(), 1);
    assert_eq!(host.world.stopped_task().stop_code.as_deref(), Some("UserInitiated"));
    host.wait_tidy();
}

#[test]
fn what_openssh_is_told_is_private_and_holds_no_secret() {
    let host = SshHost::new(World::new(), &STAYS);
    assert_eq!(host.run("true").run().code, 0);
    let directory = host.directories().pop().expect("a run");
    assert_eq!(directory.metadata().expect("there").permissions().mode() & 0o777, 0o700);
    let mut names: Vec<_> =
        std::fs::read_dir(&directory).expect("ours").flatten().map(|entry| entry.file_name()).collect();
    names.sort();
    assert_eq!(names, ["agent", "keeper", "known_hosts", "log"]);
    let known = std::fs::read_to_string(directory.join("known_hosts")).expect("text");
    assert!(known.starts_with("dev ssh-ed25519 AAAA") && known.lines().count() == 1, "{known}");
    assert_eq!(host.log(), "");
}

#[test]
fn the_agent_has_one_key_and_only_logs_in_with_it() {
    let host = SshHost::new(World::new(), &STAYS);
    assert_eq!(host.run("true").run().code, 0);
    let agent = host.directories().pop().expect("a run").join("agent");
    let add = |flags: &[&str]| {
        host.tool("ssh-add")
            .expect("beside ssh")
            .env("SSH_AUTH_SOCK", agent.as_os_str())
            .args(flags.iter().copied())
            .run()
    };
    let listed = add(&["-L"]).text();
    assert!(listed.starts_with("ssh-ed25519 AAAA") && listed.lines().count() == 1, "{listed}");
    for refused in [&["-D"][..], &["-x"]] {
        assert_ne!(add(refused).code, 0, "{refused:?}");
    }
    let public = host.place().join("key.pub");
    std::fs::write(&public, &listed).expect("written");
    let keygen = host.tool("ssh-keygen").expect("beside ssh").env("SSH_AUTH_SOCK", agent.as_os_str());
    let signed = keygen.args(["-Y", "sign", "-n", "file", "-f"]).arg(public.as_os_str()).run_with(b"not a login");
    assert_ne!(signed.code, 0, "{}", signed.text());
    // A request that is longer than any login ends the connection.
    let mut raw = UnixStream::connect(&agent).expect("the agent");
    raw.write_all(&u32::MAX.to_be_bytes()).expect("sent");
    assert_eq!(raw.read(&mut [0; 1]).expect("closed"), 0);
    assert_eq!(host.run("echo still").run().text(), "still\n");
}

#[test]
fn another_host_key_is_refused() {
    let host = SshHost::new(World::new(), &STAYS);
    assert_eq!(host.run("true").run().code, 0);
    let directory = host.directories().pop().expect("a run");
    let key = host.place().join("other");
    let keygen = host.tool("ssh-keygen").expect("beside ssh");
    assert_eq!(keygen.args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(key.as_os_str()).run().code, 0);
    let other = std::fs::read_to_string(key.with_extension("pub")).expect("text");
    std::fs::write(directory.join("known_hosts"), format!("dev {other}")).expect("written");
    let done = host.run("true").run();
    assert_eq!(done.code, 255);
    assert!(done.stderr.contains("Host key verification failed"), "{}", done.stderr);
}

//! ssh-audit, which knows what is wrong with SSH algorithms, finds nothing wrong with either end. Python is
//! `FARGATE_LOGIN_PYTHON`, or `python3`; without ssh-audit these tests pass with a remark, except in CI.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use e2e::World;
use e2e::world::PATIENCE;
use serde_json::Value;

use crate::conformance::python;

/// Seconds that ssh-audit waits for a peer.
const WAIT: &str = "60";

fn ssh_audit() -> Option<Command> {
    let mut command = python("ssh_audit")?;
    // Its connection rate test measures the machine, not the algorithms; how many connections wait is tested with the init.
    command.args(["-m", "ssh_audit", "--json", "--skip-rate-test", "--timeout", WAIT]).stdin(Stdio::null());
    Some(command)
}

/// Every word of ssh-audit's about an algorithm that is no mere information.
fn complaints(report: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for kind in ["kex", "key", "enc", "mac"] {
        let algorithms = report[kind].as_array().expect("a list of algorithms");
        assert!(!algorithms.is_empty(), "{kind} in {report}");
        for algorithm in algorithms {
            for level in ["fail", "warn"] {
                let words = algorithm["notes"][level].as_array().into_iter().flatten();
                found.extend(words.map(|words| format!("{level}: {}: {words}", algorithm["algorithm"])));
            }
        }
    }
    found
}

fn report(output: &std::process::Output) -> Value {
    let said = String::from_utf8_lossy(&output.stdout);
    let parsed = said.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
    assert!(parsed.is_some(), "no report: {said}{}", String::from_utf8_lossy(&output.stderr));
    parsed.unwrap_or_default()
}

fn names(report: &Value, kind: &str) -> Vec<String> {
    let algorithms = report[kind].as_array().expect("a list of algorithms").iter();
    algorithms.map(|algorithm| algorithm["algorithm"].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn nothing_is_wrong_with_the_init_of_a_run() {
    let Some(mut audit) = ssh_audit() else { return };
    let world = World::new();
    let waiting = world.login().args(["--", "true"]).park_at("after-route");
    let address = world.task().address.expect("the task has an address");
    let audited = audit.args(["--port", "2222", &address]).output().expect("ssh-audit runs");
    let report = report(&audited);
    assert_eq!(complaints(&report), Vec::<String>::new());
    assert_eq!(names(&report, "key"), ["ssh-ed25519"]);
    let exchanges = names(&report, "kex");
    assert_eq!(exchanges.first().map(String::as_str), Some("mlkem768x25519-sha256"), "{exchanges:?}");
    assert!(exchanges.contains(&"kex-strict-s-v00@openssh.com".to_owned()), "{exchanges:?}");
    assert_eq!(audited.status.code(), Some(0));
    waiting.signal(nix::sys::signal::Signal::SIGTERM);
    let _ = waiting.wait();
    let _ = world.stopped_task();
}

#[test]
fn nothing_is_wrong_with_the_client() {
    let Some(mut audit) = ssh_audit() else { return };
    // A task's image is a program of this machine: ssh-audit's server, which listens on every address.
    let port = free_port();
    let mut audit = audit.args(["--client-audit", "--port", &port.to_string()]).stdout(Stdio::piped());
    audit = audit.stderr(Stdio::null());
    let mut auditor = audit.spawn().expect("ssh-audit runs");
    wait_listening(port);
    let world = World::with(|config| {
        config.images[0].entry_point = vec!["/bin/sleep".into(), "1000".into()];
    });
    let done = world.login().args(["-p", &port.to_string(), "--start-timeout", "30s", "--", "true"]).run();
    assert_eq!(done.code, 255, "ssh-audit lets nobody in: {}", done.stderr);
    let mut said = String::new();
    let mut reader = BufReader::new(auditor.stdout.take().expect("a pipe"));
    while reader.read_line(&mut said).expect("text") > 0 && !said.ends_with("}\n") {}
    let _ = auditor.kill();
    let _ = auditor.wait();
    let parsed = said.lines().find_map(|line| serde_json::from_str::<Value>(line).ok());
    let report = parsed.unwrap_or_else(|| panic!("no report: {said}; the client said {}", done.stderr));
    assert_eq!(complaints(&report), Vec::<String>::new());
    assert_eq!(names(&report, "kex").first().map(String::as_str), Some("mlkem768x25519-sha256"));
    let _ = world.stopped_task();
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Looks for the listener without connecting: ssh-audit takes the first connection for its client.
fn wait_listening(port: u16) {
    let began = Instant::now();
    let wanted = format!(":{port:04X} ");
    loop {
        let tables =
            ["/proc/net/tcp", "/proc/net/tcp6"].map(|table| std::fs::read_to_string(table).unwrap_or_default());
        // State 0A is LISTEN (proc(5)).
        if tables.iter().flat_map(|table| table.lines()).any(|line| line.contains(&wanted) && line.contains(" 0A ")) {
            return;
        }
        assert!(began.elapsed() < PATIENCE, "ssh-audit never listened");
        std::thread::yield_now();
    }
}

//! A session's rights are the container's, no more and no less; the server has given up what it does not need.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, Stdio};

use fargate_contract::grant;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::container::{Container, text};

/// What decides about rights in `/proc/<pid>/status` (proc(5)). Ignored signals are not among it: a session ignores none.
const FIELDS: [&str; 14] = [
    "Uid:",
    "Gid:",
    "Groups:",
    "Umask:",
    "SigBlk:",
    "CapInh:",
    "CapPrm:",
    "CapEff:",
    "CapBnd:",
    "CapAmb:",
    "NoNewPrivs:",
    "Seccomp:",
    "Cpus_allowed:",
    "Mems_allowed:",
];

/// Everything about itself that a program tells.
const TELL: &str = "cat /proc/self/status /proc/self/limits /proc/self/oom_score_adj /proc/self/cgroup";

fn rights(told: &str) -> Vec<&str> {
    let (status, rest) = told.split_at(told.find("Limit ").unwrap_or(told.len()));
    let of_status = status.lines().filter(|line| FIELDS.iter().any(|field| line.starts_with(field)));
    of_status.chain(rest.lines()).collect()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let value = status.lines().find_map(|line| line.strip_prefix(name));
    value.expect("such a field").trim()
}

#[test]
fn a_session_has_the_rights_of_a_plain_child() {
    let mut container = Container::start(&[]);
    let plain = Command::new("/bin/sh").args(["-c", TELL]).env_clear().output().expect("a shell");
    let plain = text(&plain.stdout);
    let session = text(&container.run(TELL).stdout);
    assert!(rights(&plain).len() > FIELDS.len() + 10, "{plain}");
    assert_eq!(rights(&session), rights(&plain));
    assert_eq!(container.ended(), 0);
}

#[test]
fn a_session_has_the_containers_limit_of_open_files_and_the_server_all_it_may() {
    let words = ["/bin/sh", "-c", "ulimit -Sn 512; ulimit -Hn 4096; exec \"$0\"", env!("CARGO_BIN_EXE_fargate-init")];
    let mut container = Container::start_by(&words, &[]);
    let limits = fs::read_to_string(format!("/proc/{}/limits", container.serve_pid())).expect("it lives");
    let files = limits.lines().find(|line| line.starts_with("Max open files")).expect("a limit");
    assert_eq!(files.split_whitespace().nth(3), Some("4096"), "{files}");
    let told = text(&container.run("ulimit -Sn; ulimit -Hn").stdout);
    assert_eq!(told, "512\n4096\n");
    assert_eq!(container.ended(), 0);
}

#[test]
fn the_server_has_given_up_new_privileges_and_dumps() {
    let mut container = Container::start(&[]);
    let mut held = container.hold();
    let serve = container.serve_pid();
    let status = |path: String| fs::read_to_string(path).expect("it lives");
    let limits = status(format!("/proc/{serve}/limits"));
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).expect("a limit");
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    let mut with = 0;
    for thread in fs::read_dir(format!("/proc/{serve}/task")).expect("threads").flatten() {
        let status = status(format!("{}/status", thread.path().display()));
        let expected = if field(&status, "Name:") == "spawner" { "0" } else { "1" };
        assert_eq!(field(&status, "NoNewPrivs:"), expected, "{status}");
        with += usize::from(expected == "1");
    }
    assert!(with > 0);
    drop(held.stdin.take());
    assert_eq!(held.wait().expect("ssh").code(), Some(0));
    assert_eq!(container.ended(), 0);
}

#[test]
fn a_session_of_the_same_user_cannot_look_into_the_server() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // Where nobody may run it from.
    let place = tempfile::tempdir().expect("a directory");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).expect("ours");
    let copy = place.path().join("fargate-init");
    fs::copy(env!("CARGO_BIN_EXE_fargate-init"), &copy).expect("a copy");
    let words = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", copy.to_str().expect("a path")];
    let mut container = Container::start_by(&words, &[(grant::CONNECTIONS, "many"), ("HOME", "/")]);
    let serve = container.serve_pid();
    let look = format!(
        "id -u; head -c1 /proc/self/environ >/dev/null && echo own; \
         for file in environ mem maps fd/0; do head -c1 /proc/{serve}/$file >/dev/null 2>&1 && echo $file; done; exit 3"
    );
    let output = container.run(&look);
    assert_eq!(
        (text(&output.stdout).as_str(), output.status.code()),
        ("65534\nown\n", Some(3)),
        "{}",
        text(&output.stderr)
    );
    assert_eq!(container.ended(), 3);
}

#[test]
fn a_server_that_crashes_writes_no_core() {
    let directory = tempfile::tempdir().expect("a directory");
    let mut serve = Command::new("/bin/sh")
        .args(["-c", "ulimit -c unlimited; exec \"$0\" role:serve", env!("CARGO_BIN_EXE_fargate-init")])
        .env_clear()
        .current_dir(directory.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("a shell");
    let key = crate::container::seed().public_key().to_openssh().expect("a key");
    let address = crate::container::some_address();
    let records =
        format!("{}={key}\0{}={address}\0{}=2222\0", grant::AUTHORIZED_PUBLIC_KEY, grant::LISTEN, grant::PORT);
    std::io::Write::write_all(&mut serve.stdin.take().expect("stdin"), records.as_bytes()).expect("a reader");
    let mut log = std::io::BufReader::new(serve.stdout.take().expect("stdout"));
    let mut line = String::new();
    while !line.contains("\"listen\"") {
        line.clear();
        assert_ne!(std::io::BufRead::read_line(&mut log, &mut line).expect("text"), 0);
    }
    kill(Pid::from_raw(serve.id().cast_signed()), Signal::SIGABRT).expect("it lives");
    let status = serve.wait().expect("an end");
    assert_eq!((status.signal(), status.core_dumped()), (Some(Signal::SIGABRT as i32), false));
    assert_eq!(fs::read_dir(directory.path()).expect("a directory").count(), 0);
}

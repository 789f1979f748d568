//! Files as operators move them: OpenSSH's sftp and scp, rsync and sshfs against the built executable.

mod connection;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../openssh/container.rs"]
mod container;
mod copies;
mod names;
mod refusals;
mod transfers;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use container::{Container, PORT};
use serde_json::Value;

/// A file that no buffer on the way holds whole.
const LARGE: usize = 3 * 1024 * 1024;

fn some_bytes() -> Vec<u8> {
    (0..LARGE).map(|index| (index / 3 % 253) as u8).collect()
}

fn path(container: &Container, name: &str) -> PathBuf {
    container.directory.path().join(name)
}

/// What every program of OpenSSH is told, but the port.
fn options(container: &Container) -> Vec<String> {
    let file = |name: &str| path(container, name).display().to_string();
    let known_hosts = format!("UserKnownHostsFile={}", file("known_hosts"));
    ["-F", "none", "-i", &file("key"), "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes"]
        .into_iter()
        .chain(["-o", &known_hosts, "-o", "StrictHostKeyChecking=yes", "-o", "LogLevel=ERROR"])
        .map(str::to_owned)
        .collect()
}

/// `scp` or `sftp` against this container.
fn copier(program: &str, container: &Container) -> Command {
    let mut command = Command::new(program);
    command.args(["-q", "-P", &PORT.to_string()]).args(options(container));
    command
}

/// Runs lines of `sftp` as a user. It stops at the first that fails, but for those with a leading `-`.
fn sftp(container: &Container, user: &str, script: &str) -> Output {
    let mut command = copier("sftp", container);
    command.args(["-b", "-"]).arg(format!("{user}@{}", container.address));
    let mut sftp = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("sftp");
    sftp.stdin.take().expect("stdin").write_all(script.as_bytes()).expect("a reader");
    sftp.wait_with_output().expect("sftp")
}

/// A path of this container, as scp and rsync have it.
fn remote(container: &Container, path: &Path) -> String {
    format!("root@{}:{}", container.address, path.display())
}

/// What the log has of files: for each line the operation and whatever else there is, in the order of the fields.
fn logged(container: &Container) -> Vec<Vec<String>> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let fields = |event: &Value| {
        let field = |name: &str| event.get(name).map(text);
        ["operation", "path", "to", "bytes", "error"].into_iter().filter_map(field).collect()
    };
    container.events.iter().filter(|event| event["event"] == "sftp").map(fields).collect()
}

/// Whether a program is there, which only a developer's machine may lack.
fn has(program: &str) -> bool {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
        .any(|directory| directory.join(program).exists());
    assert!(found || std::env::var_os("CI").is_none(), "{program} is missing");
    if !found {
        skipped(&format!("{program} is missing"));
    }
    found
}

fn skipped(why: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {why}");
}

//! Every kind of line that a container writes in its life, judged by the schema in `docs/`. Python is `FARGATE_LOGIN_PYTHON`, or
//! `python3`; without jsonschema this test passes with a remark, except in CI.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::process::{Command, Stdio};

use fargate_contract::grant;
use fargate_init::audit::RECORD_VARIABLE;
use fargate_init::engine;
use nix::sys::signal::Signal;
use serde_json::Value;

use crate::CALLER;
use crate::container::{Container, PORT, make_key, text};
use crate::own_client::Login;

const SCHEMA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/audit.schema.json");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/conformance/audit_lines.py");

/// More connections than there are lines for at once.
const KNOCKS: usize = 120;

/// How many lines there are of each kind, once the schema has taken all of them.
pub(crate) fn judged(events: &[Value]) -> Option<BTreeMap<String, u64>> {
    let python = std::env::var_os("FARGATE_LOGIN_PYTHON").unwrap_or_else(|| "python3".into());
    let found = Command::new(&python).args(["-c", "import jsonschema"]).stderr(Stdio::null()).status();
    if !found.is_ok_and(|status| status.success()) {
        assert!(std::env::var_os("CI").is_none(), "{} has no jsonschema", python.display());
        let _ = writeln!(std::io::stderr(), "left out: {} has no jsonschema", python.display());
        return None;
    }
    let mut script = Command::new(python);
    script.args([SCRIPT, SCHEMA]).env("PYTHONDONTWRITEBYTECODE", "1");
    let mut script =
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python");
    let mut stdin = script.stdin.take().expect("stdin");
    for event in events {
        writeln!(stdin, "{event}").expect("a reader");
    }
    drop(stdin);
    let told = script.wait_with_output().expect("an end");
    assert!(told.status.success(), "{}", text(&told.stderr));
    Some(serde_json::from_slice(&told.stdout).expect("JSON"))
}

#[test]
fn a_life_with_everything_in_it() {
    let mut container = Container::start_by(
        &[env!("CARGO_BIN_EXE_fargate-init"), "gunicorn"],
        &[
            (grant::CALLER, CALLER),
            (grant::RUN, "r-1"),
            (grant::CONNECTIONS, "many"),
            (grant::STOP_NOTICE, "9000"),
            (RECORD_VARIABLE, "log"),
        ],
    );
    make_key(&container.directory, "other");
    container.ssh_as("root", "other", &[], &["true"]).output().expect("ssh");
    container.until("auth_refused");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let login = Login::new(&container).await;
        let session = login.kept_session("echo ready; exec sleep 1000").await;
        login.lose();
        container.until("session_kept");
        let login = Login::new(&container).await;
        login.refused_resumption().await;
        container.until("resume_refused");
        login.resume(&session).await;
        container.until("session_resumed");
        for _ in 0..KNOCKS {
            drop(TcpStream::connect((container.address, PORT)).expect("a listener"));
        }
        container.signal(Signal::SIGTERM);
        container.until("notice");
        login.ended().await;
    });
    container.ended();
    let engine = [(engine::VARIABLE, "openssh"), (grant::CALLER, CALLER), (grant::IDLE_TIMEOUT, "600000")];
    let mut events = container.events.clone();
    if std::path::Path::new("/usr/sbin/sshd").exists() {
        let mut openssh = Container::start(&engine);
        openssh.run("true");
        openssh.ended();
        events.extend(openssh.events.iter().cloned());
    }
    let mut refused = Container::spawn(&[(RECORD_VARIABLE, "s3")]);
    refused.ended();
    events.extend(refused.events.iter().cloned());
    let Some(kinds) = judged(&events) else { return };
    for kind in [
        "start",
        "words_ignored",
        "refused",
        "listen",
        "accept",
        "dropped",
        "auth_refused",
        "auth_ok",
        "disconnect",
        "session_start",
        "session_kept",
        "session_resumed",
        "resume_refused",
        "session_end",
        "record",
        "environment_written",
        "withheld",
        "notice",
        "exit",
    ] {
        assert!(kinds.contains_key(kind), "{kind} in {kinds:?}");
    }
}

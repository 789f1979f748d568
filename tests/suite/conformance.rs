//! Independent judges: boto3 and the AWS CLI against the stand-in, and our client against moto, an ECS and EC2 that others
//! wrote. Python is `FARGATE_LOGIN_PYTHON`, or `python3`; without boto3 and moto these tests pass with a remark, except in CI.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use e2e::{Program, World};

/// Python with the modules that a script needs, or `None` after saying so.
pub(crate) fn python(modules: &str) -> Option<Command> {
    let program = std::env::var_os("FARGATE_LOGIN_PYTHON").unwrap_or_else(|| "python3".into());
    let found = Command::new(&program).args(["-c", &format!("import {modules}")]).stderr(Stdio::null()).status();
    if found.is_ok_and(|status| status.success()) {
        let mut command = Command::new(program);
        command.current_dir(scripts()).env("PYTHONDONTWRITEBYTECODE", "1");
        return Some(command);
    }
    let remark = format!("{} has no {modules}", program.display());
    assert!(std::env::var_os("CI").is_none(), "{remark}; CI leaves out nothing");
    // The test harness shows it with --nocapture.
    let _ = writeln!(std::io::stderr(), "left out: {remark}");
    None
}

fn scripts() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("conformance")
}

#[test]
fn boto3_and_the_aws_cli_find_no_fault_with_the_stand_in() {
    let Some(mut python) = python("boto3, awscli") else { return };
    let world = World::new();
    let checked = python.arg("standin_check.py").arg(world.stand_in().endpoint_url()).output().expect("python runs");
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(checked.status.success(), "{}{}", said(&checked.stdout), said(&checked.stderr));
}

#[test]
fn our_client_runs_and_stops_a_task_of_motos() {
    let Some(mut python) = python("moto, boto3") else { return };
    let mut moto = python
        .arg("moto_check.py")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("moto starts");
    let mut lines = BufReader::new(moto.stdout.take().expect("a pipe")).lines();
    let mut next = || {
        let line = lines.next().expect("moto answers").expect("text");
        serde_json::from_str::<serde_json::Value>(&line).expect("JSON")
    };
    let ready = next();
    let text = |name: &str| ready[name].as_str().expect("a text").to_owned();
    // moto's tasks have no public address: the client must say so in time, and stop the task.
    let done = Program::new(e2e::world::executable())
        .env("HOME", "/nonexistent")
        .env("AWS_ACCESS_KEY_ID", "moto")
        .env("AWS_SECRET_ACCESS_KEY", "moto")
        .env("AWS_REGION", text("region"))
        .args(["--endpoint-url", &text("endpoint_url"), "-n", &text("task_definition"), "-sn", &text("subnet")])
        .args(["-sg", &text("security_group"), "--start-timeout", "3s", "--", "true"])
        .run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains("did not answer SSH within 3 s"), "{}", done.stderr);
    let stdin = moto.stdin.as_mut().expect("a pipe");
    stdin.write_all(b"\n").and_then(|()| stdin.flush()).expect("moto reads");
    let tasks = next();
    assert_eq!(tasks.as_array().map(Vec::len), Some(1), "{tasks}");
    assert_eq!(tasks[0]["lastStatus"], "STOPPED");
    assert_eq!(tasks[0]["startedBy"], "ecs-fargate-login");
    assert_eq!(tasks[0]["overrides"]["containerOverrides"][0]["name"], "cli");
    drop(moto.stdin.take());
    assert!(moto.wait().expect("moto ends").success());
}

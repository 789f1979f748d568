//! Sessions that are sent to the log.

use std::io::{Read as _, Write as _};
use std::process::{Child, Stdio};

use fargate_init::audit::RECORD_VARIABLE;
use fargate_init::engine;
use serde_json::Value;

use crate::all;
use crate::container::{Container, text};
use crate::schema::judged;

/// The lines of a session's recording.
fn file(container: &Container, session: u64) -> Vec<Value> {
    let records = all(container, "record").into_iter().filter(|record| record["session"] == session);
    let text: String = records.map(|record| record["data"].as_str().expect("text")).collect();
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

fn output(file: &[Value]) -> String {
    file[1..].iter().filter(|event| event[1] == "o").map(|event| event[2].as_str().expect("text")).collect()
}

fn read_until(child: &mut Child, words: &str) -> String {
    let (mut seen, mut byte) = (Vec::new(), [0]);
    while !text(&seen).contains(words) {
        child.stdout.as_mut().expect("stdout").read_exact(&mut byte).expect("more output");
        seen.extend_from_slice(&byte);
    }
    text(&seen)
}

#[test]
fn what_a_terminal_showed_is_in_the_log_and_what_was_typed_in_secret_is_not() {
    let mut container = Container::start(&[(RECORD_VARIABLE, "log")]);
    let command =
        "stty -echo; printf 'password: '; read -r word; echo; stty echo; echo \"${#word} characters\"; read -r x";
    let mut ssh = container.ssh(&["-tt"], &[command]).stdin(Stdio::piped()).spawn().expect("ssh");
    let mut shown = read_until(&mut ssh, "password: ");
    let mut stdin = ssh.stdin.take().expect("stdin");
    stdin.write_all(b"hunter2\n").expect("a reader");
    shown += &read_until(&mut ssh, "7 characters\r\n");
    stdin.write_all(b"seen\n").expect("a reader");
    ssh.stdout.take().expect("stdout").read_to_string(&mut shown).expect("text");
    assert_eq!(ssh.wait().expect("an end").code(), Some(0));
    assert_eq!(container.ended(), 0);
    let file = file(&container, 1);
    assert_eq!((&file[0]["version"], file[0]["env"]["TERM"].is_string()), (&2.into(), true));
    assert_eq!(output(&file), shown, "the log has what the client got");
    assert!(shown.contains("seen\r\n"), "what a terminal echoes is shown");
    let lines: Vec<String> = container.events.iter().map(Value::to_string).collect();
    assert!(!lines.iter().any(|line| line.contains("hunter2")));
    let position = |kind: &str| container.events.iter().rposition(|event| event["event"] == kind).expect(kind);
    assert!(position("record") < position("session_end"), "complete when the session is told to have ended");
}

#[test]
fn a_session_without_a_terminal_is_not_recorded() {
    let mut container = Container::start(&[(RECORD_VARIABLE, "log")]);
    assert_eq!(text(&container.run("echo out").stdout), "out\n");
    assert_eq!(container.ended(), 0);
    assert_eq!((all(&container, "record").len(), &container.last("session_end")["sent"]), (0, &4.into()));
}

#[test]
fn nothing_is_recorded_unless_it_is_asked_for() {
    let mut container = Container::start(&[]);
    container.ssh(&["-tt"], &["echo out"]).output().expect("ssh");
    assert_eq!(container.ended(), 0);
    assert_eq!(all(&container, "record").len(), 0);
}

/// Nobody reads this log while the session floods its terminal.
#[test]
fn a_log_that_nobody_reads_stalls_no_session_and_what_is_missing_is_told() {
    let mut container = Container::start(&[(RECORD_VARIABLE, "log"), (fargate_contract::grant::CONNECTIONS, "many")]);
    let bytes = 8 * 1024 * 1024;
    let flood = format!("stty raw; head -c {bytes} /dev/zero | tr '\\0' x; echo done");
    let flooded = container.ssh(&["-tt"], &[&flood]).output().expect("ssh");
    let shown = text(&flooded.stdout);
    assert!(shown.len() > bytes && shown.ends_with("done\n"), "{} bytes", shown.len());
    assert_eq!(container.ended(), 0);
    let end = container.last("session_end");
    let lost: u64 = all(&container, "record_lost").iter().map(|line| line["bytes"].as_u64().expect("a count")).sum();
    assert!(lost > bytes as u64 / 2, "{lost} bytes are missing");
    assert_eq!(lost + output(&file(&container, 1)).len() as u64, end["sent"].as_u64().expect("a count"));
    assert_eq!(container.last("exit")["code"], 0, "all of the rest is there");
    if let Some(kinds) = judged(&container.events) {
        assert!(kinds.contains_key("record_lost"), "{kinds:?}");
    }
}

#[test]
fn what_cannot_be_recorded_is_refused() {
    for (variables, hint) in [
        (&[(RECORD_VARIABLE, "s3")][..], "FARGATE_INIT_RECORD is \"s3\": it may be `log` or `off`"),
        (&[(RECORD_VARIABLE, "log"), (engine::VARIABLE, "openssh")], "choose the engine `russh`, or unset"),
        (&[("FARGATE_INIT_AUDIT_COMMANDS", "hash")], "it may be `on` (the default) or `off`"),
    ] {
        let mut container = Container::spawn(variables);
        assert_eq!(container.ended(), 2);
        let told = container.last("refused")["error"].as_str().expect("text").to_owned();
        assert!(told.contains(hint), "{told}");
    }
}

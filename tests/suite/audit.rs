//! The log as an audit trail, as a login of ours leaves it, and what `docs/AUDIT.md` says of it. Python is `FARGATE_LOGIN_PYTHON`, or
//! `python3`; without jsonschema the schema is not asked, except in CI.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use e2e::{Terminal, World};
use serde_json::Value;

use crate::conformance::python;

/// The caller of the stand-in's STS.
const CALLER: &str = "arn:aws:iam::000000000000:user/local";

fn docs() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// How many lines there are of each kind, once the schema has taken all of them.
fn judged(lines: &[String]) -> Option<BTreeMap<String, u64>> {
    let mut script = python("jsonschema")?;
    script.args(["audit_lines.py"]).arg(docs().join("audit.schema.json"));
    let mut script =
        script.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("python");
    script.stdin.take().expect("a pipe").write_all(lines.join("\n").as_bytes()).expect("a reader");
    let told = script.wait_with_output().expect("an end");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    Some(serde_json::from_slice(&told.stdout).expect("JSON"))
}

/// Blocks of this language in the page.
fn blocks(language: &str) -> Vec<String> {
    let page = fs::read_to_string(docs().join("AUDIT.md")).expect("the page");
    let fence = format!("```{language}\n");
    let parts = page.split(&fence).skip(1);
    parts.map(|part| part.split("```").next().expect("a block").to_owned()).collect()
}

fn events(lines: &[String], kind: &str) -> Vec<Value> {
    let values = lines.iter().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    values.filter(|value| value["event"] == kind).collect()
}

fn recording() -> World {
    World::with(|config| config.images[0].env.push(("FARGATE_INIT_RECORD".into(), "log".into())))
}

#[test]
fn a_login_says_who_called() {
    let world = World::new();
    let done = world.login().args(["--shell-command", "cat; exit 4"]).run_with(b"four");
    assert_eq!((done.code, done.stdout.as_slice()), (4, &b"four"[..]), "{}", done.stderr);
    let task = world.stopped_task();
    let lines = world.stand_in().log(&task.arn, "cli");
    let (start, end) = (events(&lines, "session_start").remove(0), events(&lines, "session_end").remove(0));
    assert_eq!((&start["caller"], &start["command"]), (&CALLER.into(), &"cat; exit 4".into()));
    assert_eq!((&end["received"], &end["sent"], &end["code"]), (&4.into(), &4.into(), &4.into()));
    let run = world.stand_in().journal().into_iter().find(|call| call.action == "RunTask").expect("a RunTask").request;
    assert_eq!(start["run"], run["clientToken"], "CloudTrail's record of the call has the same");
    if let Some(kinds) = judged(&lines) {
        assert!(["listen", "auth_ok", "session_end", "exit"].iter().all(|kind| kinds.contains_key(*kind)), "{kinds:?}");
    }
}

#[test]
fn a_caller_without_tags_is_not_named() {
    let world = World::new();
    let done = world.login().args(["--no-tags", "--", "true"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let lines = world.stand_in().log(&world.stopped_task().arn, "cli");
    assert_eq!(events(&lines, "session_start")[0].get("caller"), None);
}

#[test]
fn a_recorded_session_plays_again() {
    let world = recording();
    let mut terminal = Terminal::start(&world.login());
    terminal.expect_prompt();
    terminal.send("printf '\\033[1mgr%s\\n' üße\r");
    terminal.expect("grüße");
    terminal.resize(40, 120);
    terminal.send("stty size\r");
    terminal.expect("40 120");
    terminal.send("exit 3\r");
    assert_eq!(terminal.wait(), 3);
    let lines = world.stand_in().log(&world.stopped_task().arn, "cli");
    if let Some(kinds) = judged(&lines) {
        assert!(kinds["record"] > 0, "{kinds:?}");
    }
    let directory = tempfile::tempdir().expect("a directory");
    let cast = put_together(directory.path(), &lines);
    assert_eq!((&cast[0]["version"], &cast[0]["width"], &cast[0]["height"]), (&2.into(), &80.into(), &24.into()));
    let shown: String =
        cast[1..].iter().filter(|event| event[1] == "o").map(|event| event[2].as_str().expect("text")).collect();
    assert!(shown.contains("\u{1b}[1mgrüße") && shown.contains("40 120"), "{shown}");
    assert!(cast[1..].iter().any(|event| event[1] == "r" && event[2] == "120x40"), "{cast:?}");
    assert_eq!(
        shown.len(),
        usize::try_from(events(&lines, "session_end")[0]["sent"].as_u64().expect("a count")).expect("few")
    );
}

/// The file that the page's own script makes of a log.
fn put_together(directory: &Path, lines: &[String]) -> Vec<Value> {
    fs::write(directory.join("task.log"), lines.join("\n")).expect("a file");
    let script = blocks("python");
    assert_eq!(script.len(), 1);
    let program = std::env::var_os("FARGATE_LOGIN_PYTHON").unwrap_or_else(|| "python3".into());
    let done = Command::new(program).args(["-c", &script[0]]).current_dir(directory).output().expect("python");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let cast = fs::read_to_string(directory.join("session.cast")).expect("the file");
    cast.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_word_that_records_nothing_is_refused() {
    let world = World::with(|config| config.images[0].env.push(("FARGATE_INIT_RECORD".into(), "s3".into())));
    let done = world.login().args(["--", "true"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    let task = world.stopped_task();
    let lines = world.stand_in().log(&task.arn, "cli");
    assert!(events(&lines, "refused")[0]["error"].as_str().expect("text").contains("`log` or `off`"), "{lines:?}");
}

#[test]
fn the_page_shows_lines_as_they_are() {
    let lines: Vec<String> = blocks("json").iter().flat_map(|block| block.lines().map(str::to_owned)).collect();
    assert!(lines.len() >= 5, "{lines:?}");
    if let Some(kinds) = judged(&lines) {
        assert_eq!(kinds.values().sum::<u64>(), lines.len() as u64);
    }
}

#[test]
fn the_page_names_every_kind() {
    let schema: Value =
        serde_json::from_slice(&fs::read(docs().join("audit.schema.json")).expect("the schema")).expect("JSON");
    let page = fs::read_to_string(docs().join("AUDIT.md")).expect("the page");
    for chosen in schema["oneOf"].as_array().expect("a list") {
        let kind = chosen["$ref"].as_str().expect("a reference").replace("#/$defs/", "");
        assert!(page.contains(&format!("`{kind}`")), "{kind}");
    }
}

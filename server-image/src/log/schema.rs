//! The schema of the log's lines beside the kinds of events: neither has what the other has not.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Event, Operation, Withheld};

const SCHEMA: &str = include_str!("../../../docs/audit.schema.json");

/// The names of all kinds, as serde knows them.
fn kinds() -> BTreeSet<String> {
    let error = serde_json::from_str::<Event<'_>>(r#"{"event": "no such kind"}"#).expect_err("no kind");
    let told = error.to_string();
    let (_, known) = told.split_once("expected one of ").expect("a list of kinds");
    let names = known.split('`').skip(1).step_by(2).map(str::to_owned);
    names.collect()
}

/// One event of each kind with every field.
fn samples() -> Vec<Event<'static>> {
    let peer = "192.0.2.1:4".parse().expect("an address");
    let (text, reason) = (|| "x".to_owned(), "x");
    vec![
        Event::Start { role: "serve", version: "1", pid: 2 },
        Event::Refused { error: text() },
        Event::Failed { error: text() },
        Event::Listen { address: peer, host_key: text(), fingerprint: text() },
        Event::Accept { peer },
        Event::Joined { peer, link: 1, first: peer },
        Event::Dropped { peer, reason },
        Event::AuthRefused { peer, user: "x", fingerprint: Some(text()), reason },
        Event::AuthOk { peer, user: "x", fingerprint: text(), caller: Some("x") },
        Event::Disconnect { peer, duration_ms: 1, reason },
        Event::SessionStart {
            session: 1,
            kind: "exec",
            command: Some("x".into()),
            command_bytes: 1,
            terminal: true,
            user: "x",
            peer,
            caller: Some("x"),
        },
        Event::SessionKept { session: 1, grace_ms: 1 },
        Event::SessionResumed { session: 1, peer, again: 1 },
        Event::ResumeRefused { peer, reason },
        Event::SessionEnd { session: 1, code: 0, reason: text(), duration_ms: 1, received: Some(1), sent: Some(1) },
        Event::Record { session: 1, sequence: 1, data: "x" },
        Event::RecordLost { session: 1, sequence: 1, bytes: 1 },
        Event::Sftp {
            session: 1,
            operation: Operation::Rename,
            path: "x",
            to: Some("x"),
            bytes: Some(1),
            error: Some("x"),
        },
        Event::ForwardStart { forward: 1, kind: "agent", target: "x", origin: "x", peer },
        Event::ForwardEnd { forward: 1, received: 1, sent: 1, duration_ms: 1, reason },
        Event::ForwardRefused { kind: "agent", target: "x", peer, reason },
        Event::ForwardListen { kind: "forwarded-tcpip", address: "x" },
        Event::Sshd { peer, message: "x", authenticated: true },
        Event::Withheld(Withheld { accept: 1, dropped: 1, auth_refused: 1, sshd: 1, forward_refused: 1 }),
        Event::NoIdleLimit { reason },
        Event::WordsIgnored { count: 1 },
        Event::Installed { path: text(), bytes: 1 },
        Event::EnvironmentWritten { paths: vec![text()] },
        Event::EnvironmentNotWritten { paths: vec![text()], error: text() },
        Event::Notice { seconds: 1 },
        Event::Exit { reason: text(), code: 0 },
    ]
}

fn object(value: &Value) -> &Map<String, Value> {
    value.as_object().expect("an object")
}

fn names(values: &Value) -> BTreeSet<String> {
    let values = values.as_array().expect("a list").iter();
    values.map(|value| value.as_str().expect("a name").to_owned()).collect()
}

/// The word of a value's kind in a schema.
fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// The schema's word for a field, behind a reference if there is one.
fn described<'a>(schema: &'a Value, field: &'a Value) -> &'a Value {
    match field["$ref"].as_str() {
        Some(reference) => schema.pointer(reference.trim_start_matches('#')).expect("what is referred to"),
        None => field,
    }
}

#[test]
fn every_kind_has_its_place_in_the_schema_and_no_other_has() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    let described = object(&schema["$defs"]).iter().filter(|(_, entry)| entry["properties"]["event"].is_object());
    let described: BTreeSet<String> = described.map(|(name, _)| name.clone()).collect();
    assert_eq!(described, kinds());
    let chosen = schema["oneOf"].as_array().expect("a list").iter();
    let chosen: BTreeSet<String> =
        chosen.map(|entry| entry["$ref"].as_str().expect("a reference").replace("#/$defs/", "")).collect();
    assert_eq!(chosen, described);
}

#[test]
fn every_field_is_described_as_it_is_written() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    let mut seen = BTreeSet::new();
    for sample in samples() {
        let line = serde_json::to_value(&sample).expect("JSON");
        let kind = line["event"].as_str().expect("a kind").to_owned();
        let entry = &schema["$defs"][&kind];
        let properties = object(&entry["properties"]);
        assert_eq!(properties["event"], json!({"const": kind}));
        let (written, known) = (object(&line), properties);
        assert_eq!(written.keys().collect::<BTreeSet<_>>(), known.keys().collect::<BTreeSet<_>>(), "fields of {kind}");
        for (field, value) in written.iter().filter(|(field, _)| *field != "event") {
            let wanted = &described(&schema, &properties[field])["type"];
            let allowed = if wanted.is_array() { names(wanted) } else { names(&json!([wanted])) };
            assert!(allowed.contains(kind_of(value)), "{kind}.{field} is {}: {allowed:?}", kind_of(value));
        }
        assert!(seen.insert(kind), "one sample of each kind");
    }
    assert_eq!(seen, kinds());
}

#[test]
fn what_may_be_missing_is_not_required() {
    let schema: Value = serde_json::from_str(SCHEMA).expect("JSON");
    let peer = "192.0.2.1:4".parse().expect("an address");
    let sparse = [
        Event::AuthRefused { peer, user: "x", fingerprint: None, reason: "x" },
        Event::AuthOk { peer, user: "x", fingerprint: String::new(), caller: None },
        Event::SessionStart {
            session: 1,
            kind: "shell",
            command: None,
            command_bytes: 0,
            terminal: true,
            user: "x",
            peer,
            caller: None,
        },
        Event::SessionEnd { session: 1, code: 0, reason: String::new(), duration_ms: 1, received: None, sent: None },
        Event::Sftp { session: 1, operation: Operation::OpenRead, path: "x", to: None, bytes: None, error: None },
    ];
    for event in sparse {
        let line = serde_json::to_value(&event).expect("JSON");
        let required = names(&schema["$defs"][line["event"].as_str().expect("a kind")]["required"]);
        let written: BTreeSet<String> = object(&line).keys().cloned().collect();
        assert_eq!(required, written);
    }
}

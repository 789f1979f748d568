//! A recording put together again.

use std::io::{self, BufRead as _, BufReader, Write as _};

use serde_json::Value;

use super::{COLUMNS, DATA_MAX, ROWS, Recording};
use crate::log::Log;
use crate::session::{TerminalRequest, WindowSize};

/// Longest line of a log that every container runtime keeps in one piece, in bytes.
const LINE_MAX: usize = 16 * 1024;

fn terminal(columns: u32, rows: u32) -> TerminalRequest {
    TerminalRequest { term: "xterm".to_owned(), size: WindowSize::new(columns, rows, 0, 0), modes: Vec::new() }
}

/// What a session records, as lines of the log.
fn recorded(session: impl FnOnce(&Recording)) -> Vec<Value> {
    let (reader, writer) = io::pipe().expect("a pipe");
    let reading = std::thread::spawn(move || {
        let lines = BufReader::new(reader).lines().map(|line| line.expect("text"));
        lines.inspect(|line| assert!(line.len() < LINE_MAX, "{} bytes", line.len())).collect::<Vec<_>>()
    });
    let log = Log::new(Some("6a1f0d52-6ab1-4bb0-9d0e-0f6f5a3f2f11"), Box::new(writer));
    let recording = Recording::begin(log, 7, &terminal(90, 33));
    session(&recording);
    recording.end();
    drop(recording);
    let lines = reading.join().expect("a reader").into_iter();
    lines.map(|line| serde_json::from_str(&line).expect("JSON")).collect()
}

/// The lines of the file.
fn file(lines: &[Value]) -> Vec<Value> {
    let (mut text, mut next) = (String::new(), 1);
    for line in lines {
        assert_eq!((&line["event"], &line["session"], &line["sequence"]), (&"record".into(), &7.into(), &next.into()));
        let data = line["data"].as_str().expect("text");
        assert!(data.len() <= DATA_MAX && data.ends_with('\n'), "{data}");
        text.push_str(data);
        next += 1;
    }
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// The output of the file, in one piece.
fn output(file: &[Value]) -> String {
    let events = file[1..].iter().filter(|event| event[1] == "o");
    events.map(|event| event[2].as_str().expect("text")).collect()
}

#[test]
fn output_and_sizes_make_a_file() {
    let lines = recorded(|recording| {
        recording.output(b"\x1b[1mhello\r\n\"");
        recording.resized(WindowSize::new(120, 40, 0, 0));
        recording.output(b"bye");
    });
    let file = file(&lines);
    assert_eq!((&file[0]["version"], &file[0]["width"], &file[0]["height"]), (&2.into(), &90.into(), &33.into()));
    assert_eq!(file[0]["env"]["TERM"], "xterm");
    assert!(file[0]["timestamp"].as_i64().expect("seconds") > 1_700_000_000);
    let events: Vec<_> = file[1..].iter().map(|event| (event[1].clone(), event[2].clone())).collect();
    let expected = [("o", "\u{1b}[1mhello\r\n\""), ("r", "120x40"), ("o", "bye")];
    assert_eq!(events, expected.map(|(code, text)| (code.into(), text.into())));
    let times: Vec<_> = file[1..].iter().map(|event| event[0].as_f64().expect("seconds")).collect();
    assert!(times.is_sorted(), "{times:?}");
}

#[test]
fn characters_are_whole_wherever_reads_divide_them() {
    let text = "grüße 日本 🦀 \u{1b}]2;títle\u{7}";
    for at in 0..text.len() {
        let lines = recorded(|recording| {
            recording.output(&text.as_bytes()[..at]);
            recording.output(&text.as_bytes()[at..]);
        });
        assert_eq!(output(&file(&lines)), text, "divided at {at}");
    }
    let lines = recorded(|recording| recording.output(b"a\xff\xe6\x97b\xf0\x9f"));
    assert_eq!(output(&file(&lines)), "a\u{fffd}\u{fffd}b\u{fffd}", "what is no character is replaced");
}

#[test]
fn lines_stay_short_whatever_is_shown() {
    for shown in [&b"\x01"[..], b"\"", b"\\", b"\n", b"x", "é".as_bytes(), b"\xff"] {
        let all = shown.repeat(40_000);
        let lines = recorded(|recording| all.chunks(65_536).for_each(|read| recording.output(read)));
        assert!(lines.len() > 5, "{} lines", lines.len());
        assert_eq!(output(&file(&lines)), String::from_utf8_lossy(&all));
    }
}

#[test]
fn a_terminal_of_no_size_has_the_usual_one() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let recording = Recording::begin(Log::new(None, Box::new(writer)), 7, &terminal(0, 0));
    recording.end();
    drop(recording);
    let lines: Vec<Value> =
        BufReader::new(reader).lines().map(|line| serde_json::from_str(&line.expect("text")).expect("JSON")).collect();
    assert_eq!(file(&lines)[0]["width"], COLUMNS);
    assert_eq!(file(&lines)[0]["height"], ROWS);
}

#[test]
fn what_the_log_does_not_take_is_counted() {
    let (reader, writer) = io::pipe().expect("a pipe");
    let log = Log::queued(None, Box::new(writer)).expect("a thread");
    let recording = Recording::begin(log.clone(), 7, &terminal(80, 24));
    let mut shown = 0;
    while log.has_room() {
        recording.output(&[b'x'; 4096]);
        shown += 4096;
    }
    for _ in 0..1000 {
        recording.output(&[b'x'; 4096]);
        shown += 4096;
    }
    let mut reader = BufReader::new(reader);
    let mut lines = Vec::new();
    // Room again, and what comes then is recorded.
    while !log.has_room() {
        lines.push(read(&mut reader));
    }
    recording.output("the rest".as_bytes());
    shown += 8;
    let reading = std::thread::spawn(move || {
        let mut lines = Vec::new();
        let mut text = String::new();
        while reader.read_line(&mut text).expect("text") > 0 && !text.contains("\"exit\"") {
            lines.push(serde_json::from_str(&text).expect("JSON"));
            text.clear();
        }
        lines
    });
    recording.end();
    log.write(&crate::log::Event::Exit { reason: String::new(), code: 0 });
    lines.extend(reading.join().expect("a reader"));
    let lost: Vec<_> = lines.iter().filter(|line| line["event"] == "record_lost").collect();
    assert_eq!(lost.len(), 1, "{lost:?}");
    let records: Vec<Value> = lines.iter().filter(|line| line["event"] == "record").cloned().collect();
    assert_eq!(lost[0]["sequence"], records.last().expect("the rest")["sequence"], "before the last");
    let output = output(&file(&records));
    assert!(output.ends_with("xthe rest"), "both sides of the gap are there");
    assert_eq!(output.len() as u64 + lost[0]["bytes"].as_u64().expect("a count"), shown, "every byte is accounted for");
}

fn read(reader: &mut impl io::BufRead) -> Value {
    let mut text = String::new();
    reader.read_line(&mut text).expect("text");
    serde_json::from_str(&text).expect("JSON")
}

#[tokio::test(start_paused = true)]
async fn what_is_shown_is_sent_without_waiting_for_more() {
    let (reader, mut writer) = io::pipe().expect("a pipe");
    let log = Log::new(None, Box::new(writer.try_clone().expect("a pipe")));
    let recording = Recording::begin(log, 7, &terminal(80, 24));
    recording.output(b"prompt$ ");
    let waited = tokio::time::timeout(super::PATIENCE * 2, recording.keep_sending()).await;
    assert!(waited.is_err(), "it goes on as long as the session");
    writer.write_all(b"\n").expect("a reader");
    assert!(read(&mut BufReader::new(reader))["data"].as_str().expect("text").contains("prompt$ "));
}

//! Recordings in real files, read back as a player reads them.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;

use super::*;

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).expect("text");
    assert!(text.ends_with('\n'), "{text:?}");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[tokio::test]
async fn a_recording_is_a_header_and_what_was_shown() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("session.cast");
    let recording = Recording::create(&file).expect("a file");
    let recorder = recording.recorder();
    recorder.output(Stream::Stdout, &Bytes::from_static(b"before the session"));
    recorder.begin(120, 40);
    recorder.output(Stream::Stdout, &Bytes::from_static(b"\x1b[1m\"caf\xc3"));
    recorder.resize(100, 30);
    recorder.output(Stream::Stdout, &Bytes::from_static(b"\xa9\"\r\n"));
    drop(recorder);
    assert_eq!(recording.finish().await, None);
    let lines = lines(&file);
    assert_eq!((&lines[0]["version"], &lines[0]["width"], &lines[0]["height"]), (&2.into(), &120.into(), &40.into()));
    assert!(lines[0]["timestamp"].as_u64().is_some_and(|seconds| seconds > 1_700_000_000), "{}", lines[0]);
    assert!(lines[0]["env"].is_object());
    let events: Vec<_> = lines[1..].iter().map(|line| (line[1].clone(), line[2].clone())).collect();
    let expected = [("o", "\u{1b}[1m\"caf"), ("r", "100x30"), ("o", "\u{e9}\"\r\n")];
    assert_eq!(events, expected.map(|(kind, text)| (kind.into(), text.into())));
    assert_eq!(file.metadata().expect("a file").permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn what_is_there_stays_and_what_no_session_came_to_goes() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("session.cast");
    let unused = Recording::create(&file).expect("a file");
    let error = Recording::create(&file).expect_err("it is there");
    assert!(matches!(error, RecordError::Exists(_)), "{error}");
    assert!(error.hints()[0].contains("--record"));
    assert_eq!(unused.finish().await, None);
    assert!(!file.exists());
    std::os::unix::fs::symlink("/dev/null", &file).expect("a link");
    assert!(matches!(Recording::create(&file), Err(RecordError::Exists(_))), "a link is not followed");
    let nowhere = directory.path().join("none/session.cast");
    assert!(matches!(Recording::create(&nowhere), Err(RecordError::Create { .. })));
}

#[tokio::test]
async fn a_full_disk_is_told_once_and_holds_nobody_up() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("the device that is always full");
    let recording = Recording::on(Path::new("full.cast"), full).expect("a thread");
    let recorder = recording.recorder();
    recorder.begin(80, 24);
    // More than the queue holds, so that whoever waited would wait for ever.
    for _ in 0..4 * QUEUE {
        recorder.output(Stream::Stdout, &Bytes::from_static(b"x"));
    }
    drop(recorder);
    let told = recording.finish().await.expect("a warning");
    assert!(told.contains("full.cast ends before the session did"), "{told}");
}

#[test]
fn a_recording_that_falls_behind_ends_without_a_gap() {
    let (events_tx, mut events_rx) = mpsc::channel(1);
    let recorder = Recorder { events_tx, state: Arc::default() };
    recorder.begin(80, 24);
    recorder.output(Stream::Stdout, &Bytes::from_static(b"no place for it"));
    assert!(recorder.lock().overrun);
    assert!(matches!(events_rx.try_recv(), Ok((_, Event::Begin(_)))));
    recorder.output(Stream::Stdout, &Bytes::from_static(b"there would be one by now"));
    assert!(events_rx.try_recv().is_err());
}

#[test]
fn only_a_session_with_a_terminal_is_recorded() {
    use crate::options::Tty;

    let options = |tty| Options { tty, record: Some(PathBuf::from("/nonexistent/a.cast")), ..Options::default() };
    assert!(matches!(check(&options(Tty::Never)), Err(RecordError::NoTerminal)));
    assert!(check(&options(Tty::Force)).is_ok());
    assert!(check(&Options { record: None, ..options(Tty::Never) }).is_ok());
    let there = Options { record: Some(PathBuf::from("/dev/null")), ..options(Tty::Force) };
    assert!(matches!(check(&there), Err(RecordError::Exists(_))));
}

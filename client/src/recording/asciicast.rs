//! The file format asciicast, version 2 (docs.asciinema.org/manual/asciicast/v2): a header, then an event to a line, all of it JSON in UTF-8.

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;

use super::Stream;

/// The variables of ours that a recording names: what kind of terminal it was made on.
const VARIABLES: [&str; 2] = ["SHELL", "TERM"];

/// The first line.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Header {
    version: u8,
    width: u16,
    height: u16,
    /// Seconds since the epoch.
    timestamp: u64,
    env: BTreeMap<&'static str, String>,
}

impl Header {
    /// For a recording that begins now.
    pub(super) fn of_now(columns: u16, rows: u16) -> Self {
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let env = VARIABLES.into_iter().filter_map(|name| Some((name, std::env::var(name).ok()?))).collect();
        Self { version: 2, width: columns, height: rows, timestamp, env }
    }
}

/// Makes lines of events. Times count from the header on.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    began: Option<Instant>,
    last: f64,
    /// The beginning of a character, of which the next event of that stream brings the rest.
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Encoder {
    pub(super) fn begin(&mut self, at: Instant, header: &Header) -> String {
        self.began = Some(at);
        line(header)
    }

    /// Nothing for bytes that are no whole character yet.
    pub(super) fn output(&mut self, at: Instant, stream: Stream, shown: &[u8]) -> String {
        let held = match stream {
            Stream::Stdout => &mut self.stdout,
            Stream::Stderr => &mut self.stderr,
        };
        held.extend_from_slice(shown);
        let (text, rest) = decode(held);
        *held = rest;
        self.event(at, "o", &text)
    }

    pub(super) fn resize(&mut self, at: Instant, columns: u16, rows: u16) -> String {
        self.event(at, "r", &format!("{columns}x{rows}"))
    }

    /// What is left of characters that never became whole.
    pub(super) fn rest(&mut self) -> String {
        let held = [std::mem::take(&mut self.stdout), std::mem::take(&mut self.stderr)].concat();
        let (at, text) = (self.last, String::from_utf8_lossy(&held).into_owned());
        if text.is_empty() { String::new() } else { line(&(at, "o", text)) }
    }

    fn event(&mut self, at: Instant, kind: &str, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let since = self.began.map_or_else(Default::default, |began| at.saturating_duration_since(began));
        // Two outputs are recorded side by side: a player wants times in order.
        self.last = ((since.as_secs_f64() * 1e6).round() / 1e6).max(self.last);
        line(&(self.last, kind, text))
    }
}

fn line(value: &impl Serialize) -> String {
    // Texts and numbers are always JSON; nothing is written of what would not be.
    serde_json::to_string(value).map(|line| line + "\n").unwrap_or_default()
}

/// The characters in `bytes`, with U+FFFD for what is none, and the beginning of one at the end.
fn decode(bytes: &[u8]) -> (String, Vec<u8>) {
    let (mut text, mut rest) = (String::with_capacity(bytes.len()), Vec::new());
    let mut chunks = bytes.utf8_chunks().peekable();
    while let Some(chunk) = chunks.next() {
        text.push_str(chunk.valid());
        let invalid = chunk.invalid();
        let is_begun = std::str::from_utf8(invalid).is_err_and(|error| error.error_len().is_none());
        if chunks.peek().is_none() && is_begun {
            rest = invalid.to_vec();
        } else if !invalid.is_empty() {
            text.push(char::REPLACEMENT_CHARACTER);
        }
    }
    (text, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_that_are_cut_are_made_whole_and_what_is_none_is_replaced() {
        let whole = "aé☃𝄞\u{1b}[31m\"\\\r\n";
        for at in 0..=whole.len() {
            let (first, held) = decode(&whole.as_bytes()[..at]);
            let (second, rest) = decode(&[&held, &whole.as_bytes()[at..]].concat());
            assert_eq!((first + &second, rest.len()), (whole.to_owned(), 0), "cut at {at}");
        }
        assert_eq!(decode(b"a\xffb\xe2\x98"), ("a\u{fffd}b".to_owned(), b"\xe2\x98".to_vec()));
        assert_eq!(decode(b"\xe2\x98a"), ("\u{fffd}a".to_owned(), Vec::new()));
    }

    #[test]
    fn a_character_of_one_output_is_not_mixed_with_the_others() {
        let (mut encoder, now) = (Encoder::default(), Instant::now());
        encoder.begin(now, &Header::of_now(80, 24));
        assert_eq!(encoder.output(now, Stream::Stdout, b"\xe2\x98"), "");
        assert_eq!(encoder.output(now, Stream::Stderr, b"ours"), "[0.0,\"o\",\"ours\"]\n");
        assert_eq!(encoder.output(now, Stream::Stdout, b"\x83"), "[0.0,\"o\",\"\u{2603}\"]\n");
        assert_eq!(encoder.output(now, Stream::Stdout, b"\xe2"), "");
        assert_eq!((encoder.rest(), encoder.rest()), ("[0.0,\"o\",\"\u{fffd}\"]\n".to_owned(), String::new()));
    }

    #[test]
    fn times_count_from_the_header_and_never_go_back() {
        let (mut encoder, began) = (Encoder::default(), Instant::now());
        let after = |millis| began + std::time::Duration::from_millis(millis);
        encoder.begin(began, &Header::of_now(80, 24));
        assert_eq!(encoder.output(after(1250), Stream::Stdout, b"a"), "[1.25,\"o\",\"a\"]\n");
        assert_eq!(encoder.resize(after(1000), 100, 50), "[1.25,\"r\",\"100x50\"]\n");
    }
}

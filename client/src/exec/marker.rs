//! What the wrapper says between the command's bytes, and how it is found there and taken out.
//!
//! A marker is an application program command of ECMA-48, which terminals do not show: `ESC _`, the nonce, a word, `ESC \`. The nonce is 128
//! random bits, and no command prints them behind an `ESC _` unless it means to deceive: what a listing of processes shows of the wrapper has
//! the ESC as `\033`. Bytes are held back while they can be the beginning of a marker.

use bytes::Bytes;
use rand::RngExt as _;

/// The bytes of a nonce.
const NONCE: usize = 16;
/// The end of a marker: ST of ECMA-48.
const END: &[u8] = b"\x1b\\";
/// Digits of an exit status.
const DIGITS: usize = 3;
/// A text that begins like a marker up to so many digits of the nonce may be none.
const DOUBTFUL: usize = 2 + 4;

/// Told from everything else that a command may print; 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Nonce(String);

impl Nonce {
    /// A fresh one, from a generator that the operating system seeds.
    pub(super) fn draw() -> Self {
        let bytes: [u8; NONCE] = rand::rng().random();
        Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(super) fn text(&self) -> &str {
        &self.0
    }
}

/// Part of what a session prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// What came before the wrapper: words of the shell's.
    Before(Bytes),
    /// The command begins; with pipes whether it has them.
    Begun { piped: bool },
    /// The command's output.
    Out(Bytes),
    /// The command's errors, where they are told apart.
    Err(Bytes),
    /// The command has ended with this status. Nothing comes behind it.
    Exit(u8),
}

/// Where text belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stream {
    Before,
    Out,
    Err,
}

/// The words of markers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Word {
    Begun {
        piped: bool,
    },
    ErrorsBegin,
    /// The end of errors; with a line feed, which is theirs.
    ErrorsEnd {
        line: bool,
    },
    Exit(u8),
}

/// What stands at a place where a marker can begin.
enum Found {
    Marker(usize, Word),
    Beginning,
    Nothing,
}

/// Finds the markers of one session, however it is cut into pieces.
#[derive(Debug)]
pub(super) struct Markers {
    prefix: Vec<u8>,
    stream: Stream,
    held: Vec<u8>,
    /// How much of the held bytes was handed out all the same.
    shown: usize,
    over: bool,
}

impl Markers {
    pub(super) fn new(nonce: &Nonce) -> Self {
        let prefix = [b"\x1b_", nonce.text().as_bytes()].concat();
        Self { prefix, stream: Stream::Before, held: Vec::new(), shown: 0, over: false }
    }

    /// A session without the wrapper: everything is output.
    pub(super) fn none() -> Self {
        // Nothing that is held begins like this.
        Self { stream: Stream::Out, ..Self::new(&Nonce::draw()) }
    }

    /// Takes what the session prints next.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut buffer = std::mem::take(&mut self.held);
        buffer.extend_from_slice(bytes);
        // `start` is the first byte that is not handed out, `from` the first that can begin a marker.
        let (mut start, mut from) = (std::mem::take(&mut self.shown), 0);
        while !self.over {
            let escape = buffer.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == END[0]));
            let Some(at) = escape.map(|offset| from + offset) else {
                self.text(&buffer[start.min(buffer.len())..], &mut pieces);
                break;
            };
            match self.look(&buffer[at..]) {
                Found::Nothing => from = at + 1,
                Found::Beginning => {
                    self.text(&buffer[start.min(at)..at], &mut pieces);
                    self.shown = start.saturating_sub(at);
                    self.held = buffer.split_off(at);
                    break;
                }
                Found::Marker(length, word) => {
                    self.text(&buffer[start.min(at)..at], &mut pieces);
                    if start > at {
                        // A terminal that was shown its beginning waits for its end.
                        self.text(END, &mut pieces);
                    }
                    self.hear(word, &mut pieces);
                    (start, from) = (at + length, at + length);
                }
            }
        }
        pieces
    }

    /// Whether a moment without more bytes should release what is held: nobody would wait for the rest of a prompt.
    pub(super) const fn is_doubtful(&self) -> bool {
        self.held.len() > self.shown && self.held.len() < DOUBTFUL
    }

    /// Hands out what is held, which may be the beginning of a marker still.
    pub(super) fn release(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let text = self.held.get(self.shown..).unwrap_or_default().to_vec();
        self.text(&text, &mut pieces);
        self.shown = self.held.len();
        pieces
    }

    fn look(&self, bytes: &[u8]) -> Found {
        let common = bytes.len().min(self.prefix.len());
        if bytes[..common] != self.prefix[..common] {
            return Found::Nothing;
        }
        let Some((word, rest)) = bytes[common..].split_first() else { return Found::Beginning };
        let digits = if *word == b'x' { rest.iter().take_while(|byte| byte.is_ascii_digit()).count() } else { 0 };
        let (status, rest) = rest.split_at(digits);
        let (word, end): (_, &[u8]) = match word {
            b'0' => (Word::Begun { piped: false }, END),
            b'1' => (Word::Begun { piped: true }, END),
            b'e' => (Word::ErrorsBegin, END),
            b'n' => (Word::ErrorsEnd { line: true }, b"\x1b\\\n"),
            b'.' => (Word::ErrorsEnd { line: false }, END),
            b'x' if digits == 0 && rest.is_empty() => return Found::Beginning,
            b'x' if (1..=DIGITS).contains(&digits) => {
                // At most three digits, which may still be too many.
                match std::str::from_utf8(status).ok().and_then(|text| text.parse().ok()) {
                    Some(status) => (Word::Exit(status), END),
                    None => return Found::Nothing,
                }
            }
            _ => return Found::Nothing,
        };
        let common = rest.len().min(end.len());
        if rest[..common] != end[..common] {
            return Found::Nothing;
        }
        if common < end.len() {
            return Found::Beginning;
        }
        Found::Marker(self.prefix.len() + 1 + digits + end.len(), word)
    }

    fn hear(&mut self, word: Word, pieces: &mut Vec<Piece>) {
        match word {
            Word::Begun { piped } => {
                self.stream = Stream::Out;
                pieces.push(Piece::Begun { piped });
            }
            Word::ErrorsBegin => self.stream = Stream::Err,
            Word::ErrorsEnd { line } => {
                if line {
                    self.text(b"\n", pieces);
                }
                self.stream = Stream::Out;
            }
            Word::Exit(status) => {
                self.over = true;
                pieces.push(Piece::Exit(status));
            }
        }
    }

    fn text(&self, text: &[u8], pieces: &mut Vec<Piece>) {
        if text.is_empty() {
            return;
        }
        let text = Bytes::copy_from_slice(text);
        pieces.push(match self.stream {
            Stream::Before => Piece::Before(text),
            Stream::Out => Piece::Out(text),
            Stream::Err => Piece::Err(text),
        });
    }
}

#[cfg(test)]
mod tests;

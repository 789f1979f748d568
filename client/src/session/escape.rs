//! Escapes typed at the beginning of a line, as `ssh` has them: a pure state machine over the bytes of the keyboard.

use crate::options::EscapeChar;

/// `^Z`, the key that suspends.
const SUSPEND: u8 = 0x1a;

/// What the user asks of us rather than of the remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escape {
    /// `~.`: end the session.
    Leave,
    /// `~^Z`: suspend this program.
    Suspend,
    /// `~?`: list the escapes.
    Help,
}

/// Where in a line the next byte falls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    LineStart,
    /// The escape character came at a line's start and is held back.
    Held,
    Within,
}

/// Finds escapes in what is typed, however it is cut into chunks.
#[derive(Debug)]
pub struct Escapes {
    escape: Option<u8>,
    place: Place,
}

impl Escapes {
    /// A session begins at a line's start.
    #[must_use]
    pub fn new(escape: EscapeChar) -> Self {
        let escape = match escape {
            EscapeChar::Byte(byte) => Some(byte),
            EscapeChar::None => None,
        };
        Self { escape, place: Place::LineStart }
    }

    /// Moves what belongs to the remote from the front of `typed` to `remote`, up to and including the next escape, which
    /// is returned; with `None`, all of `typed` is taken.
    pub fn next(&mut self, typed: &mut &[u8], remote: &mut Vec<u8>) -> Option<Escape> {
        let Some(escape) = self.escape else {
            remote.extend_from_slice(typed);
            *typed = &[];
            return None;
        };
        while let Some((&byte, rest)) = typed.split_first() {
            *typed = rest;
            let held = self.place == Place::Held;
            let command = match byte {
                _ if !held => None,
                b'.' => Some(Escape::Leave),
                SUSPEND => Some(Escape::Suspend),
                b'?' => Some(Escape::Help),
                _ => None,
            };
            if command.is_some() {
                self.place = Place::LineStart;
                return command;
            }
            if byte == escape && self.place == Place::LineStart {
                self.place = Place::Held;
                continue;
            }
            if held && byte != escape {
                remote.push(escape);
            }
            remote.push(byte);
            self.place = if matches!(byte, b'\r' | b'\n') { Place::LineStart } else { Place::Within };
        }
        None
    }

    /// What is still held back when the keyboard ends.
    #[must_use]
    pub fn finish(self) -> Option<u8> {
        self.escape.filter(|_| self.place == Place::Held)
    }

    /// The escape that ends the session, as it is typed; `None` when there are none.
    #[must_use]
    pub fn leaving(&self) -> Option<String> {
        self.escape.map(|escape| format!("{}.", shown(escape)))
    }

    /// The escapes, for a terminal in raw mode. Nothing when there are none.
    #[must_use]
    pub fn help(&self) -> String {
        let Some(escape) = self.escape else { return String::new() };
        let key = shown(escape);
        format!(
            "{key}?\r\n\
             Supported escape sequences:\r\n \
             {key}.   - end the session\r\n \
             {key}^Z  - suspend fargate-login\r\n \
             {key}?   - this message\r\n \
             {key}{key}   - send the escape character by typing it twice\r\n\
             (Note that escapes are only recognized immediately after newline.)\r\n"
        )
    }
}

/// A key as people write it.
fn shown(key: u8) -> String {
    match key {
        control if control.is_ascii_control() => format!("^{}", char::from(control ^ 0x40)),
        visible => char::from(visible).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What reaches the remote, and which escapes were found after how many of its bytes.
    fn run(chunks: &[&[u8]]) -> (Vec<u8>, Vec<(usize, Escape)>) {
        let mut escapes = Escapes::new(EscapeChar::Byte(b'~'));
        let (mut remote, mut found) = (Vec::new(), Vec::new());
        for chunk in chunks {
            let mut typed = *chunk;
            while let Some(escape) = escapes.next(&mut typed, &mut remote) {
                found.push((remote.len(), escape));
            }
            assert!(typed.is_empty());
        }
        remote.extend(escapes.finish());
        (remote, found)
    }

    #[test]
    fn escapes_count_only_at_the_start_of_a_line() {
        for (typed, remote, found) in [
            (&b"~."[..], &b""[..], vec![(0, Escape::Leave)]),
            (b"ls\r~.", b"ls\r", vec![(3, Escape::Leave)]),
            (b"ls\n~?x", b"ls\nx", vec![(3, Escape::Help)]),
            (b"\r~\x1a~?", b"\r", vec![(1, Escape::Suspend), (1, Escape::Help)]),
            (b"a~.", b"a~.", vec![]),
            (b"~~.", b"~.", vec![]),
            (b"~~\r~.", b"~\r", vec![(2, Escape::Leave)]),
            (b"~a~.", b"~a~.", vec![]),
            (b"~\r~.", b"~\r", vec![(2, Escape::Leave)]),
            (b"cd ~/x\r", b"cd ~/x\r", vec![]),
            (b"x\r~", b"x\r~", vec![]),
        ] {
            let expected = (remote.to_vec(), found);
            assert_eq!(run(&[typed]), expected, "{typed:?} in one chunk");
            let bytes: Vec<_> = typed.chunks(1).collect();
            assert_eq!(run(&bytes), expected, "{typed:?} byte by byte");
            for cut in 0..typed.len() {
                assert_eq!(run(&[&typed[..cut], &typed[cut..]]), expected, "{typed:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn without_an_escape_character_everything_passes() {
        let mut escapes = Escapes::new(EscapeChar::None);
        let (mut typed, mut remote) = (&b"~.\r~~"[..], Vec::new());
        assert_eq!(escapes.next(&mut typed, &mut remote), None);
        assert_eq!((remote.as_slice(), escapes.help().as_str()), (&b"~.\r~~"[..], ""));
    }

    #[test]
    fn another_character_can_be_chosen_and_help_names_it() {
        let mut escapes = Escapes::new(EscapeChar::Byte(0x1d));
        let (mut typed, mut remote) = (&b"~.\r\x1d."[..], Vec::new());
        assert_eq!(escapes.next(&mut typed, &mut remote), Some(Escape::Leave));
        assert_eq!(remote, b"~.\r");
        assert!(escapes.help().contains("^].   - end"), "{}", escapes.help());
    }
}

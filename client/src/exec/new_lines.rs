//! Line feeds as the command wrote them, where its terminal puts a carriage return before each.

use bytes::Bytes;

/// Takes out the one carriage return that stands before each line feed (ONLCR of termios(3)), and no other.
#[derive(Debug, Default)]
pub(super) struct NewLines {
    /// A carriage return that may stand before a line feed.
    held: bool,
}

impl NewLines {
    pub(super) fn take(&mut self, bytes: &[u8]) -> Bytes {
        let mut text = Vec::with_capacity(bytes.len() + 1);
        for byte in bytes {
            if std::mem::take(&mut self.held) && *byte != b'\n' {
                text.push(b'\r');
            }
            self.held = *byte == b'\r';
            if !self.held {
                text.push(*byte);
            }
        }
        text.into()
    }

    /// What is held at the end.
    pub(super) fn finish(&mut self) -> Bytes {
        Bytes::from_static(if std::mem::take(&mut self.held) { b"\r" } else { b"" })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_a_terminal_adds_is_taken_out_and_nothing_else(
            text in "[ab\r\n]{0,40}",
            lengths in proptest::collection::vec(1_usize..7, 1..5),
        ) {
            let shown = text.replace('\n', "\r\n").into_bytes();
            let (mut new_lines, mut rest, mut got) = (NewLines::default(), shown.as_slice(), Vec::new());
            for length in lengths.iter().cycle() {
                let (chunk, more) = rest.split_at((*length).min(rest.len()));
                got.extend_from_slice(&new_lines.take(chunk));
                rest = more;
                if rest.is_empty() {
                    break;
                }
            }
            got.extend_from_slice(&new_lines.finish());
            prop_assert_eq!(String::from_utf8(got).expect("UTF-8"), text);
        }
    }
}

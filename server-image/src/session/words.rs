//! The words of a command in an image that has no shell to split it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;

/// What a POSIX shell would do something with, outside of quotes.
const OPERATORS: &[u8] = b"|&;<>()$`\n*?[{}";
/// And where a word begins.
const PREFIXES: &[u8] = b"#~!";
/// And between double quotes.
const EXPANSIONS: &[u8] = b"$`!";

/// Splits a command whose words a shell would leave as they are, once unquoted. `None` when it needs a shell: an operator, an
/// expansion, a pattern, an assignment, or a quote that does not end.
pub(super) fn split(command: &[u8]) -> Option<Vec<OsString>> {
    let (mut words, mut word): (Vec<OsString>, Option<Vec<u8>>) = (Vec::new(), None);
    let mut bytes = command.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b' ' | b'\t' => words.extend(word.take().map(OsString::from_vec)),
            b'\'' => {
                let word = word.get_or_insert_default();
                loop {
                    match bytes.next()? {
                        b'\'' => break,
                        quoted => word.push(quoted),
                    }
                }
            }
            b'"' => double_quoted(&mut bytes, word.get_or_insert_default())?,
            b'\\' => word.get_or_insert_default().push(bytes.next().filter(|escaped| *escaped != b'\n')?),
            b'=' if words.is_empty() => return None,
            prefix if word.is_none() && PREFIXES.contains(&prefix) => return None,
            operator if OPERATORS.contains(&operator) => return None,
            plain => word.get_or_insert_default().push(plain),
        }
    }
    words.extend(word.map(OsString::from_vec));
    Some(words)
}

fn double_quoted(bytes: &mut impl Iterator<Item = u8>, word: &mut Vec<u8>) -> Option<()> {
    loop {
        match bytes.next()? {
            b'"' => return Some(()),
            b'\\' => match bytes.next()? {
                escaped @ (b'"' | b'\\' | b'$' | b'`') => word.push(escaped),
                b'\n' => {}
                other => word.extend([b'\\', other]),
            },
            expansion if EXPANSIONS.contains(&expansion) => return None,
            plain => word.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        for command in [
            "a b  c",
            "'it'\\''s' \"two words\" plain",
            "x '' \"\" y",
            "\\$HOME a\\ b \"\\$x \\n\"",
            "run --set=a --to=50% %s a#b a~b a! '$(x)' '*'",
            "'\n' é",
        ] {
            let shell = Command::new("/bin/sh").arg("-c").arg(format!("printf '%s\\0' {command}")).output();
            let expected = shell.expect("a shell").stdout;
            let words = split(command.as_bytes()).expect(command);
            let ours: Vec<u8> = words.into_iter().flat_map(|word| [word.into_vec(), vec![0]].concat()).collect();
            assert_eq!(ours, expected, "{command}");
        }
    }

    #[test]
    fn what_needs_a_shell_is_not_guessed() {
        for command in [
            "a | b",
            "a; b",
            "a &",
            "echo $HOME",
            "\"$x\"",
            "`x`",
            "ls *.rs",
            "A=1 b",
            "'open",
            "\"open",
            "a\\",
            "a > b",
            "~/x",
            "# x",
            "a\nb",
        ] {
            assert_eq!(split(command.as_bytes()), None, "{command:?}");
        }
        assert_eq!(split(b"  "), Some(Vec::new()));
    }
}

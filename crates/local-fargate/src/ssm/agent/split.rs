//! A command taken apart as agents do it in containers: by Google's `shlex` for Go, whose rules are not quite those of shells.

/// Where in the command we are.
#[derive(Clone, Copy)]
enum Place {
    Between,
    Comment,
    Word,
    /// Behind a `\` outside of quotes.
    Escaped,
    Single,
    Double,
    /// Behind a `\` within `"..."`: it goes, whatever stands behind it, which shells do for five characters alone.
    DoubleEscaped,
}

/// The words of a command.
///
/// # Errors
/// What `shlex` says of an end within quotes or behind a `\` (google/shlex, `shlex.go`, which amazon-ssm-agent calls in
/// `agent/session/shell/shell_unix.go`).
pub(super) fn split(command: &str) -> Result<Vec<String>, &'static str> {
    let (mut words, mut word, mut place) = (Vec::new(), String::new(), Place::Between);
    for c in command.chars() {
        place = match (place, c) {
            (Place::Between, ' ' | '\t' | '\r' | '\n') | (Place::Comment, '\n') => Place::Between,
            (Place::Comment, _) | (Place::Between, '#') => Place::Comment,
            (Place::Word, ' ' | '\t' | '\r' | '\n') => {
                words.push(std::mem::take(&mut word));
                Place::Between
            }
            (Place::Between | Place::Word, '\'') => Place::Single,
            (Place::Between | Place::Word, '"') => Place::Double,
            (Place::Between | Place::Word, '\\') => Place::Escaped,
            (Place::Double, '\\') => Place::DoubleEscaped,
            (Place::Single, '\'') | (Place::Double, '"') => Place::Word,
            (within, c) => {
                word.push(c);
                match within {
                    Place::Single => Place::Single,
                    Place::Double | Place::DoubleEscaped => Place::Double,
                    _ => Place::Word,
                }
            }
        };
    }
    match place {
        Place::Between | Place::Comment => Ok(words),
        Place::Word => {
            words.push(word);
            Ok(words)
        }
        Place::Escaped | Place::DoubleEscaped => Err("EOF found after escape character"),
        Place::Single | Place::Double => Err("EOF found when expecting closing quote"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_shlex_for_go() {
        for (command, words) in [
            ("ls 'a b'; x", &["ls", "a b;", "x"][..]),
            ("a''b \"\" c#d # e\nf", &["ab", "", "c#d", "f"]),
            // Here shells keep the backslash, and there they take the line feed with it.
            (r#""\n\$""#, &["n$"]),
            ("a\\\nb größe", &["a\nb", "größe"]),
            (" \t\r\n", &[]),
        ] {
            assert_eq!(
                split(command).as_deref(),
                Ok(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>()[..])
            );
        }
    }

    #[test]
    fn an_end_in_between_is_told() {
        for command in ["'a", "\"a", "a\"b"] {
            assert_eq!(split(command), Err("EOF found when expecting closing quote"), "{command}");
        }
        for command in ["a\\", "\"a\\"] {
            assert_eq!(split(command), Err("EOF found after escape character"), "{command}");
        }
    }
}

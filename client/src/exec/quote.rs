//! Words on one line, as the agent takes them apart again.
//!
//! `ecs:ExecuteCommand` has one text for the command. In a container the agent splits it with Google's `shlex` for Go and starts the first
//! word without a shell (amazon-ssm-agent, `shell_unix.go`): blanks separate words, `'...'` is literal, `\` outside of quotes makes the
//! next character literal, `#` at the beginning of a word starts a comment, and nothing else has a meaning.

/// Characters that need no quotes anywhere.
const PLAIN: &str = "-_./=:,@%+";

/// One line that the agent splits into exactly these words.
pub(super) fn line<'a>(words: impl IntoIterator<Item = &'a str>) -> String {
    words.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

fn word(text: &str) -> String {
    if !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || PLAIN.contains(c)) {
        return text.to_owned();
    }
    // Within single quotes everything stands for itself but the quote, which stands outside of them.
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The agent's rules, written from their description: `None` where it would complain.
    pub(in crate::exec) fn split(line: &str) -> Option<Vec<String>> {
        let (mut words, mut word, mut chars) = (Vec::new(), None::<String>, line.chars());
        while let Some(c) = chars.next() {
            match c {
                ' ' | '\t' | '\r' | '\n' => words.extend(word.take()),
                '#' if word.is_none() => drop(chars.by_ref().find(|c| *c == '\n')),
                '\'' => {
                    let word = word.get_or_insert_default();
                    loop {
                        match chars.next()? {
                            '\'' => break,
                            c => word.push(c),
                        }
                    }
                }
                '"' => {
                    let word = word.get_or_insert_default();
                    loop {
                        match chars.next()? {
                            '"' => break,
                            '\\' => word.push(chars.next()?),
                            c => word.push(c),
                        }
                    }
                }
                '\\' => word.get_or_insert_default().push(chars.next()?),
                c => word.get_or_insert_default().push(c),
            }
        }
        words.extend(word);
        Some(words)
    }

    #[test]
    fn odd_words_are_quoted_and_others_are_left_readable() {
        assert_eq!(line(["ls", "-l", "/tmp/a_b"]), "ls -l /tmp/a_b");
        assert_eq!(
            line(["echo", "", "it's", "$HOME #", "a\nb"]),
            r"echo '' 'it'\''s' '$HOME #' 'a
b'"
        );
    }

    proptest! {
        #[test]
        fn the_agent_gets_the_words_back(words in proptest::collection::vec("\\PC*|[ -~\n\t\r'\"\\\\#$]*", 1..6)) {
            let line = line(words.iter().map(String::as_str));
            prop_assert_eq!(split(&line), Some(words.clone()));
            // Shells have other rules for `"`, and the same ones for what we write.
            prop_assert_eq!(shlex::split(&line), Some(words));
        }
    }
}

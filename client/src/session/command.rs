//! What to run, as the one string that SSH can carry (RFC 4254, section 6.5).

use super::SessionError;
use crate::options::RemoteCommand;

/// The string for an `exec` request; `None` asks for the login shell.
///
/// # Errors
/// [`SessionError::NulInCommand`]: no program's argument can hold that byte.
pub fn line(command: &RemoteCommand) -> Result<Option<String>, SessionError> {
    let line = match command {
        RemoteCommand::Shell => return Ok(None),
        RemoteCommand::Argv(words) if words.is_empty() => return Ok(None),
        RemoteCommand::Argv(words) => words.iter().map(|word| quote(word)).collect::<Vec<_>>().join(" "),
        RemoteCommand::ShellCommand(line) => line.clone(),
    };
    if line.contains('\0') { Err(SessionError::NulInCommand) } else { Ok(Some(line)) }
}

/// A word that a POSIX shell reads back exactly (POSIX, Shell Command Language, 2.2.2): nothing within single quotes has a
/// meaning. Words that need none are quoted as well, since an unquoted `time` or `if` is not a program.
fn quote(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// A path for a line of the remote shell: like [`quote`], of any bytes.
pub(crate) fn quote_bytes(word: &[u8]) -> Vec<u8> {
    let quoted = word.split(|byte| *byte == b'\'').collect::<Vec<_>>().join(&br"'\''"[..]);
    [b"'", quoted.as_slice(), b"'"].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn argv(words: &[&str]) -> RemoteCommand {
        RemoteCommand::Argv(words.iter().map(|word| (*word).to_owned()).collect())
    }

    #[test]
    fn a_shell_gives_every_word_to_the_program_as_it_was() {
        let words = [
            "a b",
            "it's",
            "",
            "'",
            "\\",
            "\\'",
            "\"",
            "$HOME",
            "`id`",
            "$(id)",
            "*",
            "?",
            "~",
            "#",
            "!",
            "&&",
            ";",
            "|",
            ">",
            "<",
            "=",
            "A=b",
            "-n",
            "--",
            "line\nline",
            "\ntrailing\n",
            "\t",
            "über ☃ 字",
            "{a,b}",
            "[ab]",
            "%s",
            "\u{7f}",
            "if",
            "\u{1b}[31m",
        ];
        let command = argv(&[&["sh", "-c", r#"for w; do printf '%s\0' "$w"; done"#, "sh"], &words[..]].concat());
        let line = line(&command).expect("no NUL").expect("a command");
        let output = Command::new("/bin/sh").arg("-c").arg(&line).output().expect("a shell");
        let seen = String::from_utf8(output.stdout).expect("UTF-8");
        assert_eq!(seen.split_terminator('\0').collect::<Vec<_>>(), words);
        assert!(output.stderr.is_empty(), "{:?}", output.stderr);
    }

    #[test]
    fn the_first_word_is_a_program_even_if_the_shell_has_a_meaning_for_it() {
        let line = line(&argv(&["if"])).expect("no NUL").expect("a command");
        let output = Command::new("/bin/sh").arg("-c").arg(&line).output().expect("a shell");
        assert_eq!(output.status.code(), Some(127), "not found rather than a syntax error");
    }

    #[test]
    fn a_line_for_the_shell_is_left_alone_and_no_command_is_the_login_shell() {
        let shell_line = RemoteCommand::ShellCommand("echo $HOME | wc -c".to_owned());
        assert_eq!(line(&shell_line).expect("no NUL").as_deref(), Some("echo $HOME | wc -c"));
        assert_eq!(line(&RemoteCommand::Shell).expect("no NUL"), None);
        assert_eq!(line(&argv(&[])).expect("no NUL"), None);
    }

    #[test]
    fn nul_is_refused() {
        assert!(matches!(line(&argv(&["a\0b"])), Err(SessionError::NulInCommand)));
    }
}

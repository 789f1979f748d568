//! The question which container is meant, put to the person at the terminal.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};

use super::candidate::{Candidate, candidate};
use super::error::DeriveError;
use crate::aws::describe_task_definition::TaskDefinition;
use crate::ui::Ui;

/// More than anybody types for a name; bounds what is read of a line.
const MAX_LINE: u64 = 1024;
/// Answers that are no answer, after which it is not asked again.
const ATTEMPTS: usize = 3;

/// Name of the container that becomes the console. Asks when several could be meant and somebody sits at a terminal.
///
/// # Errors
/// [`DeriveError::Ambiguous`] when several could be meant and nobody says which; see also `candidate`.
pub async fn choose(definition: &TaskDefinition, name: Option<&str>, ui: &Ui) -> Result<String, DeriveError> {
    let candidates = match candidate(definition, name)? {
        Candidate::One(name) => return Ok(name),
        Candidate::Several(names) => names,
    };
    let answer = match terminal() {
        Some(terminal) => {
            ui.clear();
            let (definition, candidates) = (definition.name(), candidates.clone());
            // Given up when a signal drops this future; the thread then reads for nobody until the program ends.
            let asked = tokio::task::spawn_blocking(move || ask_on(terminal, &definition, &candidates)).await;
            asked.ok().and_then(Result::ok).flatten()
        }
        None => None,
    };
    answer.ok_or(DeriveError::Ambiguous { definition: definition.name(), candidates })
}

/// The terminal of a person who reads our talk and types: somebody else's pipe is not asked.
fn terminal() -> Option<File> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return None;
    }
    OpenOptions::new().read(true).write(true).open("/dev/tty").ok()
}

/// Asks until there is an answer: a number of the list, or a name in it. `None` when there is none.
fn ask_on(mut terminal: File, definition: &str, candidates: &[String]) -> io::Result<Option<String>> {
    let mut answers = BufReader::new(terminal.try_clone()?);
    let mut question = format!("Which container of {definition}?\n");
    for (index, name) in candidates.iter().enumerate() {
        question.push_str(&format!("  {}  {name}\n", index + 1));
    }
    terminal.write_all(question.as_bytes())?;
    for _ in 0..ATTEMPTS {
        write!(terminal, "Number or name: ")?;
        let mut line = String::new();
        if answers.by_ref().take(MAX_LINE).read_line(&mut line)? == 0 {
            break;
        }
        let answer = line.trim();
        let by_number = answer.parse::<usize>().ok().and_then(|number| candidates.get(number.checked_sub(1)?));
        if let Some(name) = candidates.iter().find(|name| *name == answer).or(by_number) {
            return Ok(Some(name.clone()));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use nix::sys::termios::{LocalFlags, SetArg, tcgetattr, tcsetattr};

    use super::*;

    /// What is answered to a person who types these lines, and what they saw.
    fn typed(lines: &str) -> (Option<String>, String) {
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        let (terminal, mut user) = (File::from(pty.slave), File::from(pty.master));
        // The echo of what is typed early would fall anywhere between the lines of the question.
        let mut settings = tcgetattr(&terminal).expect("settings");
        settings.local_flags.remove(LocalFlags::ECHO);
        tcsetattr(&terminal, SetArg::TCSANOW, &settings).expect("settings");
        user.write_all(lines.as_bytes()).expect("typed");
        let candidates = ["web".to_owned(), "nginx".to_owned()];
        let answer = ask_on(terminal.try_clone().expect("a handle"), "shop:3", &candidates).expect("a terminal");
        drop(terminal);
        let mut seen = Vec::new();
        // Linux says EIO at the end of a terminal whose other side is closed; what came before is there.
        let _ = user.read_to_end(&mut seen);
        (answer, String::from_utf8(seen).expect("UTF-8"))
    }

    #[test]
    fn a_number_or_a_name_is_an_answer() {
        let (answer, seen) = typed("2\n");
        assert_eq!(answer.as_deref(), Some("nginx"));
        assert!(seen.contains("Which container of shop:3?\r\n  1  web\r\n  2  nginx\r\nNumber or name: "), "{seen}");
        assert_eq!(typed("web\n").0.as_deref(), Some("web"));
        assert_eq!(typed("3\n0\n1\n").0.as_deref(), Some("web"));
    }

    #[test]
    fn what_is_no_answer_ends_the_asking() {
        assert_eq!(typed("x\n\n-1\n1\n").0, None);
        // ^D on an empty line.
        assert_eq!(typed("\x04").0, None);
    }
}

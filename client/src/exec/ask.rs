//! A choice among several: a numbered list on a terminal, a list of flags elsewhere.

use std::io::{self, IsTerminal as _};
use std::os::fd::AsFd as _;

use crate::error::Advice;
use crate::session::SessionError;
use crate::session::input::Input;
use crate::ui::Ui;

use super::error::ExecError;

/// Rows that are listed where nobody can choose.
const LISTED_MAX: usize = 20;

/// One of several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    /// How it is named on the command line.
    pub(super) flag: String,
    /// What one chooses by.
    pub(super) about: String,
}

/// There are several, and no terminal to ask on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {} {what}: name one", .rows.len())]
pub(super) struct Several {
    /// Such as `tasks of service web`.
    pub(super) what: String,
    pub(super) rows: Vec<Row>,
}

impl Advice for Several {
    fn hints(&self) -> Vec<String> {
        let line = |row: &Row| format!("`{}`: {}", row.flag, row.about);
        let mut lines: Vec<String> = self.rows.iter().take(LISTED_MAX).map(line).collect();
        if self.rows.len() > LISTED_MAX {
            let more = self.rows.len() - LISTED_MAX;
            lines.push(format!("{more} more: `fargate-login tasks` lists them"));
        }
        lines
    }
}

/// The number of the row that is meant: the only one, or the one that the user names. Cancel-safe.
///
/// # Errors
/// [`ExecError::Several`] without a terminal, [`ExecError::NotChosen`] at the end of input.
pub(super) async fn one(ui: &Ui, what: &str, rows: Vec<Row>) -> Result<usize, ExecError> {
    if rows.len() == 1 {
        return Ok(0);
    }
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Err(Several { what: what.to_owned(), rows }.into());
    }
    ui.clear();
    let width = rows.len().to_string().len();
    ui.data(&format!("There are {} {what}:", rows.len()));
    for (number, row) in rows.iter().enumerate() {
        ui.data(&format!("  {:>width$}  {}", number + 1, row.about));
    }
    let stdin = io::stdin().as_fd().try_clone_to_owned().map_err(SessionError::Stdio)?;
    let mut input = Input::open(stdin).map_err(SessionError::Stdio)?;
    loop {
        ui.prompt(&format!("Which one? [1-{}] ", rows.len()));
        let line = input.next().await.map_err(SessionError::Input)?.ok_or(ExecError::NotChosen)?;
        if let Some(number) = number(&line, rows.len()) {
            return Ok(number);
        }
    }
}

/// The row that a line names, counted from 0.
fn number(line: &[u8], rows: usize) -> Option<usize> {
    let number: usize = std::str::from_utf8(line).ok()?.trim().parse().ok()?;
    number.checked_sub(1).filter(|number| *number < rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_the_list_is_a_choice() {
        assert_eq!(
            [&b"1\n"[..], b" 3 \n", b"0\n", b"4\n", b"\n", b"web\n", b"-1\n", b"\xff\n"].map(|line| number(line, 3)),
            [Some(0), Some(2), None, None, None, None, None, None]
        );
    }

    #[test]
    fn a_long_list_is_cut() {
        let row = |number: usize| Row { flag: format!("--task {number}"), about: "RUNNING".to_owned() };
        let several = Several { what: "tasks of service web".to_owned(), rows: (0..23).map(row).collect() };
        assert_eq!(several.to_string(), "there are 23 tasks of service web: name one");
        let hints = several.hints();
        assert_eq!((hints.len(), hints[0].as_str()), (21, "`--task 0`: RUNNING"));
        assert_eq!(hints[20], "3 more: `fargate-login tasks` lists them");
    }
}

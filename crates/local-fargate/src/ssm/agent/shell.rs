//! Sessions with a terminal: a shell, or a command.

use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Order;
use super::talk::{CHUNK, Input, Pace, Talk};
use crate::launcher::{Hold, Program, Second};
use crate::ssm::payload::OUTPUT;

/// The reader sleeps before it reads for the first time.
const FIRST_OUTPUT: Duration = Duration::from_secs(1);
/// Most bytes of a character that may wait for the rest of it.
const CHARACTER: usize = 4;

/// Serves until the terminal is closed: nobody is told how the program ended.
pub(super) async fn serve(order: &Order, command: Option<&str>, talk: &Talk) -> Result<(), String> {
    let argv = argv(command, order.is_container)?;
    let pairs = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let (variables, defaults) = (pairs("TERM", "xterm-256color"), pairs("LANG", "C.UTF-8"));
    let program = Program { argv, variables, defaults, has_terminal: true };
    let started = order.place.start(&program).await;
    let Second { input: mut keys, mut output, hold, .. } =
        started.map_err(|error| format!("Unable to start {}: {error}", program.name()))?;
    let mut inputs = talk.activate();
    let taking = async {
        while let Some(input) = inputs.recv().await {
            match (input, &mut keys) {
                // A terminal that is gone takes no more keys, and its end is told by reading it.
                (Input::Data(data), Some(keys)) => drop(keys.write_all(&data).await),
                (Input::Size(size), _) => resize(&hold, size.cols, size.rows).await,
                _ => {}
            }
        }
    };
    let telling = async {
        tokio::time::sleep(FIRST_OUTPUT).await;
        let (mut buffer, mut pace, mut rest) = (vec![0; CHUNK], Pace::default(), Vec::new());
        while let Ok(read @ 1..) = output.read(&mut buffer).await {
            rest.extend_from_slice(buffer.get(..read).unwrap_or_default());
            let tail = rest.split_off(whole(&rest));
            talk.send_paced(OUTPUT, std::mem::replace(&mut rest, tail).into(), &mut pace).await;
        }
        talk.send(OUTPUT, Bytes::from(rest)).await;
    };
    tokio::select! {
        () = telling => {}
        () = taking => {}
    }
    Ok(())
}

async fn resize(hold: &Hold, columns: u32, rows: u32) {
    let small = |number: u32| u16::try_from(number).unwrap_or(u16::MAX);
    hold.resize(small(columns), small(rows)).await;
}

/// In a container a command is split as a shell would and started without one; elsewhere a shell has it.
pub(super) fn argv(command: Option<&str>, is_container: bool) -> Result<Vec<String>, String> {
    match command {
        None => Ok(vec!["sh".to_owned()]),
        Some(command) if is_container => {
            let words = shlex::split(command).filter(|words| !words.is_empty());
            words.ok_or_else(|| format!("Failed to parse commands input: {command}"))
        }
        Some(command) => Ok(["sh", "-c", command].map(str::to_owned).into()),
    }
}

/// Bytes up to the end of the last whole character; all of them if the last one will not become whole.
fn whole(bytes: &[u8]) -> usize {
    match std::str::from_utf8(bytes) {
        Err(error) if error.error_len().is_none() && bytes.len() - error.valid_up_to() < CHARACTER => {
            error.valid_up_to()
        }
        _ => bytes.len(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_not_cut_in_two_where_that_can_be_helped() {
        let text = "aé€".as_bytes();
        assert_eq!([1, 2, 3, 4, 5, 6].map(|length| whole(&text[..length])), [1, 1, 3, 3, 3, 6]);
        assert_eq!(whole(b"a\xff\xc3"), 3, "not text: it goes as it is");
        assert_eq!(whole(b"a\xff"), 2);
    }

    #[test]
    fn a_command_has_a_shell_outside_of_containers_only() {
        assert_eq!(argv(Some("ls 'a b'; x"), true), Ok(["ls", "a b;", "x"].map(str::to_owned).into()));
        assert_eq!(argv(Some("ls; x"), false), Ok(["sh", "-c", "ls; x"].map(str::to_owned).into()));
        assert!(argv(Some("echo 'a"), true).is_err());
        assert!(argv(Some(""), true).is_err());
    }
}

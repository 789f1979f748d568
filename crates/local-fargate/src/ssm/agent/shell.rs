//! Sessions with a terminal: a shell, or a command.

use std::time::Duration;

use nix::errno::Errno;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::split::split;
use super::talk::{CHUNK, Input, Pace, Talk};
use super::words;
use super::{Agents, Order};
use crate::launcher::{Hold, Program, Second};
use crate::ssm::payload::OUTPUT;

/// The reader sleeps before it reads for the first time.
const FIRST_OUTPUT: Duration = Duration::from_secs(1);
/// So does an agent that could not start its program, before it says so.
const LAST_WORDS_OF_NONE: Duration = Duration::from_secs(2);
/// Longest character: what is not UTF-8 and stands closer to the end than that waits for more.
const CHARACTER: usize = 4;

/// Serves until the terminal is closed: nobody is told how the program ended.
pub(super) async fn serve(order: &Order, command: Option<&str>, talk: &Talk, agents: &Agents) -> Result<(), String> {
    let Second { input: mut keys, mut output, hold, .. } = match start(order, command, agents).await {
        Ok(started) => started,
        Err(why) => {
            tokio::time::sleep(LAST_WORDS_OF_NONE).await;
            return Err(words::titled(&format!("Unable to start command: {why}\n\n")));
        }
    };
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
            let (told, dealt_with) = legible(&rest);
            rest.drain(..dealt_with);
            talk.send_paced(OUTPUT, told.into(), &mut pace).await;
        }
        // What waits for more is lost now.
    };
    tokio::select! {
        () = telling => {}
        () = taking => {}
    }
    Ok(())
}

async fn start(order: &Order, command: Option<&str>, agents: &Agents) -> Result<Second, String> {
    let argv = argv(command, order.is_container)?;
    let pairs = |name: &str, value: &str| vec![(name.to_owned(), value.to_owned())];
    let (variables, defaults) = (pairs("TERM", "xterm-256color"), pairs("LANG", "C.UTF-8"));
    let program = Program { argv, variables, defaults, has_terminal: true };
    let is_lacking = agents.lacking.iter().any(|name| name == program.name());
    let started =
        if is_lacking && order.is_container { Err(Errno::ENOENT.into()) } else { order.place.start(&program).await };
    started.map_err(|error| format!("Failed to start pty: {}", words::of_start(program.name(), &error)))
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
            let words = split(command).map_err(|error| format!("Failed to parse commands input: {error}"))?;
            // The real one dies of that, and the session with it.
            if words.is_empty() { Err("there are no words".to_owned()) } else { Ok(words) }
        }
        Some(command) => Ok(["sh", "-c", command].map(str::to_owned).into()),
    }
}

/// What of these bytes goes out now, and how many are dealt with by that. After amazon-ssm-agent, `agent/session/shell/shell.go`
/// (processStdoutData): a byte that is not UTF-8 goes out as it is, unless so little stands behind it that it may be the beginning
/// of a character. U+FFFD, which is also how Go says that there is no character, is taken for such a byte, and the two behind
/// it are left out.
fn legible(bytes: &[u8]) -> (Vec<u8>, usize) {
    let (mut told, mut at) = (Vec::with_capacity(bytes.len()), 0);
    for chunk in bytes.utf8_chunks() {
        let characters = chunk.valid().char_indices().map(|(_, c)| (c.len_utf8(), c != char::REPLACEMENT_CHARACTER));
        for (length, is_legible) in characters.chain(chunk.invalid().iter().map(|_| (1, false))) {
            if !is_legible && bytes.len() - at < CHARACTER {
                return (told, at);
            }
            let goes_out = if is_legible { length } else { 1 };
            told.extend_from_slice(bytes.get(at..at + goes_out).unwrap_or_default());
            at += length;
        }
    }
    (told, at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_utf_8_waits_at_the_end_and_goes_out_before_it() {
        let text = "aé€".as_bytes();
        assert_eq!([1, 2, 3, 4, 5, 6].map(|length| legible(&text[..length]).1), [1, 1, 3, 3, 3, 6]);
        assert_eq!(legible(b"a\xffbc"), (b"a".to_vec(), 1), "three bytes may yet be a character");
        assert_eq!(legible(b"a\xffbcd"), (b"a\xffbcd".to_vec(), 5));
        assert_eq!(legible(b"\xe2\x82abc\xc3"), (b"\xe2\x82abc".to_vec(), 5));
    }

    #[test]
    fn the_replacement_character_loses_two_of_its_bytes() {
        assert_eq!(legible("a\u{fffd}bc".as_bytes()), (b"a\xefbc".to_vec(), 6));
        assert_eq!(legible("a\u{fffd}".as_bytes()), (b"a".to_vec(), 1));
    }

    #[test]
    fn a_command_has_a_shell_outside_of_containers_only() {
        assert_eq!(argv(Some("ls 'a b'; x"), true), Ok(["ls", "a b;", "x"].map(str::to_owned).into()));
        assert_eq!(argv(Some("ls; x"), false), Ok(["sh", "-c", "ls; x"].map(str::to_owned).into()));
        assert!(argv(Some("echo 'a"), true).is_err());
        assert!(argv(Some(""), true).is_err());
    }
}

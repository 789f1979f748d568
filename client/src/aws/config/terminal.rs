//! The question for an MFA code, on the controlling terminal, with the answer hidden.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};

use nix::sys::termios::{LocalFlags, SetArg, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

/// Digits in a code, as STS demands.
const CODE_DIGITS: usize = 6;
/// More than anybody types for a code; bounds what is read of a line.
const MAX_LINE: u64 = 128;

/// The current code of an MFA device: six digits. Never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct MfaCode(Zeroizing<String>);

impl MfaCode {
    /// Reads a code; spaces, which some devices show between the digits, do not count.
    ///
    /// # Errors
    /// [`CodeError::NotACode`] for anything but six digits.
    pub fn parse(text: &str) -> Result<Self, CodeError> {
        let digits: Zeroizing<String> = Zeroizing::new(text.chars().filter(|c| !c.is_whitespace()).collect());
        if digits.len() == CODE_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit()) {
            Ok(Self(digits))
        } else {
            Err(CodeError::NotACode)
        }
    }

    pub(super) fn digits(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for MfaCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MfaCode(..)")
    }
}

/// Why there is no code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// Nobody can be asked.
    #[error("there is no terminal to ask on")]
    NoTerminal,
    /// The answer is not six digits.
    #[error("an MFA code has six digits")]
    NotACode,
    /// The terminal failed.
    #[error("the terminal failed: {0}")]
    Terminal(String),
}

/// Asks on the controlling terminal, wherever standard input and output go.
///
/// Dropping the future gives the terminal its echo back; a thread that still waits for the line then reads it for
/// nobody, which only matters to a program that goes on to read the terminal itself.
///
/// # Errors
/// [`CodeError`].
pub async fn ask_on_terminal(serial: &str) -> Result<MfaCode, CodeError> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| CodeError::NoTerminal)?;
    ask_on(terminal, serial).await
}

async fn ask_on(mut terminal: File, serial: &str) -> Result<MfaCode, CodeError> {
    let reader = terminal.try_clone().map_err(failed)?;
    let _hidden = Hidden::on(terminal.try_clone().map_err(failed)?)?;
    write!(terminal, "Enter MFA code for {serial}: ").map_err(failed)?;
    let line = tokio::task::spawn_blocking(move || line(reader)).await;
    let line = line.map_err(|error| failed(io::Error::other(error)))?;
    // The line feed that ended the answer was not echoed.
    writeln!(terminal).map_err(failed)?;
    MfaCode::parse(&line.map_err(failed)?)
}

fn line(terminal: File) -> io::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    BufReader::new(terminal.take(MAX_LINE)).read_line(&mut line)?;
    Ok(line)
}

fn failed(error: io::Error) -> CodeError {
    CodeError::Terminal(error.to_string())
}

/// A terminal without echo, until dropped.
struct Hidden {
    terminal: File,
    before: Termios,
}

impl Hidden {
    fn on(terminal: File) -> Result<Self, CodeError> {
        let before = tcgetattr(&terminal).map_err(|error| failed(error.into()))?;
        let mut hidden = before.clone();
        hidden.local_flags.remove(LocalFlags::ECHO | LocalFlags::ECHONL);
        hidden.local_flags.insert(LocalFlags::ICANON | LocalFlags::ISIG);
        // What was typed before the question is not the answer to it.
        tcsetattr(&terminal, SetArg::TCSAFLUSH, &hidden).map_err(|error| failed(error.into()))?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = tcsetattr(&self.terminal, SetArg::TCSANOW, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_six_digits_and_never_shown() {
        let code = MfaCode::parse(" 123 456\n").expect("a code");
        assert_eq!(code.digits(), "123456");
        assert_eq!(format!("{code:?}"), "MfaCode(..)");
        for text in ["", "12345", "1234567", "12345a", "\u{661}23456"] {
            assert_eq!(MfaCode::parse(text), Err(CodeError::NotACode), "{text}");
        }
    }
    /// A terminal, and the user at its other end.
    fn terminal() -> (File, File) {
        let pty = nix::pty::openpty(None, None).expect("a terminal");
        (File::from(pty.slave), File::from(pty.master))
    }

    fn handle(terminal: &File) -> File {
        terminal.try_clone().expect("a handle")
    }

    fn echoes(terminal: &File) -> bool {
        tcgetattr(terminal).expect("settings").local_flags.contains(LocalFlags::ECHO)
    }

    async fn reads<const N: usize>(user: &File) -> [u8; N] {
        let mut user = handle(user);
        let read = tokio::task::spawn_blocking(move || {
            let mut seen = [0; N];
            user.read_exact(&mut seen).map(|()| seen)
        });
        read.await.expect("no panic").expect("bytes")
    }

    const QUESTION: &[u8; 25] = b"Enter MFA code for alice: ".first_chunk().expect("long enough");

    #[tokio::test]
    async fn the_answer_is_hidden_and_the_echo_comes_back() {
        let (terminal, mut user) = terminal();
        let asked = tokio::spawn(ask_on(handle(&terminal), "alice"));
        assert_eq!(&reads(&user).await, QUESTION);
        assert!(!echoes(&terminal));
        user.write_all(b"123456\n").expect("typed");
        assert_eq!(asked.await.expect("no panic").expect("a code").digits(), "123456");
        assert!(echoes(&terminal));
        assert_eq!(&reads(&user).await, b" \r\n", "the answer must not be echoed");
    }

    #[tokio::test]
    async fn a_question_that_is_given_up_gives_the_echo_back() {
        let (terminal, user) = terminal();
        let asked = tokio::spawn(ask_on(handle(&terminal), "alice"));
        assert_eq!(&reads(&user).await, QUESTION);
        assert!(!echoes(&terminal));
        asked.abort();
        assert!(asked.await.expect_err("given up").is_cancelled());
        assert!(echoes(&terminal));
        // The end of the terminal ends the thread that still reads it.
        drop(user);
    }
}

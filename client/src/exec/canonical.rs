//! Bytes as they are typed to a terminal that reads line by line, so that they arrive as they are, and their end as an end of file.
//!
//! Only a terminal in canonical mode has an end of file: `^D` hands on what was typed since the last line, and with nothing typed, reading
//! yields nothing, which is the end. `^V` takes the meaning off the next character (termios(3)). A terminal holds 4095 bytes that nobody has
//! taken, and drops what goes beyond that on a single line.

/// VEOF as terminals have it at first.
pub(super) const END_OF_FILE: u8 = 0x04;
/// VLNEXT.
const LITERAL_NEXT: u8 = 0x16;
/// VSTART, which does nothing when output is not stopped. A pseudo-terminal that was full may forget to go on when it was read empty, until
/// something is typed (seen with Linux 6.18, in most transfers of 300 kB while both ends were busy).
pub(super) const NUDGE: u8 = 0x11;
/// Bytes after which those typed so far are handed on: with a `^V` for each they are no more than half of what a terminal holds.
const LINE: usize = 1000;
/// Less than this fits into the terminal whole, with a `^V` for each.
pub(super) const FITS: usize = 2000;

/// What to type for these bytes.
pub(super) fn typed(bytes: &[u8]) -> Vec<u8> {
    let mut typed = Vec::with_capacity(bytes.len() + bytes.len() / 4);
    for line in bytes.chunks(LINE) {
        for byte in line {
            if byte.is_ascii_control() {
                typed.push(LITERAL_NEXT);
            }
            typed.push(*byte);
        }
        typed.push(END_OF_FILE);
    }
    typed
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};

    use super::*;

    /// Types to a real terminal in the wrapper's mode, and reads at its other side until the end of the file.
    fn through_a_terminal(bytes: &[u8]) -> Vec<u8> {
        let pty = nix::pty::openpty(None, None).expect("a pseudo-terminal");
        let mut modes = nix::sys::termios::tcgetattr(&pty.slave).expect("modes");
        modes.local_flags.remove(nix::sys::termios::LocalFlags::ECHO);
        nix::sys::termios::tcsetattr(&pty.slave, nix::sys::termios::SetArg::TCSANOW, &modes).expect("modes");
        let mut keys = typed(bytes);
        keys.push(END_OF_FILE);
        let (mut master, mut slave) = (std::fs::File::from(pty.master), std::fs::File::from(pty.slave));
        let typist = std::thread::spawn(move || master.write_all(&keys).map(|()| master));
        let (mut read, mut buffer) = (Vec::new(), [0; 8192]);
        loop {
            match slave.read(&mut buffer).expect("a terminal") {
                0 => break,
                count => read.extend_from_slice(&buffer[..count]),
            }
        }
        drop(typist.join().expect("no panic").expect("typed"));
        read
    }

    #[test]
    fn every_byte_arrives_and_so_does_the_end() {
        let all: Vec<u8> = (0..=255).collect();
        for bytes in [&b""[..], b"a", b"\x04", b"line\n\n", &all, &all.repeat(6)[..LINE], &[0x16; FITS - 1]] {
            assert_eq!(through_a_terminal(bytes), bytes);
        }
    }
}

//! The terminal's settings in SSH's encoding (RFC 4254, section 8; IUTF8 from RFC 8160).

use russh::Pty;
use rustix::termios::{ControlModes, InputModes, LocalModes, OutputModes, SpecialCodeIndex, Termios};

/// A special character that is switched off: `_POSIX_VDISABLE` here, 255 in SSH (RFC 4254, section 8).
const DISABLED: (u8, u32) = (0, 255);
/// Speed told when there is no terminal to ask, as `ssh` does.
const DEFAULT_SPEED: u32 = 9600;

const CHARACTERS: [(Pty, SpecialCodeIndex); 13] = [
    (Pty::VINTR, SpecialCodeIndex::VINTR),
    (Pty::VQUIT, SpecialCodeIndex::VQUIT),
    (Pty::VERASE, SpecialCodeIndex::VERASE),
    (Pty::VKILL, SpecialCodeIndex::VKILL),
    (Pty::VEOF, SpecialCodeIndex::VEOF),
    (Pty::VEOL, SpecialCodeIndex::VEOL),
    (Pty::VEOL2, SpecialCodeIndex::VEOL2),
    (Pty::VSTART, SpecialCodeIndex::VSTART),
    (Pty::VSTOP, SpecialCodeIndex::VSTOP),
    (Pty::VSUSP, SpecialCodeIndex::VSUSP),
    (Pty::VREPRINT, SpecialCodeIndex::VREPRINT),
    (Pty::VWERASE, SpecialCodeIndex::VWERASE),
    (Pty::VLNEXT, SpecialCodeIndex::VLNEXT),
];

const INPUT: [(Pty, InputModes); 11] = [
    (Pty::IGNPAR, InputModes::IGNPAR),
    (Pty::PARMRK, InputModes::PARMRK),
    (Pty::INPCK, InputModes::INPCK),
    (Pty::ISTRIP, InputModes::ISTRIP),
    (Pty::INLCR, InputModes::INLCR),
    (Pty::IGNCR, InputModes::IGNCR),
    (Pty::ICRNL, InputModes::ICRNL),
    (Pty::IXON, InputModes::IXON),
    (Pty::IXANY, InputModes::IXANY),
    (Pty::IXOFF, InputModes::IXOFF),
    (Pty::IMAXBEL, InputModes::IMAXBEL),
];

const LOCAL: [(Pty, LocalModes); 11] = [
    (Pty::ISIG, LocalModes::ISIG),
    (Pty::ICANON, LocalModes::ICANON),
    (Pty::ECHO, LocalModes::ECHO),
    (Pty::ECHOE, LocalModes::ECHOE),
    (Pty::ECHOK, LocalModes::ECHOK),
    (Pty::ECHONL, LocalModes::ECHONL),
    (Pty::NOFLSH, LocalModes::NOFLSH),
    (Pty::TOSTOP, LocalModes::TOSTOP),
    (Pty::IEXTEN, LocalModes::IEXTEN),
    (Pty::ECHOCTL, LocalModes::ECHOCTL),
    (Pty::ECHOKE, LocalModes::ECHOKE),
];

const OUTPUT: [(Pty, OutputModes); 5] = [
    (Pty::OPOST, OutputModes::OPOST),
    (Pty::ONLCR, OutputModes::ONLCR),
    (Pty::OCRNL, OutputModes::OCRNL),
    (Pty::ONOCR, OutputModes::ONOCR),
    (Pty::ONLRET, OutputModes::ONLRET),
];

/// Every setting that both sides know; only the speeds when there is no terminal.
#[must_use]
pub fn encode(settings: Option<&Termios>) -> Vec<(Pty, u32)> {
    let Some(settings) = settings else {
        return vec![(Pty::TTY_OP_ISPEED, DEFAULT_SPEED), (Pty::TTY_OP_OSPEED, DEFAULT_SPEED)];
    };
    let character = |index| match settings.special_codes[index] {
        code if code == DISABLED.0 => DISABLED.1,
        code => u32::from(code),
    };
    let control = settings.control_modes;
    let mut modes: Vec<(Pty, u32)> = CHARACTERS.map(|(opcode, index)| (opcode, character(index))).into();
    modes.extend(INPUT.map(|(opcode, flag)| (opcode, u32::from(settings.input_modes.contains(flag)))));
    #[cfg(target_os = "linux")]
    modes.push((Pty::IUTF8, u32::from(settings.input_modes.contains(InputModes::IUTF8))));
    modes.extend(LOCAL.map(|(opcode, flag)| (opcode, u32::from(settings.local_modes.contains(flag)))));
    modes.extend(OUTPUT.map(|(opcode, flag)| (opcode, u32::from(settings.output_modes.contains(flag)))));
    // Both sizes share a mask, so the flags cannot be told apart by `contains`.
    modes.push((Pty::CS7, u32::from(control & ControlModes::CSIZE == ControlModes::CS7)));
    modes.push((Pty::CS8, u32::from(control & ControlModes::CSIZE == ControlModes::CS8)));
    modes.push((Pty::PARENB, u32::from(control.contains(ControlModes::PARENB))));
    modes.push((Pty::PARODD, u32::from(control.contains(ControlModes::PARODD))));
    modes.push((Pty::TTY_OP_ISPEED, settings.input_speed()));
    modes.push((Pty::TTY_OP_OSPEED, settings.output_speed()));
    modes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// `Pty` does not hash; its number on the wire does.
    fn by_opcode(modes: Vec<(Pty, u32)>) -> HashMap<u8, u32> {
        let count = modes.len();
        let map: HashMap<_, _> = modes.into_iter().map(|(opcode, value)| (opcode as u8, value)).collect();
        assert_eq!(map.len(), count, "an opcode came twice");
        map
    }

    #[test]
    fn the_settings_of_a_new_terminal_are_told_as_they_are() {
        let pty = nix::pty::openpty(None, None).expect("a pseudo-terminal");
        let mut settings = rustix::termios::tcgetattr(&pty.slave).expect("a terminal");
        settings.special_codes[SpecialCodeIndex::VQUIT] = 0;
        settings.local_modes.remove(LocalModes::ECHO);
        settings.set_speed(38400).expect("a speed");
        let modes = by_opcode(encode(Some(&settings)));
        for (opcode, value) in [
            (Pty::VINTR, 3),
            (Pty::VQUIT, 255),
            (Pty::VERASE, 127),
            (Pty::VEOF, 4),
            (Pty::VSUSP, 26),
            (Pty::ICANON, 1),
            (Pty::ISIG, 1),
            (Pty::ECHO, 0),
            (Pty::ICRNL, 1),
            (Pty::IXON, 1),
            (Pty::OPOST, 1),
            (Pty::ONLCR, 1),
            (Pty::CS7, 0),
            (Pty::CS8, 1),
            (Pty::TTY_OP_ISPEED, 38400),
            (Pty::TTY_OP_OSPEED, 38400),
        ] {
            assert_eq!(modes.get(&(opcode as u8)), Some(&value), "{opcode:?}");
        }
        assert!(modes.contains_key(&(Pty::IUTF8 as u8)));
    }

    #[test]
    fn without_a_terminal_only_a_speed_is_told() {
        assert_eq!(by_opcode(encode(None)), HashMap::from([(128, 9600), (129, 9600)]));
    }
}

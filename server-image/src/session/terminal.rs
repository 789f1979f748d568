//! A session's pseudo-terminal: its size, its modes, its bytes.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::sys::termios::{
    ControlFlags, InputFlags, LocalFlags, OutputFlags, SetArg, SpecialCharacterIndices as Special, Termios, tcgetattr,
    tcsetattr,
};
use nix::unistd::Uid;
use russh::Pty;
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::sys;

/// A control character that is switched off (RFC 4254, section 8); on Linux that is character 0.
const NO_CHARACTER: u32 = 255;

/// The size of a terminal's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowSize(Winsize);

impl WindowSize {
    /// Columns and rows, then pixels; what a kernel cannot express is as large as it can.
    pub(crate) fn new(columns: u32, rows: u32, width: u32, height: u32) -> Self {
        let short = |number| u16::try_from(number).unwrap_or(u16::MAX);
        Self(Winsize { ws_row: short(rows), ws_col: short(columns), ws_xpixel: short(width), ws_ypixel: short(height) })
    }

    pub(super) const fn columns(self) -> u16 {
        self.0.ws_col
    }

    pub(super) const fn rows(self) -> u16 {
        self.0.ws_row
    }
}

/// A `pty-req` (RFC 4254, section 6.2).
#[derive(Debug)]
pub(crate) struct TerminalRequest {
    pub(crate) term: String,
    pub(crate) size: WindowSize,
    pub(crate) modes: Vec<(Pty, u32)>,
}

/// Our end of a pseudo-terminal.
#[derive(Debug)]
pub(super) struct Terminal {
    master: AsyncFd<OwnedFd>,
    path: PathBuf,
}

impl Terminal {
    /// Opens a terminal as requested; also the process's end. `owner` is its user, where that is not ours.
    pub(super) fn open(request: &TerminalRequest, owner: Option<Uid>) -> io::Result<(Self, OwnedFd)> {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags)?;
        grantpt(&master)?;
        unlockpt(&master)?;
        let path = PathBuf::from(OsStr::from_bytes(ptsname(&master, Vec::new())?.as_bytes()));
        let slave = ioctl_tiocgptpeer(&master, flags)?;
        nix::unistd::fchown(&slave, owner, None)?;
        let mut modes = tcgetattr(&slave)?;
        request.modes.iter().for_each(|(mode, value)| apply(&mut modes, *mode, *value));
        tcsetattr(&slave, SetArg::TCSANOW, &modes)?;
        tcsetwinsize(&master, request.size.0)?;
        rustix::io::ioctl_fionbio(&master, true)?;
        Ok((Self { master: sys::watch(master)?, path }, slave))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the size; the kernel tells the foreground process group.
    pub(super) fn resize(&self, size: WindowSize) {
        // A terminal that hung up has no size.
        let _ = tcsetwinsize(self.master.get_ref().as_fd(), size.0);
    }

    pub(super) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.master.async_io(Interest::READABLE, |master| Ok(rustix::io::read(master, &mut *buffer)?)).await
    }

    pub(super) async fn write_all(&self, mut data: &[u8]) -> io::Result<()> {
        while !data.is_empty() {
            let written =
                self.master.async_io(Interest::WRITABLE, |master| Ok(rustix::io::write(master, data)?)).await?;
            data = &data[written..];
        }
        Ok(())
    }
}

/// Applies one encoded mode (RFC 4254, section 8). Speeds and modes that Linux has not are passed over.
fn apply(modes: &mut Termios, mode: Pty, value: u32) {
    if let Some(index) = special(mode) {
        let character = if value == NO_CHARACTER { 0 } else { u8::try_from(value).unwrap_or(0) };
        modes.control_chars[index as usize] = character;
        return;
    }
    let on = value != 0;
    if let Some(flag) = input_flag(mode) {
        modes.input_flags.set(flag, on);
    } else if let Some(flag) = local_flag(mode) {
        modes.local_flags.set(flag, on);
    } else if let Some(flag) = output_flag(mode) {
        modes.output_flags.set(flag, on);
    } else {
        match mode {
            Pty::CS7 if on => modes.control_flags = (modes.control_flags - ControlFlags::CSIZE) | ControlFlags::CS7,
            Pty::CS8 if on => modes.control_flags = (modes.control_flags - ControlFlags::CSIZE) | ControlFlags::CS8,
            Pty::PARENB => modes.control_flags.set(ControlFlags::PARENB, on),
            Pty::PARODD => modes.control_flags.set(ControlFlags::PARODD, on),
            _ => {}
        }
    }
}

const fn special(mode: Pty) -> Option<Special> {
    Some(match mode {
        Pty::VINTR => Special::VINTR,
        Pty::VQUIT => Special::VQUIT,
        Pty::VERASE => Special::VERASE,
        Pty::VKILL => Special::VKILL,
        Pty::VEOF => Special::VEOF,
        Pty::VEOL => Special::VEOL,
        Pty::VEOL2 => Special::VEOL2,
        Pty::VSTART => Special::VSTART,
        Pty::VSTOP => Special::VSTOP,
        Pty::VSUSP => Special::VSUSP,
        Pty::VREPRINT => Special::VREPRINT,
        Pty::VWERASE => Special::VWERASE,
        Pty::VLNEXT => Special::VLNEXT,
        Pty::VDISCARD => Special::VDISCARD,
        _ => return None,
    })
}

const fn input_flag(mode: Pty) -> Option<InputFlags> {
    Some(match mode {
        Pty::IGNPAR => InputFlags::IGNPAR,
        Pty::PARMRK => InputFlags::PARMRK,
        Pty::INPCK => InputFlags::INPCK,
        Pty::ISTRIP => InputFlags::ISTRIP,
        Pty::INLCR => InputFlags::INLCR,
        Pty::IGNCR => InputFlags::IGNCR,
        Pty::ICRNL => InputFlags::ICRNL,
        Pty::IXON => InputFlags::IXON,
        Pty::IXANY => InputFlags::IXANY,
        Pty::IXOFF => InputFlags::IXOFF,
        Pty::IMAXBEL => InputFlags::IMAXBEL,
        Pty::IUTF8 => InputFlags::IUTF8,
        _ => return None,
    })
}

const fn local_flag(mode: Pty) -> Option<LocalFlags> {
    Some(match mode {
        Pty::ISIG => LocalFlags::ISIG,
        Pty::ICANON => LocalFlags::ICANON,
        Pty::ECHO => LocalFlags::ECHO,
        Pty::ECHOE => LocalFlags::ECHOE,
        Pty::ECHOK => LocalFlags::ECHOK,
        Pty::ECHONL => LocalFlags::ECHONL,
        Pty::NOFLSH => LocalFlags::NOFLSH,
        Pty::TOSTOP => LocalFlags::TOSTOP,
        Pty::IEXTEN => LocalFlags::IEXTEN,
        Pty::ECHOCTL => LocalFlags::ECHOCTL,
        Pty::ECHOKE => LocalFlags::ECHOKE,
        Pty::PENDIN => LocalFlags::PENDIN,
        _ => return None,
    })
}

const fn output_flag(mode: Pty) -> Option<OutputFlags> {
    Some(match mode {
        Pty::OPOST => OutputFlags::OPOST,
        Pty::OLCUC => OutputFlags::OLCUC,
        Pty::ONLCR => OutputFlags::ONLCR,
        Pty::OCRNL => OutputFlags::OCRNL,
        Pty::ONOCR => OutputFlags::ONOCR,
        Pty::ONLRET => OutputFlags::ONLRET,
        _ => return None,
    })
}

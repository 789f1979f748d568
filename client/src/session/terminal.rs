//! The user's terminal: raw while a session is interactive, and as it was on every way out.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::{Mutex, Once, TryLockError};

use rustix::process::getpgrp;
use rustix::termios::{OptionalActions, Termios, Winsize, isatty, tcgetattr, tcgetpgrp, tcgetwinsize, tcsetattr};

/// What the terminal goes back to. One for the process: there is one terminal.
static SAVED: Mutex<Option<Saved>> = Mutex::new(None);
/// For remotes that are asked for a terminal when we have none: the size that every program copes with.
const NO_TERMINAL: Winsize = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };

struct Saved {
    fd: OwnedFd,
    settings: Termios,
}

/// Puts the terminal back as it was, if a session has made it raw. For whoever leaves without unwinding: takes no lock that
/// it would have to wait for, and allocates nothing.
pub fn restore() {
    let saved = match SAVED.try_lock() {
        Ok(mut saved) => saved.take(),
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner().take(),
        // Somebody is at it this very moment.
        Err(TryLockError::WouldBlock) => None,
    };
    if let Some(saved) = saved {
        set(saved.fd.as_fd(), &saved.settings);
    }
}

/// Whether a session has made the terminal raw.
#[must_use]
pub fn is_raw() -> bool {
    SAVED.lock().unwrap_or_else(std::sync::PoisonError::into_inner).is_some()
}

/// A terminal and its settings when we met it.
#[derive(Debug)]
pub struct Terminal {
    fd: OwnedFd,
    settings: Termios,
}

impl Terminal {
    /// The terminal behind a descriptor; `None` when it is something else.
    ///
    /// # Errors
    /// When the process has no descriptors left.
    pub fn of(fd: BorrowedFd<'_>) -> io::Result<Option<Self>> {
        if !isatty(fd) {
            return Ok(None);
        }
        let fd = fd.try_clone_to_owned()?;
        Ok(tcgetattr(&fd).ok().map(|settings| Self { fd, settings }))
    }

    /// Its settings when we met it.
    #[must_use]
    pub fn settings(&self) -> &Termios {
        &self.settings
    }

    /// Makes it raw until the guard is dropped, the process panics or [`restore`] is called.
    #[must_use]
    pub fn into_raw(self) -> RawMode {
        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            let told = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                told(panic);
            }));
        });
        let raw = RawMode(self);
        raw.enter();
        raw
    }
}

/// Size of a terminal now; 24 by 80 when there is none.
#[must_use]
pub fn size(terminal: Option<&Terminal>) -> Winsize {
    terminal.and_then(|terminal| tcgetwinsize(&terminal.fd).ok()).unwrap_or(NO_TERMINAL)
}

/// A terminal in raw mode.
#[derive(Debug)]
pub struct RawMode(Terminal);

impl RawMode {
    /// The terminal, for its size.
    #[must_use]
    pub fn terminal(&self) -> &Terminal {
        &self.0
    }

    /// Whether we may read it and change it: in the background either would stop the process (SIGTTIN, SIGTTOU), and with
    /// it the cleanup.
    #[must_use]
    pub fn in_foreground(&self) -> bool {
        in_foreground(self.0.fd.as_fd())
    }

    /// Makes it raw again after [`restore`]. Does nothing in the background.
    pub fn enter(&self) {
        if !self.in_foreground() {
            return;
        }
        // Without a duplicate nothing could be restored: then the terminal rather stays as it is.
        let Ok(fd) = self.0.fd.try_clone() else { return };
        let saved = Saved { fd, settings: self.0.settings.clone() };
        *SAVED.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(saved);
        let mut raw = self.0.settings.clone();
        raw.make_raw();
        set(self.0.fd.as_fd(), &raw);
    }

    /// Stops the process with a terminal as the shell knows it; returns when it is continued. Whether it is continued in
    /// the foreground is for SIGCONT to tell.
    ///
    /// # Errors
    /// When the signal cannot be raised.
    pub fn suspend(&self) -> io::Result<()> {
        restore();
        let raised = nix::sys::signal::raise(nix::sys::signal::Signal::SIGTSTP);
        self.enter();
        Ok(raised?)
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        restore();
    }
}

/// Changes settings if that cannot stop us. A terminal that is gone needs no settings.
fn set(fd: BorrowedFd<'_>, settings: &Termios) {
    if in_foreground(fd) {
        let _ = tcsetattr(fd, OptionalActions::Now, settings);
    }
}

/// A terminal that is not our controlling one has no foreground that could exclude us.
fn in_foreground(fd: BorrowedFd<'_>) -> bool {
    tcgetpgrp(fd).map_or(true, |group| group == getpgrp())
}

/// There is one [`SAVED`]: tests that make a terminal raw take turns.
#[cfg(test)]
pub(crate) static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::termios::{InputModes, LocalModes, OutputModes};

    fn is_raw(fd: &OwnedFd) -> bool {
        let now = tcgetattr(fd).expect("a terminal");
        let cooked = [
            now.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG),
            now.input_modes.intersects(InputModes::ICRNL | InputModes::IXON),
            now.output_modes.contains(OutputModes::OPOST),
        ];
        assert!(cooked.iter().all(|flag| *flag == cooked[0]), "half-way: {cooked:?}");
        !cooked[0]
    }

    #[tokio::test]
    async fn the_terminal_is_restored_on_every_way_out() {
        let _turn = TURN.lock().await;
        let pty = nix::pty::openpty(None, None).expect("a pseudo-terminal");
        let open = || Terminal::of(pty.slave.as_fd()).expect("a descriptor").expect("a terminal");
        assert!(!is_raw(&pty.slave));

        let raw = open().into_raw();
        assert!(is_raw(&pty.slave));
        drop(raw);
        assert!(!is_raw(&pty.slave), "dropped");

        let raw = open().into_raw();
        restore();
        assert!(!is_raw(&pty.slave), "restored by name");
        raw.enter();
        assert!(is_raw(&pty.slave), "and entered again");
        drop(raw);
        assert!(!is_raw(&pty.slave));

        let raw = open().into_raw();
        let panicked = std::thread::spawn(move || {
            std::mem::forget(raw);
            panic!("a panic that the test wants");
        });
        assert!(panicked.join().is_err());
        assert!(!is_raw(&pty.slave), "panicked without unwinding through the guard");
    }

    #[test]
    fn sizes_come_from_the_terminal() {
        let size_wanted = nix::pty::Winsize { ws_row: 30, ws_col: 100, ws_xpixel: 800, ws_ypixel: 600 };
        let pty = nix::pty::openpty(Some(&size_wanted), None).expect("a pseudo-terminal");
        let terminal = Terminal::of(pty.slave.as_fd()).expect("a descriptor").expect("a terminal");
        let seen = size(Some(&terminal));
        assert_eq!((seen.ws_row, seen.ws_col, seen.ws_xpixel, seen.ws_ypixel), (30, 100, 800, 600));
        assert_eq!(size(None).ws_col, 80);
        let (reader, _writer) = io::pipe().expect("a pipe");
        assert!(Terminal::of(reader.as_fd()).expect("a descriptor").is_none());
    }
}

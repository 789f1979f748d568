//! A pseudo-terminal with the program in it, as a user sits before it: types, reads, resizes, looks at the modes.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::termios::{LocalFlags, Termios, tcgetattr};
use nix::unistd::Pid;
use pty_process::Size;
use pty_process::blocking::{Command, Pty, open};

use crate::program::Program;
use crate::world::PATIENCE;

/// How often an ended program is looked for while its terminal is silent.
const LOOK: Duration = Duration::from_millis(50);

/// The user's side of a terminal.
pub struct Terminal {
    pty: Pty,
    child: Child,
    shown: Vec<u8>,
    seen: usize,
    before: Termios,
}

impl Terminal {
    /// Starts the program as the foreground process of a new terminal of 80 x 24.
    ///
    /// # Panics
    /// When there is no terminal to be had.
    #[must_use]
    pub fn start(program: &Program) -> Self {
        let (pty, pts) = open().expect("a pseudo-terminal");
        pty.resize(Size::new(24, 80)).expect("a size");
        let before = tcgetattr(&pty).expect("terminal modes");
        let (executable, args, env) = program.parts();
        let command = Command::new(executable).args(args).env_clear().envs(env.iter().cloned());
        let child = command.spawn(pts).expect("the program starts");
        Self { pty, child, shown: Vec::new(), seen: 0, before }
    }

    /// Types.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn send(&mut self, keys: &str) {
        self.pty.write_all(keys.as_bytes()).expect("the terminal takes keys");
    }

    /// Reads until the screen shows these words after everything expected before.
    ///
    /// # Panics
    /// When the program ends, or nothing comes, before they are shown.
    pub fn expect(&mut self, words: &str) {
        let (began, mut from) = (Instant::now(), self.seen);
        loop {
            let unseen = self.shown.get(from..).unwrap_or_default();
            if let Some(at) = find(unseen, words.as_bytes()) {
                self.seen = from + at + words.len();
                return;
            }
            // They may have come in part.
            from = from.max((self.shown.len() + 1).saturating_sub(words.len()));
            let more = self.read(LOOK);
            let over = !more && (self.child.try_wait().expect("a child").is_some() || began.elapsed() > PATIENCE);
            assert!(!over, "{words:?} is not shown; the screen shows:\n{}", self.screen());
        }
    }

    /// Reads until a shell's prompt is shown: `$` for a user, `#` for root.
    ///
    /// # Panics
    /// As [`Terminal::expect`].
    pub fn expect_prompt(&mut self) {
        self.expect(if nix::unistd::geteuid().is_root() { "# " } else { "$ " });
    }

    /// Everything shown so far.
    #[must_use]
    pub fn screen(&self) -> String {
        String::from_utf8_lossy(&self.shown).into_owned()
    }

    /// Changes the terminal's size; the kernel sends SIGWINCH.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn resize(&self, rows: u16, columns: u16) {
        self.pty.resize(Size::new(rows, columns)).expect("a size");
    }

    /// Process id of the program.
    ///
    /// # Panics
    /// Never: process ids are small.
    #[must_use]
    pub fn pid(&self) -> Pid {
        // Linux process ids fit in 22 bits.
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Whether the program has switched the terminal to raw mode.
    ///
    /// # Panics
    /// When the terminal is gone.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        let now = tcgetattr(&self.pty).expect("terminal modes");
        !now.local_flags.intersects(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG)
    }

    /// Whether the modes are those from before the program.
    ///
    /// # Panics
    /// When the terminal is gone.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        tcgetattr(&self.pty).expect("terminal modes") == self.before
    }

    /// Waits for the program's end; returns its exit status and reads what it still said.
    ///
    /// # Panics
    /// When it does not end.
    pub fn wait(&mut self) -> i32 {
        let began = Instant::now();
        loop {
            self.read(LOOK);
            if let Some(status) = self.child.try_wait().expect("a child") {
                while self.read(Duration::ZERO) {}
                return code(status);
            }
            assert!(began.elapsed() < PATIENCE, "the program does not end; the screen shows:\n{}", self.screen());
        }
    }

    /// Closes the terminal, as a window that is closed: the kernel hangs up on who runs in it. Returns the program's exit status.
    ///
    /// # Panics
    /// When it does not end.
    pub fn close(mut self) -> i32 {
        // Another one takes its place: nothing runs in that.
        let (idle, _pts) = open().expect("a pseudo-terminal");
        drop(std::mem::replace(&mut self.pty, idle));
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("a child") {
                return code(status);
            }
            assert!(began.elapsed() < PATIENCE, "the program does not end");
            std::thread::sleep(LOOK);
        }
    }

    /// Reads what comes within the time; whether anything came.
    fn read(&mut self, within: Duration) -> bool {
        let mut ready = [PollFd::new(self.pty.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(within).expect("a short time");
        if poll(&mut ready, timeout).expect("poll") == 0 {
            return false;
        }
        let mut buffer = [0; 4096];
        // EIO is the end: nobody holds the other side any more.
        let read = self.pty.read(&mut buffer).unwrap_or(0);
        self.shown.extend(buffer.get(..read).unwrap_or_default());
        read > 0
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // Already ended in every test that passes.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    // A process that has ended did so by exiting or by a signal.
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).expect("an ended process")
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

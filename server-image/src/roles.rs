//! One binary, several roles: `init` is PID 1 and waits, `serve` is its only direct child and speaks SSH or has it spoken,
//! `session` stands between OpenSSH's server and a shell, `sftp` works on files for a client. `install` copies the binary and ends.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use crate::log::{Event, Log};
use crate::openssh::attendant;
use crate::{init, install, serve, sftp};

/// The word that chooses the role of PID 1; also the role for words that mean nothing to us.
const INIT: &str = "init";
/// Copies the executable into the directory behind it.
const INSTALL: &str = "install";
/// The word that chooses the role of the SSH server. It and the next are only ours to say, so no image's CMD may hit them.
pub(crate) const SERVE: &str = "role:serve";
/// Follows [`SERVE`] when the whole machine is our container, so that files below `/etc` are ours to write.
pub(crate) const CONTAINER: &str = "container";
/// The word that chooses the role of a session's attendant; the path of the desk follows.
pub(crate) const SESSION: &str = "role:session";

/// The word that chooses the role of a session's file server.
pub(crate) const SFTP: &str = "role:sftp";

/// Exit code for a grant that lets nobody in, and for an engine that the image does not have.
pub const REFUSED: u8 = 2;

/// Runs one role to its end. `role` is what follows the program's name; `self_args` are the words that lead an executable which
/// embeds this crate back to this call, without the role: they stand before it when we start the same executable again.
///
/// Words that choose no role are what ECS and Docker append to an entry point: the CMD of an image that was made for another
/// program. They are passed over, with a line in the log, and the role is `init`.
///
/// To be called first in `main`, before any thread exists: it overwrites the process's environment and blocks signals.
///
/// Exit codes: those of [`crate::lifetime::Ending::code`], [`REFUSED`], and 1 when the server could not be started at all or
/// the executable not be installed.
#[must_use]
pub fn run(role: &[OsString], self_args: &[&str]) -> ExitCode {
    let words: Vec<_> = role.iter().map(|word| word.to_str()).collect();
    match words[..] {
        [] | [Some(INIT)] => init::run(self_args),
        [Some(SERVE)] => serve::run(false, self_args),
        [Some(SERVE), Some(CONTAINER)] => serve::run(true, self_args),
        [Some(SESSION), _] => attendant::run(&role[1]),
        [Some(SFTP)] => sftp::run(),
        [Some(INSTALL), _] => install::run(Path::new(&role[1])),
        [Some("--version")] => {
            let told = writeln!(std::io::stdout(), "fargate-init {}", env!("CARGO_PKG_VERSION"));
            ExitCode::from(u8::from(told.is_err()))
        }
        _ => {
            // How many, not which: a CMD may hold a secret.
            Log::to_stdout(None).write(&Event::WordsIgnored { count: role.len() });
            init::run(self_args)
        }
    }
}

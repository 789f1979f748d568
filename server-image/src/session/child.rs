//! Starting a session's process: its shell, its arguments, its directory, its standard streams.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use nix::fcntl::{FcntlArg, fcntl};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use super::output::Outputs;
use super::stdin::Stdin;
use super::terminal::{Terminal, TerminalRequest};
use super::words;
use super::{Program, SFTP};
use crate::accounts::{SHELLS, User, is_executable};
use crate::environment::{self, Variables};
use crate::init::own_executable;
use crate::roles;
use crate::serve::Server;
use crate::sftp::report::Reports;
use crate::sys::{self, SessionChild};

/// What shells answer when a program does not exist, and when it cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

/// Bytes that a program's pipes hold: with less, program and connection wait for each other's turn at each packet. All that one user has
/// open may hold 64 MiB (pipe(7)), and this leaves room for a hundred programs.
const PIPE: i32 = 256 * 1024;

/// Bytes that a file server's pipes hold: as many as the system lets everybody have (pipe(7)).
const SFTP_PIPE: i32 = 1024 * 1024;

/// Why a session's process could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum SpawnError {
    /// The image has no shell to log in to.
    #[error(
        "this image has no shell (looked for {}): it takes only a command that is one program with its arguments",
        looked_for(shell)
    )]
    NoShell {
        /// The user's, which is not there.
        shell: PathBuf,
    },
    /// The image has no shell, and the command needs one.
    #[error(
        "this image has no shell (looked for {}), which the command's quoting or operators need",
        looked_for(shell)
    )]
    NoShellFor {
        /// The user's, which is not there.
        shell: PathBuf,
    },
    /// The image has neither a shell nor the program.
    #[error("{}: not found, and this image has no shell", program.display())]
    NoProgram {
        /// The command's first word.
        program: PathBuf,
    },
    /// The system refused.
    #[error("{} cannot be run: {source}", program.display())]
    Refused {
        /// The path that was tried.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no terminal to be had.
    #[error("no terminal can be opened: {0}")]
    Terminal(#[source] io::Error),
}

impl SpawnError {
    pub(super) const fn code(&self) -> u8 {
        match self {
            Self::NoShell { .. } | Self::NoShellFor { .. } | Self::NoProgram { .. } => NOT_FOUND,
            Self::Refused { .. } | Self::Terminal(_) => NOT_RUN,
        }
    }
}

/// A process with our ends of its streams.
pub(super) struct Spawned {
    pub(super) child: Child,
    /// Its process group and session.
    pub(super) group: Pid,
    pub(super) stdin: Stdin,
    pub(super) outputs: Outputs,
    pub(super) terminal: Option<Arc<Terminal>>,
}

/// Starts the user's shell with `program`, or the program itself in an image without a shell, or our file server. `environment`
/// answers the variables, given TERM and the terminal's path.
pub(super) fn spawn(
    user: &User,
    program: Program,
    terminal: Option<TerminalRequest>,
    environment: impl Fn(Option<(&str, &Path)>) -> Variables,
    server: &Server,
    session: u64,
) -> Result<Spawned, SpawnError> {
    let is_sftp = matches!(program, Program::Sftp);
    let mut command = command(user, program, &server.self_args)?;
    command.current_dir(environment::start_directory(&user.home));
    command.env_clear();
    let identity = user.identity.clone();
    let opened = terminal
        .map(|request| {
            let owner = identity.as_ref().map(|identity| identity.uid);
            let (terminal, slave) = Terminal::open(&request, owner).map_err(SpawnError::Terminal)?;
            command.envs(environment(Some((&request.term, terminal.path()))));
            attach(&mut command, &slave).map_err(SpawnError::Terminal)?;
            Ok(Arc::new(terminal))
        })
        .transpose()?;
    if opened.is_none() {
        command.envs(environment(None));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    }
    sys::prepare_session(
        &mut command,
        SessionChild { terminal: opened.is_some(), identity, core_limit: server.core_limit },
    );
    let program = PathBuf::from(command.as_std().get_program());
    // Drops the command: our copy of the terminal's other end would keep it from ever hanging up.
    let mut child = server.spawner.spawn(command).map_err(|source| refused(&program, source))?;
    let group = child.id().and_then(|pid| i32::try_from(pid).ok()).map(Pid::from_raw);
    let gone = || SpawnError::Refused { program: user.shell.clone(), source: io::ErrorKind::Other.into() };
    let group = group.ok_or_else(gone)?;
    let (stdin, outputs) = match &opened {
        Some(terminal) => (Stdin::Terminal(Arc::clone(terminal)), Outputs::Terminal(Arc::clone(terminal))),
        None => {
            let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
            let room = if is_sftp { SFTP_PIPE } else { PIPE };
            widen(stdin.as_ref(), room);
            widen(stdout.as_ref(), room);
            let outputs = match stderr {
                Some(pipe) if is_sftp => {
                    Outputs::Sftp { stdout, reports: Reports { pipe, log: server.log.clone(), session } }
                }
                stderr => Outputs::Pipes { stdout, stderr },
            };
            (Stdin::Pipe(stdin), outputs)
        }
    };
    Ok(Spawned { child, group, stdin, outputs, terminal: opened })
}

/// The name that a shell is called by; a leading dash is how it knows that it is a login shell.
pub(crate) fn name_of(shell: &Path, login: bool) -> OsString {
    let mut name = OsString::from(if login { "-" } else { "" });
    name.push(shell.file_name().unwrap_or(shell.as_os_str()));
    name
}

fn attach(command: &mut Command, slave: &OwnedFd) -> io::Result<()> {
    let stream = || slave.try_clone().map(File::from).map(Stdio::from);
    command.stdin(stream()?).stdout(stream()?).stderr(stream()?);
    Ok(())
}

/// Lets a pipe hold this many bytes, where the system has room for that.
fn widen(pipe: Option<&impl AsFd>, room: i32) {
    let _ = pipe.map(|pipe| fcntl(pipe, FcntlArg::F_SETPIPE_SZ(room)));
}

fn command(user: &User, program: Program, self_args: &[String]) -> Result<Command, SpawnError> {
    let no_shell = !is_executable(&user.shell);
    match program {
        Program::Sftp => {
            let own = own_executable().map_err(|source| refused(Path::new(SFTP), source))?;
            let mut command = Command::new(own);
            command.args(self_args).arg(roles::SFTP);
            Ok(command)
        }
        Program::Shell if no_shell => Err(SpawnError::NoShell { shell: user.shell.clone() }),
        Program::Command(text) if no_shell => {
            let words = words::split(&text).ok_or_else(|| SpawnError::NoShellFor { shell: user.shell.clone() })?;
            let (program, arguments) =
                words.split_first().ok_or_else(|| SpawnError::NoShell { shell: user.shell.clone() })?;
            let mut command = Command::new(program);
            command.args(arguments);
            Ok(command)
        }
        Program::Shell => {
            let mut command = Command::new(&user.shell);
            command.arg0(name_of(&user.shell, true));
            Ok(command)
        }
        Program::Command(text) => {
            let mut command = Command::new(&user.shell);
            command.arg0(name_of(&user.shell, false)).arg("-c").arg(OsString::from_vec(text));
            Ok(command)
        }
    }
}

fn refused(program: &Path, source: io::Error) -> SpawnError {
    // A script's missing interpreter says the same: look. A word without a slash was looked for along the PATH.
    if source.kind() == io::ErrorKind::NotFound && !program.exists() {
        SpawnError::NoProgram { program: program.to_owned() }
    } else {
        SpawnError::Refused { program: program.to_owned(), source }
    }
}

fn looked_for(shell: &Path) -> String {
    let mut all = vec![shell.display().to_string()];
    all.extend(SHELLS.iter().filter(|other| shell != Path::new(other)).map(|other| (*other).to_owned()));
    all.join(", ")
}

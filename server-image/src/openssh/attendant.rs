//! The role `session`: sshd's forced command. It fetches the container's environment, runs the user's shell with it, and ends
//! as the shell ended. Synchronous, one thread; it lives as long as the session's process and holds none of its bytes.

use std::ffi::{OsStr, OsString};
use std::io::{self, BufRead as _, BufReader, IsTerminal as _, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::sshd::SFTP_SERVERS;
use super::wire::{self, Hello, Kind, LINE_MAX, STOP, Welcome};
use crate::environment::{Variables, client_may_set};
use crate::log::text_of_command;
use crate::serve::SESSION_GRACE;
use crate::session::{KILLED, Outcome, STOPPING, name_of};
use crate::sys::{self, SessionChild};

/// Exit code for failures of our own, as OpenSSH's.
const FAILED: u8 = 255;
/// What shells answer when a program does not exist, and when it cannot be run.
const NOT_FOUND: u8 = 127;
const NOT_RUN: u8 = 126;

/// The shell when sshd names none.
const DEFAULT_SHELL: &str = "/bin/sh";

/// Where sshd puts what the client asked for.
const ORIGINAL_COMMAND: &str = "SSH_ORIGINAL_COMMAND";

/// Variables of the shell that ran us, and sshd's default path: the container's own counts.
const NOT_THE_LOGINS: [&str; 6] = [ORIGINAL_COMMAND, "PATH", "SHLVL", "PWD", "OLDPWD", "_"];

/// Time that the desk has to take our report: it is the same machine.
const REPORT: Duration = Duration::from_secs(1);

/// Runs the role to its end; `desk` is the path of the desk's socket.
pub(crate) fn run(desk: &OsStr) -> ExitCode {
    let attended = Session::begin(Path::new(desk)).map(Session::attend);
    let (outcome, session) = match attended {
        Ok(ended) => ended,
        Err(error) => {
            say(&format!("fargate-login: the session cannot begin: {error}"));
            return ExitCode::from(FAILED);
        }
    };
    session.report(outcome);
    match outcome {
        Outcome::Signaled { number, .. } => sys::die_of(number),
        Outcome::Exited(_) | Outcome::Unknown => {}
    }
    ExitCode::from(outcome.code())
}

struct Session {
    desk: BufReader<UnixStream>,
    signals: SignalFd,
    /// The session's process and process group; an error that the client has been told of.
    started: Result<Pid, u8>,
    /// We were asked to end, or nobody is there to ask us.
    hung_up: bool,
}

impl Session {
    fn begin(desk: &Path) -> io::Result<Self> {
        // Before the terminal is given up, which sends us a SIGHUP of its own.
        let mut blocked = SigSet::all();
        blocked.remove(Signal::SIGSEGV);
        blocked.remove(Signal::SIGABRT);
        blocked.thread_set_mask()?;
        let signals = SignalFd::with_flags(&blocked, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let mut desk = BufReader::new(UnixStream::connect(desk)?);
        let command = std::env::var_os(ORIGINAL_COMMAND);
        let terminal = std::env::var_os("SSH_TTY").is_some() && io::stdin().is_terminal();
        let hello = Hello {
            kind: kind(command.as_deref()),
            command: command.as_ref().map(|command| text_of_command(command.as_bytes()).into_owned()),
            command_bytes: command.as_ref().map_or(0, |command| command.len()),
            terminal,
        };
        send(&mut desk, &hello)?;
        let (welcome, container) = receive(&mut desk)?;
        if let Some(directory) = &welcome.directory {
            // A directory that this user may not enter is none: sshd has us start at home.
            let _ = std::env::set_current_dir(directory);
        }
        let environment = merged(container, std::env::vars_os());
        if terminal {
            sys::leave_terminal();
        }
        let started = start(command.as_deref(), environment, terminal, welcome.core_limit);
        Ok(Self { desk, signals, started, hung_up: false })
    }

    /// Waits for the process's end, and sees to it when the session has to end.
    fn attend(mut self) -> (Outcome, Self) {
        let pid = match self.started {
            Ok(pid) => pid,
            Err(code) => return (Outcome::Exited(code), self),
        };
        let mut kill_at = None;
        loop {
            if let Some(outcome) = ended(pid) {
                return (outcome, self);
            }
            if self.hung_up && kill_at.is_none() {
                // The terminal hangs up by itself; whoever shares the process group has to be told.
                let _ = killpg(pid, Signal::SIGHUP).and_then(|()| killpg(pid, Signal::SIGCONT));
                kill_at = Some(Instant::now() + SESSION_GRACE - KILLED);
            }
            let left = kill_at.map(|at| at.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                let _ = killpg(pid, Signal::SIGKILL);
                kill_at = kill_at.map(|at| at + KILLED);
            }
            self.await_event(left);
        }
    }

    fn await_event(&mut self, left: Option<Duration>) {
        // Rounded up: a wait that ends early would only spin.
        let left = left.map(|left| PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX));
        let socket = self.desk.get_ref();
        let mut watched = [
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(socket.as_fd(), if self.hung_up { PollFlags::empty() } else { PollFlags::POLLIN }),
        ];
        let polled = poll(&mut watched[..if self.hung_up { 1 } else { 2 }], left.unwrap_or(PollTimeout::NONE));
        let asked = polled.is_ok() && watched[1].any().unwrap_or(false) && !self.hung_up;
        if asked {
            let mut byte = [0];
            if matches!(self.desk.read(&mut byte), Ok(1..)) && byte[0] == STOP {
                say(STOPPING);
            }
            self.hung_up = true;
        }
        while let Ok(Some(info)) = self.signals.read_signal() {
            let signal = i32::try_from(info.ssi_signo).ok();
            self.hung_up |= signal.is_some_and(|signal| signal == Signal::SIGTERM as i32);
        }
    }

    /// Tells the desk, and waits until it knows: the container's exit code must not miss this session's.
    fn report(mut self, outcome: Outcome) {
        // A desk that has gone takes no reports; then nothing of ours is left but this session.
        let _ = send(&mut self.desk, &outcome);
        let _ = self.desk.get_ref().set_read_timeout(Some(REPORT));
        let mut taken = [0];
        while matches!(self.desk.read(&mut taken), Ok(1..)) && taken[0] != wire::TAKEN {}
    }
}

fn kind(command: Option<&OsStr>) -> Kind {
    match command {
        None => Kind::Shell,
        Some(command) if SFTP_SERVERS.iter().any(|server| command == *server) => Kind::Subsystem,
        Some(_) => Kind::Exec,
    }
}

fn send(desk: &mut BufReader<UnixStream>, message: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    desk.get_mut().write_all(&line)
}

fn receive(desk: &mut BufReader<UnixStream>) -> io::Result<(Welcome, Variables)> {
    let mut line = Vec::new();
    desk.by_ref().take(LINE_MAX).read_until(b'\n', &mut line)?;
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "this login is not known to the container's init"));
    }
    let welcome: Welcome = serde_json::from_slice(&line)?;
    let mut records = vec![0; welcome.environment_bytes];
    desk.read_exact(&mut records)?;
    Ok((welcome, wire::decode(&records)))
}

/// The container's environment under the login's: what sshd fixes and what the client sent.
fn merged(container: Variables, login: impl Iterator<Item = (OsString, OsString)>) -> Variables {
    let mut variables = container;
    let path = |variables: &Variables| variables.iter().any(|(name, _)| name == "PATH");
    for (name, value) in login {
        let of_the_container =
            NOT_THE_LOGINS.iter().any(|other| name == *other) && (name != "PATH" || path(&variables));
        if of_the_container || !name.to_str().is_some_and(client_may_set) {
            continue;
        }
        variables.retain(|(known, _)| *known != name);
        variables.push((name, value));
    }
    variables
}

/// Starts the shell: as a login shell, or with the command. `Err` is the exit code of a session that did not start.
fn start(command: Option<&OsStr>, environment: Variables, terminal: bool, core_limit: (u64, u64)) -> Result<Pid, u8> {
    let named = environment.iter().find(|(name, _)| name == "SHELL").map(|(_, value)| PathBuf::from(value));
    let shell = named.filter(|shell| !shell.as_os_str().is_empty()).unwrap_or_else(|| DEFAULT_SHELL.into());
    let mut process = Command::new(&shell);
    process.arg0(name_of(&shell, command.is_none()));
    if let Some(text) = command {
        process.arg("-c").arg(OsStr::from_bytes(text.as_bytes()));
    }
    process.env_clear().envs(environment);
    sys::prepare_attended(&mut process, SessionChild { terminal, identity: None, core_limit });
    match process.spawn() {
        Ok(child) => Ok(Pid::from_raw(child.id().cast_signed())),
        Err(error) => {
            say(&format!("fargate-login: {} cannot be run: {error}", shell.display()));
            Err(if error.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_RUN })
        }
    }
}

fn ended(pid: Pid) -> Option<Outcome> {
    match waitpid(pid, Some(WaitPidFlag::WNOHANG)) {
        Ok(WaitStatus::Exited(_, code)) => Some(Outcome::Exited(u8::try_from(code).unwrap_or(FAILED))),
        Ok(WaitStatus::Signaled(_, signal, core_dumped)) => {
            Some(Outcome::Signaled { number: signal as i32, core_dumped })
        }
        Ok(_) | Err(Errno::EINTR) => None,
        // A real-time signal, which nix has no name for, or a child that somebody else reaped.
        Err(_) => Some(Outcome::Unknown),
    }
}

/// One line of ours, on the terminal where the client has nothing else.
fn say(line: &str) {
    let mut stderr = io::stderr().lock();
    // Nobody to say it to is no reason to stay.
    let _ = if stderr.is_terminal() { write!(stderr, "\r\n{line}\r\n") } else { writeln!(stderr, "{line}") };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_login_wins_but_for_the_path() {
        let pair = |name: &str, value: &str| (OsString::from(name), OsString::from(value));
        let container = vec![pair("PATH", "/image/bin"), pair("HOME", "/srv"), pair("A", "1"), pair("LD_PRELOAD", "x")];
        let login = [
            pair("PATH", "/usr/bin"),
            pair("HOME", "/root"),
            pair("SSH_ORIGINAL_COMMAND", "env"),
            pair("LC_ALL", "C"),
            pair("LD_PRELOAD", "evil"),
            pair("_", "/bin/sh"),
        ];
        let expected = [pair("PATH", "/image/bin"), pair("A", "1"), pair("LD_PRELOAD", "x")];
        let fixed = [pair("HOME", "/root"), pair("LC_ALL", "C")];
        assert_eq!(merged(container, login.clone().into_iter()), [&expected[..], &fixed[..]].concat());
        assert_eq!(merged(Vec::new(), login.into_iter())[0], pair("PATH", "/usr/bin"));
    }
}

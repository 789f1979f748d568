//! One container: its first process, its home directory, its output, and its end.

mod beside;

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};
use tempfile::TempDir;
use tokio::io::unix::AsyncFd;
use tokio::net::unix::pipe;
use tokio::task::JoinHandle;

use super::spawner::{self, Leader};
use super::{Log, Start, environment, stragglers};
use crate::state::Shared;

pub(crate) use beside::{Beside, Companion};

/// How long the last output of a container is waited for. Its processes are dead by then, so the pipe is closed, unless one
/// escaped: then nobody waits for that one.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// A container's first process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    pid: Pid,
    /// Readable when the process has ended.
    pidfd: AsyncFd<OwnedFd>,
    mark: String,
    logs: Vec<JoinHandle<()>>,
    exit_code: Option<i32>,
    beside: Arc<Beside>,
    // Removed when the container is gone.
    _home: TempDir,
}

/// Starts the container.
pub(super) async fn start(shared: &Arc<Shared>, start: &Start) -> io::Result<Process> {
    let beyond_us = [
        ("health checks", start.definition.health_check.is_some()),
        ("volumes", !start.definition.mount_points.is_empty()),
    ];
    if let Some((what, _)) = beyond_us.into_iter().find(|(_, is_there)| *is_there) {
        return Err(io::Error::other(format!("{what} are played by the Docker launcher only")));
    }
    let image = shared.config.images.iter().find(|known| known.name == start.definition.image);
    let image = image.ok_or(io::ErrorKind::NotFound)?;
    let prefix = format!("{}-{}-", start.task_id, start.definition.name);
    let home = tempfile::Builder::new().prefix(&prefix).tempdir_in(&shared.scratch)?;
    let argv = environment::argv(image, start);
    let (program, arguments) = argv.split_first().ok_or(io::ErrorKind::NotFound)?;
    let variables = environment::variables(shared, image, start, home.path());
    let beside = Arc::new(Beside { variables, directory: home.path().to_owned() });
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(beside.variables.iter().map(|(name, value)| (name, value)))
        .current_dir(home.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = spawner::spawn(command, Leader::OfSession).await?;
    match watch(&mut child, &start.log) {
        Ok((pid, pidfd, logs)) => {
            Ok(Process { child, pid, pidfd, mark: start.mark(shared), logs, exit_code: None, beside, _home: home })
        }
        Err(error) => {
            // It has hardly begun: there is nothing behind it.
            let _ = child.kill().and_then(|()| child.wait());
            Err(error)
        }
    }
}

type Watched = (Pid, AsyncFd<OwnedFd>, Vec<JoinHandle<()>>);

fn watch(child: &mut Child, log: &Log) -> io::Result<Watched> {
    // Process ids fit in 22 bits.
    let pid = Pid::from_raw(i32::try_from(child.id()).map_err(io::Error::other)?);
    let handle = pidfd_open(rustix::process::Pid::from_child(child), PidfdFlags::empty())?;
    let pidfd = crate::sys::readable(handle)?;
    let outputs = [child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from)];
    let mut logs = Vec::new();
    for output in outputs.into_iter().flatten() {
        logs.push(tokio::spawn(log.clone().keep(pipe::Receiver::from_owned_fd(output)?)));
    }
    Ok((pid, pidfd, logs))
}

impl Start {
    /// What marks the processes of this container: the stand-in's mark, then its own.
    pub(super) fn mark(&self, shared: &Shared) -> String {
        format!("{}/{}", shared.mark, self.runtime_id)
    }
}

impl Process {
    /// Process id of the container's first process.
    pub(crate) fn id(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Where further processes of the container run.
    pub(crate) fn beside(&self) -> Arc<Beside> {
        Arc::clone(&self.beside)
    }

    /// Waits for the first process to end, ends all others of the container, and answers the exit code: 128 and the number of the
    /// signal, if one killed it. Cancel-safe, and may be called again.
    pub(crate) async fn wait(&mut self) -> i32 {
        // Fails only without a reactor, that is after the runtime.
        let _ = self.pidfd.readable().await;
        let exit_code = self.bury();
        for log in self.logs.drain(..) {
            // Late words are lost, not waited for.
            let _ = tokio::time::timeout(LAST_WORDS, log).await;
        }
        exit_code
    }

    /// Sends a signal to the first process, as ECS does.
    pub(crate) fn signal(&self, signal: Signal) {
        if self.exit_code.is_none() {
            // Not waited for yet: the number is still its own.
            let _ = kill(self.pid, signal);
        }
    }

    fn bury(&mut self) -> i32 {
        if let Some(exit_code) = self.exit_code {
            return exit_code;
        }
        // Before the first process is waited for, so that its session's number is nobody else's.
        stragglers::end(self.pid, &self.mark);
        let exit_code = self.child.wait().map_or(255, exit_code);
        *self.exit_code.insert(exit_code)
    }
}

impl Drop for Process {
    /// The alarm: a container that nobody waited for, because the stand-in was shut down or its runtime is gone.
    fn drop(&mut self) {
        self.signal(Signal::SIGKILL);
        self.bury();
    }
}

fn exit_code(status: ExitStatus) -> i32 {
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(255)
}

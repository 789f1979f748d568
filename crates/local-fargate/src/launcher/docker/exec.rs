//! A further program in a container of Docker's: `docker exec`, with a terminal or without.

use std::io;

use bollard::Docker;
use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, ResizeExecOptions, StartExecOptions, StartExecResults};
use futures_util::{Stream, StreamExt as _, TryStreamExt as _};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncWriteExt as _, DuplexStream};
use tokio_util::io::StreamReader;

use super::message;
use crate::launcher::second::{Hold, Output, Program, Second};

/// Bytes of standard output and error that wait for their reader.
const BUFFER: usize = 64 * 1024;

/// A container that programs can be started in.
#[derive(Clone, Debug)]
pub(crate) struct Inside {
    docker: Docker,
    container: String,
}

/// A program that was started in a container.
#[derive(Debug)]
pub(crate) struct Exec {
    docker: Docker,
    id: String,
    /// Closed when the output has ended.
    ended: Option<DuplexStream>,
}

impl Inside {
    pub(super) fn new(docker: Docker, container: String) -> Self {
        Self { docker, container }
    }

    pub(in crate::launcher) async fn start(&self, program: &Program) -> io::Result<Second> {
        self.exec(program).await.map_err(|error| io::Error::other(message(&error)))
    }

    async fn exec(&self, program: &Program) -> Result<Second, Error> {
        let has_terminal = program.has_terminal;
        let options = CreateExecOptions {
            attach_stdin: Some(has_terminal),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            tty: Some(has_terminal),
            env: Some(program.variables.iter().map(|(name, value)| format!("{name}={value}")).collect()),
            cmd: Some(program.argv.clone()),
            ..CreateExecOptions::default()
        };
        let id = self.docker.create_exec(&self.container, options).await?.id;
        let options = StartExecOptions { tty: has_terminal, ..StartExecOptions::default() };
        let started = self.docker.start_exec(&id, Some(options)).await?;
        let StartExecResults::Attached { output, input } = started else {
            return Err(Error::IOError { err: io::ErrorKind::NotConnected.into() });
        };
        let mut exec = Exec { docker: self.docker.clone(), id, ended: None };
        if has_terminal {
            let bytes = output.map_ok(LogOutput::into_bytes).map_err(io::Error::other);
            let output: Output = Box::new(StreamReader::new(bytes));
            return Ok(Second { input: Some(Box::new(input)), output, errors: None, hold: Hold::Docker(exec) });
        }
        let (stdout, ours) = tokio::io::duplex(BUFFER);
        let (stderr, ours_too) = tokio::io::duplex(BUFFER);
        let (ended, end) = tokio::io::duplex(1);
        exec.ended = Some(ended);
        tokio::spawn(async move {
            part(output, ours, ours_too).await;
            drop(end);
        });
        Ok(Second { input: None, output: Box::new(stdout), errors: Some(Box::new(stderr)), hold: Hold::Docker(exec) })
    }
}

/// Standard output and error come in one stream.
async fn part(
    mut both: impl Stream<Item = Result<LogOutput, Error>> + Unpin,
    mut stdout: DuplexStream,
    mut stderr: DuplexStream,
) {
    while let Some(Ok(output)) = both.next().await {
        let written = match output {
            LogOutput::StdErr { message } => stderr.write_all(&message).await,
            other => stdout.write_all(&other.into_bytes()).await,
        };
        if written.is_err() {
            return;
        }
    }
}

impl Exec {
    pub(in crate::launcher) async fn resize(&self, columns: u16, rows: u16) {
        let options = ResizeExecOptions { width: columns, height: rows };
        // A program that has ended has no terminal.
        let _ = self.docker.resize_exec(&self.id, options).await;
    }

    pub(in crate::launcher) async fn wait(&mut self) -> i32 {
        if let Some(mut ended) = self.ended.take() {
            let mut nothing = [0];
            // Ends with the output, and the output with the program.
            let _ = tokio::io::AsyncReadExt::read(&mut ended, &mut nothing).await;
        }
        let inspected = self.docker.inspect_exec(&self.id).await.ok();
        let code = inspected.and_then(|exec| exec.exit_code).and_then(|code| i32::try_from(code).ok());
        code.unwrap_or(255)
    }
}

impl Drop for Exec {
    /// Docker lets such programs run when nobody listens any more; a session takes its program with it.
    fn drop(&mut self) {
        let (docker, id) = (self.docker.clone(), self.id.clone());
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            // Only one that runs still has its number, which is this machine's.
            let running = docker.inspect_exec(&id).await.ok().filter(|exec| exec.running == Some(true));
            let pid = running.and_then(|exec| i32::try_from(exec.pid?).ok()).filter(|pid| *pid > 0);
            for (pid, signal) in pid.into_iter().flat_map(|pid| [(pid, Signal::SIGHUP), (pid, Signal::SIGKILL)]) {
                // Refused where the daemon's processes are not ours: then it ends with its container.
                let _ = kill(Pid::from_raw(pid), signal);
            }
        });
    }
}

//! A second program in a container that runs: what an agent starts for a session, with a terminal or without.

use std::io;
use std::sync::Arc;

use nix::sys::signal::Signal;
use tokio::io::{AsyncRead, AsyncWrite};

use super::docker;
use super::process::{Beside, Companion};

/// Where such programs run.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// Beside a process of this machine, or on this machine itself.
    Process(Arc<Beside>),
    Docker(docker::Inside),
}

/// What to start: a program and its arguments, variables that replace those of the container, and some that do not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Program {
    pub(crate) argv: Vec<String>,
    pub(crate) variables: Vec<(String, String)>,
    /// For a container that does not have them. Docker's containers are not asked.
    pub(crate) defaults: Vec<(String, String)>,
    pub(crate) has_terminal: bool,
}

/// A byte stream out of a program.
pub(crate) type Output = Box<dyn AsyncRead + Send + Unpin>;
/// A byte stream into a program.
pub(crate) type Input = Box<dyn AsyncWrite + Send + Unpin>;

/// A program that was started. Dropped, it is ended: a terminal hangs up first.
pub(crate) struct Second {
    pub(crate) input: Option<Input>,
    pub(crate) output: Output,
    /// With a terminal there is no other output.
    pub(crate) errors: Option<Output>,
    pub(crate) hold: Hold,
}

/// What a started program is held by.
pub(crate) enum Hold {
    Process(Companion),
    Docker(docker::Exec),
}

impl Program {
    /// The program's name, for those who are told that it does not start.
    pub(crate) fn name(&self) -> &str {
        self.argv.first().map_or("", String::as_str)
    }
}

impl Place {
    /// Starts a program.
    ///
    /// # Errors
    /// There is none of that name, or no process is to be had.
    pub(crate) async fn start(&self, program: &Program) -> io::Result<Second> {
        match self {
            Self::Process(beside) => beside.start(program).await,
            Self::Docker(inside) => inside.start(program).await,
        }
    }
}

impl Hold {
    /// Gives the terminal another size.
    pub(crate) async fn resize(&self, columns: u16, rows: u16) {
        match self {
            Self::Process(companion) => companion.resize(columns, rows),
            Self::Docker(exec) => exec.resize(columns, rows).await,
        }
    }

    /// Sends a signal to the program and those of its process group.
    pub(crate) fn signal(&self, signal: Signal) {
        match self {
            Self::Process(companion) => companion.signal(signal),
            // Docker's interface has no signals for second programs.
            Self::Docker(_) => tracing::debug!(%signal, "not passed on to a program in a Docker container"),
        }
    }

    /// Waits for its end; the exit code, or 128 and the number of the signal.
    pub(crate) async fn wait(&mut self) -> i32 {
        match self {
            Self::Process(companion) => companion.wait().await,
            Self::Docker(exec) => exec.wait().await,
        }
    }
}

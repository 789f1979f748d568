//! The program as a child: started with an explicit environment, fed, killed at a checkpoint, and looked at afterwards.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::world::PATIENCE;

/// A command line and its environment.
#[derive(Clone, Debug)]
pub struct Program {
    executable: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
}

/// How it ended and what it said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Exit status; 128 + n when a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: String,
}

/// The program while it runs.
#[derive(Debug)]
pub struct Running {
    child: Child,
    stderr: BufReader<ChildStderr>,
    heard: String,
}

impl Program {
    /// This executable, with an empty environment.
    #[must_use]
    pub fn new(executable: PathBuf) -> Self {
        Self { executable, args: Vec::new(), env: Vec::new() }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<I: IntoIterator<Item: Into<OsString>>>(mut self, args: I) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// One more variable; a later one of the same name wins.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Without this variable.
    #[must_use]
    pub fn env_remove(mut self, name: &str) -> Self {
        self.env.retain(|(known, _)| known != name);
        self
    }

    /// The executable, its arguments and its environment.
    #[must_use]
    pub fn parts(&self) -> (&PathBuf, &[OsString], &[(OsString, OsString)]) {
        (&self.executable, &self.args, &self.env)
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.executable);
        command.args(&self.args).env_clear().envs(self.env.iter().cloned());
        command
    }

    /// Runs it to its end without input.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn run(&self) -> Finished {
        self.run_with(&[])
    }

    /// Runs it to its end with this input.
    ///
    /// # Panics
    /// When it does not start, or a pipe breaks in an unexpected way.
    #[must_use]
    pub fn run_with(&self, input: &[u8]) -> Finished {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        let feeder = std::thread::spawn(move || {
            // A program that ends before it read everything is no fault of the test's.
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().expect("the program ends");
        feeder.join().expect("the feeder never panics");
        Finished {
            code: code(output.status),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Starts it and returns at once.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(&self) -> Running {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        let stderr = BufReader::new(child.stderr.take().expect("a pipe"));
        Running { child, stderr, heard: String::new() }
    }

    /// Starts it so that it parks at a checkpoint, and waits until it has.
    ///
    /// # Panics
    /// When it ends before.
    #[must_use]
    pub fn park_at(&self, checkpoint: &str) -> Running {
        let mut running = self.clone().env("FARGATE_LOGIN_CHECKPOINT", checkpoint).start();
        let _ = running.hear(&format!("checkpoint: {checkpoint}"));
        running
    }
}

impl Running {
    /// Reads stderr until a line contains `words`, and returns that line.
    ///
    /// # Panics
    /// When the program ends without saying them.
    pub fn hear(&mut self, words: &str) -> String {
        let mut line = String::new();
        while !line.contains(words) {
            line.clear();
            let read = self.stderr.read_line(&mut line).expect("stderr is text");
            assert!(read > 0, "the program ended without saying {words:?}; it said:\n{}", self.heard);
            self.heard.push_str(&line);
        }
        line
    }

    /// Its process id.
    ///
    /// # Panics
    /// Never: process ids are small.
    #[must_use]
    pub fn pid(&self) -> Pid {
        // Linux process ids fit in 22 bits.
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id"))
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the program is gone.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the program runs");
    }

    /// Writes to its standard input.
    ///
    /// # Panics
    /// When it has closed it.
    pub fn feed(&mut self, input: &[u8]) {
        // Taken by nobody else.
        let stdin = self.child.stdin.as_mut().expect("a pipe");
        stdin.write_all(input).and_then(|()| stdin.flush()).expect("the program reads");
    }

    /// Reads standard output until it contains `words`.
    ///
    /// # Panics
    /// When the program ends without writing them.
    pub fn read_until(&mut self, words: &str) {
        let stdout = self.child.stdout.as_mut().expect("a pipe");
        let (mut seen, mut byte) = (Vec::new(), [0]);
        while !String::from_utf8_lossy(&seen).contains(words) {
            let read = stdout.read(&mut byte).expect("a pipe");
            assert!(read > 0, "stdout ended without {words:?}: {:?}", String::from_utf8_lossy(&seen));
            seen.extend(byte);
        }
    }

    /// Reads lines of standard output until one contains `words`, and returns it.
    ///
    /// # Panics
    /// When the program ends without writing one.
    pub fn read_line_with(&mut self, words: &str) -> String {
        let stdout = self.child.stdout.as_mut().expect("a pipe");
        let (mut line, mut byte) = (Vec::new(), [0]);
        loop {
            let read = stdout.read(&mut byte).expect("a pipe");
            assert!(read > 0, "stdout ended without {words:?}: {:?}", String::from_utf8_lossy(&line));
            line.extend(byte);
            if byte == *b"\n" {
                let text = String::from_utf8_lossy(&line).into_owned();
                if text.contains(words) {
                    return text;
                }
                line.clear();
            }
        }
    }

    /// Reads its standard output no more.
    pub fn close_stdout(&mut self) {
        drop(self.child.stdout.take());
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    #[must_use]
    pub fn wait(mut self) -> Finished {
        drop(self.child.stdin.take());
        let began = Instant::now();
        let stdout = self.child.stdout.take();
        let reader = std::thread::spawn(move || {
            let mut bytes = Vec::new();
            stdout.map_or(Ok(0), |mut stdout| stdout.read_to_end(&mut bytes)).map(|_| bytes)
        });
        let mut rest = Vec::new();
        self.stderr.read_to_end(&mut rest).expect("a pipe");
        self.heard.push_str(&String::from_utf8_lossy(&rest));
        let status = self.child.wait().expect("the program ends");
        assert!(began.elapsed() < PATIENCE, "the program took {:?} to end", began.elapsed());
        let stdout = reader.join().expect("the reader never panics").expect("a pipe");
        Finished { code: code(status), stdout, stderr: self.heard }
    }
}

impl Finished {
    /// Standard output as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

fn code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    // A process that has ended did so by exiting or by a signal.
    status.code().or_else(|| status.signal().map(|signal| 128 + signal)).expect("an ended process")
}

//! A container without the container: the built executable with an environment of its own, on an address of its own.

use std::ffi::OsString;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::Ipv4Addr;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use fargate_contract::{HostSeed, grant};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use tempfile::TempDir;

/// Loopback has 16 million addresses: each test takes one, so all can use one port.
pub(crate) const PORT: u16 = 2222;

/// A test that goes wrong must not wait longer for its container than this, in milliseconds.
const AT_MOST: &str = "60000";

/// What a pipe holds at most without privilege, in bytes (pipe(7)).
const LOG_PIPE: i32 = 1024 * 1024;

pub(crate) struct Container {
    init: Child,
    log: BufReader<ChildStdout>,
    pub(crate) events: Vec<Value>,
    pub(crate) address: Ipv4Addr,
    pub(crate) directory: TempDir,
}

pub(crate) fn some_address() -> Ipv4Addr {
    let random = RandomState::new().build_hasher().finish().to_be_bytes();
    Ipv4Addr::new(127, random[0].clamp(1, 254), random[1], random[2].clamp(1, 254))
}

/// The seed that tests pin.
pub(crate) fn seed() -> HostSeed {
    HostSeed::new([42; 32])
}

impl Container {
    /// Starts one whose key is `key` in its directory, and waits until it listens.
    pub(crate) fn start(more: &[(&str, &str)]) -> Self {
        Self::start_with(&owned(more))
    }

    /// The same with values that need not be text.
    pub(crate) fn start_with(more: &[(OsString, OsString)]) -> Self {
        let mut container = Self::spawn_with(more);
        container.listens();
        container
    }

    fn listens(&mut self) {
        self.until("listen");
        let known = format!("[{}]:{PORT} {}\n", self.address, seed().public_key().to_openssh().expect("a key"));
        self.write("known_hosts", known.as_bytes());
    }

    /// Starts one that need not come to listen.
    pub(crate) fn spawn(more: &[(&str, &str)]) -> Self {
        Self::spawn_with(&owned(more))
    }

    /// Starts one by other words than the executable alone, and waits until it listens.
    pub(crate) fn start_by(words: &[&str], more: &[(&str, &str)]) -> Self {
        let mut container = Self::spawn_by(words, &owned(more));
        container.listens();
        container
    }

    fn spawn_with(more: &[(OsString, OsString)]) -> Self {
        Self::spawn_by(&[env!("CARGO_BIN_EXE_fargate-init")], more)
    }

    fn spawn_by(words: &[&str], more: &[(OsString, OsString)]) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let address = some_address();
        make_key(&directory, "key");
        let key = std::fs::read_to_string(directory.path().join("key.pub")).expect("a key");
        std::fs::create_dir(directory.path().join("home")).expect("a directory");
        let mut init = Command::new(words[0])
            .args(&words[1..])
            .env_clear()
            // As Docker does for an image without a WORKDIR.
            .current_dir("/")
            .env("HOME", directory.path().join("home"))
            .env("PATH", "/usr/bin:/bin:/usr/sbin:/sbin")
            .env(grant::AUTHORIZED_PUBLIC_KEY, key)
            .env(grant::HOST_SEED, seed().encode().as_str())
            .env(grant::LISTEN, address.to_string())
            .env(grant::PORT, PORT.to_string())
            .env(grant::MAX_LIFETIME, AT_MOST)
            .envs(more.iter().cloned())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the executable");
        let log = init.stdout.take().expect("its log");
        // A container with a thousand forwards to tell of does not wait for the test to read.
        fcntl(&log, FcntlArg::F_SETPIPE_SZ(LOG_PIPE)).expect("what anybody may have");
        let log = BufReader::new(log);
        Self { init, log, events: Vec::new(), address, directory }
    }

    pub(crate) fn write(&self, name: &str, text: &[u8]) {
        std::fs::File::create(self.directory.path().join(name)).expect("a file").write_all(text).expect("its text");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.init.id().cast_signed())
    }

    /// The process id of `serve`.
    pub(crate) fn serve_pid(&self) -> i64 {
        let start = self.events.iter().find(|event| event["event"] == "start").expect("a start");
        start["pid"].as_i64().expect("a number")
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("a living init");
    }

    /// Reads the log up to the next such event.
    pub(crate) fn until(&mut self, event: &str) -> Value {
        loop {
            let mut line = String::new();
            assert_ne!(self.log.read_line(&mut line).expect("text"), 0, "no {event} in {:?}", self.events);
            let value: Value = serde_json::from_str(&line).expect("JSON");
            self.events.push(value.clone());
            if value["event"] == event {
                return value;
            }
        }
    }

    /// Waits for its end: its exit code; `events` is complete then.
    pub(crate) fn ended(&mut self) -> i32 {
        let mut rest = String::new();
        self.log.read_to_string(&mut rest).expect("text");
        self.events.extend(rest.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")));
        self.init.wait().expect("an end").code().expect("an exit code")
    }

    /// The last event of a kind.
    pub(crate) fn last(&self, event: &str) -> &Value {
        self.events.iter().rfind(|value| value["event"] == event).expect("such an event")
    }

    /// An `ssh` that logs in here as `user` with the key of that name.
    pub(crate) fn ssh_as(&self, user: &str, key: &str, options: &[&str], command: &[&str]) -> Command {
        let file = |name: &str| self.directory.path().join(name).display().to_string();
        let mut ssh = Command::new("ssh");
        // The first of two options counts.
        ssh.args(options)
            .args(["-F", "none", "-p", &PORT.to_string(), "-i", &file(key)])
            .args([
                "-o",
                "IdentitiesOnly=yes",
                "-o",
                "IdentityAgent=none",
                "-o",
                "BatchMode=yes",
                "-o",
                "LogLevel=ERROR",
            ])
            .args(["-o", &format!("UserKnownHostsFile={}", file("known_hosts")), "-o", "StrictHostKeyChecking=yes"])
            .arg(format!("{user}@{}", self.address))
            .args(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        ssh
    }

    pub(crate) fn ssh(&self, options: &[&str], command: &[&str]) -> Command {
        self.ssh_as("root", "key", options, command)
    }

    /// Runs a command here to its end.
    pub(crate) fn run(&self, command: &str) -> Output {
        self.ssh(&[], &[command]).output().expect("ssh")
    }

    /// Starts a session that answers each line, and waits for the first answer.
    pub(crate) fn hold(&self) -> Child {
        let mut held = self.ssh(&[], &["cat"]).stdin(Stdio::piped()).spawn().expect("ssh");
        held.stdin.as_mut().expect("stdin").write_all(b"x").expect("a reader");
        held.stdout.as_mut().expect("stdout").read_exact(&mut [0]).expect("an answer");
        held
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if matches!(self.init.try_wait(), Ok(None)) {
            let _ = kill(self.pid(), Signal::SIGTERM);
            let _ = self.init.wait();
        }
    }
}

fn owned(variables: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    variables.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

pub(crate) fn make_key(directory: &TempDir, name: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-N", "", "-f"])
        .arg(directory.path().join(name))
        .status()
        .expect("ssh-keygen");
    assert!(made.success());
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

//! A world of its own for every test: the stand-in on a port of its own, an empty home directory, no AWS configuration.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use local_fargate::{Config, LocalFargate, ProcessImage, TaskSummary};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::api::{self, Refusal};
use crate::program::Program;

/// The image that the shipped task definition names.
pub const IMAGE: &str = "fargate-login/test-cli:latest";
/// How long anything in a test may take before it counts as hung. Not a figure: a debug build on a busy machine fits in it.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The stand-in and what surrounds the program.
#[derive(Debug)]
pub struct World {
    runtime: Runtime,
    stand_in: Option<LocalFargate>,
    home: tempfile::TempDir,
    endpoint: String,
}

impl World {
    /// A world whose one image is our own init.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    /// A world whose stand-in was told more.
    ///
    /// # Panics
    /// When the stand-in does not start: there is no test without it.
    #[must_use]
    pub fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        config.images = vec![ProcessImage {
            name: IMAGE.to_owned(),
            entry_point: vec![executable().into_os_string(), OsString::from("__fargate-init")],
            env: Vec::new(),
        }];
        config.task_definitions = vec![include_str!("../../task-definitions/test-cli.json").to_owned()];
        configure(&mut config);
        let runtime = Runtime::new().expect("a runtime");
        let stand_in = runtime.block_on(LocalFargate::start(config)).expect("the stand-in starts");
        let endpoint = stand_in.endpoint_url();
        let home = tempfile::tempdir().expect("a home directory");
        Self { runtime, stand_in: Some(stand_in), home, endpoint }
    }

    /// The program with this world's environment and nothing else.
    #[must_use]
    pub fn program(&self) -> Program {
        let path = std::env::var_os("PATH").unwrap_or_default();
        Program::new(executable())
            .env("PATH", path)
            .env("HOME", self.home.path())
            .env("TERM", "xterm-256color")
            .env("LANG", "C.UTF-8")
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// The main job of the README against this world, on a port that an ordinary user may listen on.
    #[must_use]
    pub fn login(&self) -> Program {
        self.program().args(["-n", "test-cli", "-sg", "sg-1", "-sn", "subnet-1", "-p", "2222"])
    }

    /// The stand-in.
    ///
    /// # Panics
    /// Never before the world is dropped.
    #[must_use]
    pub fn stand_in(&self) -> &LocalFargate {
        // Taken only by `drop`.
        self.stand_in.as_ref().expect("the stand-in lives as long as the world")
    }

    /// Names of the calls received, in order, as `ecs:RunTask`.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        self.stand_in().journal().into_iter().map(|call| format!("{}:{}", call.service, call.action)).collect()
    }

    /// The only task there is, or was.
    ///
    /// # Panics
    /// When there is none, or more than one.
    #[must_use]
    pub fn task(&self) -> TaskSummary {
        let mut tasks = self.stand_in().tasks();
        assert_eq!(tasks.len(), 1, "tasks: {tasks:?}");
        // Just counted.
        tasks.pop().expect("one task")
    }

    /// Waits until the only task is STOPPED, and returns it.
    ///
    /// # Panics
    /// When that does not happen.
    #[must_use]
    pub fn stopped_task(&self) -> TaskSummary {
        self.wait_stopped(&self.task().arn);
        self.task()
    }

    /// Calls an operation of the stand-in's.
    ///
    /// # Errors
    /// The service's own.
    pub fn call(&self, service: &str, action: &str, request: &Value) -> Result<Value, Refusal> {
        api::call(&self.endpoint, service, action, request)
    }

    /// Calls an operation of the stand-in's EC2.
    ///
    /// # Panics
    /// When it is refused.
    pub fn ec2(&self, action: &str, members: &[(&str, &str)]) -> String {
        api::ec2(&self.endpoint, action, members)
    }

    /// Waits until a task is STOPPED.
    ///
    /// # Panics
    /// When that does not happen.
    pub fn wait_stopped(&self, arn: &str) {
        let stopped = self.stand_in().task_stopped(arn);
        let waited = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, stopped).await });
        assert!(waited.is_ok(), "the task never stopped: {:?}", self.stand_in().tasks());
    }

    /// Waits until something holds that changes with the stand-in.
    ///
    /// # Panics
    /// When it never does.
    pub fn wait_until(&self, condition: impl Fn(&Self) -> bool) {
        let holds = self.stand_in().until(|| condition(self));
        let waited = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, holds).await });
        assert!(waited.is_ok(), "it never came about: {:?}", self.stand_in().tasks());
    }

    /// Waits until no process of a task is left that has ended: nobody tells us when the last one is gone, so we look.
    ///
    /// # Panics
    /// When one stays.
    pub fn wait_gone(&self, address: &str) {
        let began = std::time::Instant::now();
        loop {
            let left = processes_at(address);
            if left.is_empty() {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "left running: {left:?}");
            std::thread::yield_now();
        }
    }

    /// Waits until a task is RUNNING.
    ///
    /// # Panics
    /// When that does not happen.
    pub fn wait_running(&self, arn: &str) {
        let running = self.stand_in().task_running(arn);
        let waited = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, running).await });
        assert!(waited.is_ok(), "the task never ran: {:?}", self.stand_in().tasks());
    }

    /// Waits until a container has written this line.
    ///
    /// # Panics
    /// When that does not happen.
    pub fn wait_for_log(&self, arn: &str, container: &str, line: &str) {
        let written = self.stand_in().logged(arn, container, line);
        let waited = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, written).await });
        assert!(waited.is_ok(), "no line {line:?}: {:?}", self.stand_in().log(arn, container));
    }

    /// Ends the stand-in before the world goes.
    pub fn end(&mut self) {
        if let Some(stand_in) = self.stand_in.take() {
            self.runtime.block_on(stand_in.shutdown());
        }
    }

    /// The empty home directory.
    #[must_use]
    pub fn home(&self) -> &Path {
        self.home.path()
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if let Some(stand_in) = self.stand_in.take() {
            self.runtime.block_on(stand_in.shutdown());
        }
    }
}

/// The program under test, as cargo built it beside this test. `cargo test --workspace` builds it, because the client's own
/// integration test needs it.
///
/// # Panics
/// When it is not there.
#[must_use]
pub fn executable() -> PathBuf {
    let test = std::env::current_exe().expect("a running test has an executable");
    // Tests stand in target/<profile>/deps, programs one above.
    let mut places = test.ancestors().skip(1).take(2).map(|folder| folder.join("fargate-login"));
    let program = places.find(|program| program.exists()).unwrap_or_else(|| PathBuf::from("fargate-login"));
    assert!(program.exists(), "{} is missing: run `cargo test --workspace`, which builds it", program.display());
    program
}

/// Processes whose home is below this directory.
///
/// # Panics
/// Without a process table.
#[must_use]
pub fn processes_below(directory: &Path) -> Vec<String> {
    let home = format!("HOME={}/", directory.display());
    processes(|variable| variable.starts_with(home.as_bytes()))
}

/// Processes of the task with this address.
///
/// # Panics
/// Without a process table.
#[must_use]
pub fn processes_at(address: &str) -> Vec<String> {
    let address = format!("LOCAL_FARGATE_ADDRESS={address}");
    processes(|variable| variable == address.as_bytes())
}

/// Processes of tasks with one of these addresses, or of clients with this home.
///
/// # Panics
/// Without a process table.
#[must_use]
pub fn processes_of(addresses: &BTreeSet<String>, home: &Path) -> Vec<String> {
    let home = format!("HOME={}", home.display());
    processes(|variable| {
        let text = String::from_utf8_lossy(variable);
        text == home || text.strip_prefix("LOCAL_FARGATE_ADDRESS=").is_some_and(|address| addresses.contains(address))
    })
}

/// Processes with a variable like this.
fn processes(is_meant: impl Fn(&[u8]) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("a process table").flatten() {
        let environ = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if environ.split(|byte| *byte == 0).any(&is_meant) {
            found.push(entry.path().display().to_string());
        }
    }
    found
}

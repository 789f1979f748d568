//! A host of OpenSSH's configuration that is a task of a world: ssh, scp, rsync and whatever else starts ssh, as a user has them.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::unistd::Pid;

use crate::program::Program;
use crate::world::{PATIENCE, World};

/// The word after `ssh`.
pub const NAME: &str = "dev";

/// A world, and the configuration that `ssh-config` writes for it.
#[derive(Debug)]
pub struct SshHost {
    /// The world that the task is in.
    pub world: World,
    place: tempfile::TempDir,
}

impl SshHost {
    /// A host of this world, with further flags.
    ///
    /// # Panics
    /// When `ssh-config` fails.
    #[must_use]
    pub fn new(world: World, flags: &[&str]) -> Self {
        let host = Self { world, place: tempfile::tempdir().expect("a directory") };
        let written = host.ssh_config(flags).run();
        assert_eq!(written.code, 0, "{}", written.stderr);
        std::fs::write(host.config(), written.stdout).expect("written");
        host
    }

    /// `ssh-config` for it.
    #[must_use]
    pub fn ssh_config(&self, flags: &[&str]) -> Program {
        let own = ["ssh-config", "--host", NAME, "-n", "test-cli", "-sg", "sg-1", "-sn", "subnet-1", "-p", "2222"];
        self.world.program().args(own).arg("--runtime-dir").arg(self.runtime().as_os_str()).args(flags)
    }

    /// The configuration's file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.place.path().join("config")
    }

    /// Where the host's directory is while there is a run.
    #[must_use]
    pub fn runtime(&self) -> PathBuf {
        self.place.path().join("run")
    }

    /// A place for a test's files.
    #[must_use]
    pub fn place(&self) -> &Path {
        self.place.path()
    }

    /// A program that may start ssh, with the world's environment. In CI, one that is missing fails; elsewhere it is passed over.
    ///
    /// # Panics
    /// In CI, without the program.
    #[must_use]
    pub fn tool(&self, name: &str) -> Option<Program> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
        let Some(found) = found else {
            assert!(std::env::var_os("CI").is_none(), "{name} is missing; CI leaves out nothing");
            // The test harness shows it with --nocapture.
            let _ = writeln!(std::io::stderr(), "left out: {name} is missing");
            return None;
        };
        let program = self.world.program();
        let (_, _, env) = program.parts();
        Some(env.iter().fold(Program::new(found), |program, (name, value)| program.env(name, value)))
    }

    /// `ssh`, up to the host's name.
    ///
    /// # Panics
    /// Without ssh.
    #[must_use]
    pub fn ssh(&self) -> Program {
        let ssh = self.tool("ssh").expect("ssh is what this is about");
        ssh.arg("-F").arg(self.config().as_os_str()).args(["-o", "BatchMode=yes"])
    }

    /// `ssh dev LINE`.
    #[must_use]
    pub fn run(&self, line: &str) -> Program {
        self.ssh().arg(NAME).arg(line)
    }

    /// ssh with this configuration, as one line for programs that start it.
    #[must_use]
    pub fn ssh_line(&self) -> String {
        format!("ssh -F {} -o BatchMode=yes", self.config().display())
    }

    /// How often a task was asked for.
    #[must_use]
    pub fn launches(&self) -> usize {
        self.world.calls().iter().filter(|call| *call == "ecs:RunTask").count()
    }

    /// The keeper's process id, if it runs: its command line names our directory.
    #[must_use]
    pub fn keeper(&self) -> Option<Pid> {
        self.process("--keeper")
    }

    /// The process id of one of the host's proxies.
    #[must_use]
    pub fn proxy(&self) -> Option<Pid> {
        let keeper = self.keeper();
        self.processes("proxy").into_iter().find(|pid| Some(*pid) != keeper)
    }

    fn process(&self, word: &str) -> Option<Pid> {
        self.processes(word).into_iter().next()
    }

    /// Processes of our program with this word among their arguments, which name the host's place.
    fn processes(&self, word: &str) -> Vec<Pid> {
        let runtime = self.runtime().into_os_string().into_encoded_bytes();
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("a process table").flatten() {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let has = |wanted: &[u8]| line.split(|byte| *byte == 0).any(|argument| argument == wanted);
            if has(&runtime) && has(word.as_bytes()) {
                let pid = entry.file_name().to_str().and_then(|name| name.parse().ok());
                found.extend(pid.map(Pid::from_raw));
            }
        }
        found
    }

    /// What the keeper has written that nobody heard.
    #[must_use]
    pub fn log(&self) -> String {
        let files = self.directories().into_iter().filter_map(|path| std::fs::read_dir(path).ok()).flatten().flatten();
        let logs = files.filter(|file| file.file_name().to_string_lossy().starts_with("log"));
        logs.map(|log| std::fs::read_to_string(log.path()).unwrap_or_default()).collect()
    }

    /// Directories of hosts.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        let entries = std::fs::read_dir(self.runtime()).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
    }

    /// Waits until this holds: of other processes and their files nobody tells us, so we look.
    ///
    /// # Panics
    /// When it never does.
    pub fn wait_until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let began = Instant::now();
        while !holds(self) {
            assert!(began.elapsed() < PATIENCE, "it never came about that {what}; log: {:?}", self.log());
            std::thread::yield_now();
        }
    }

    /// Waits until the keeper has gone and has left nothing.
    ///
    /// # Panics
    /// When it stays, or leaves a directory.
    pub fn wait_tidy(&self) {
        self.wait_until("the keeper goes", |host| host.keeper().is_none());
        assert_eq!(self.directories(), Vec::<PathBuf>::new(), "log: {:?}", self.log());
    }
}

/// A keeper that lingers would outlive its world.
impl Drop for SshHost {
    fn drop(&mut self) {
        for keeper in self.processes("--keeper") {
            // It may have gone by itself.
            let _ = nix::sys::signal::kill(keeper, nix::sys::signal::Signal::SIGKILL);
        }
    }
}

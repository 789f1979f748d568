//! A PostgreSQL server of the test's own: its data in a directory that goes with it, on a loopback port that nobody else has.

use std::ffi::OsStr;
use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use crate::world::PATIENCE;

/// Where Debian has its versions.
const VERSIONS: &str = "/usr/lib/postgresql";
/// Who runs it where we are root, which it does not want to be run by; the Debian package makes this user.
const USER: &str = "postgres";
/// How often a port is drawn: between its choice and its use somebody may take it.
const DRAWS: usize = 8;

/// A server that takes connections.
#[derive(Debug)]
pub struct Postgres {
    server: Child,
    /// Goes with it.
    _data: tempfile::TempDir,
    /// Port on 127.0.0.1.
    pub port: u16,
}

impl Postgres {
    /// `None`, with a word about it, where there is no PostgreSQL; under CI that is a failure.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        let Some(programs) = programs() else {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "PostgreSQL is needed under CI");
            use std::io::Write as _;
            let _ = writeln!(std::io::stderr(), "SKIPPED: needs PostgreSQL in {VERSIONS}");
            return None;
        };
        let data = tempfile::tempdir().expect("a directory");
        std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o700)).expect("our directory");
        if nix::unistd::geteuid().is_root() {
            let user = nix::unistd::User::from_name(USER).expect("a user database").expect("the package's user");
            nix::unistd::chown(data.path(), Some(user.uid), Some(user.gid)).expect("root may");
        }
        let made = command(&programs.join("initdb"))
            .args(["--username", "postgres", "--auth", "trust", "--no-sync", "--pgdata"])
            .arg(data.path())
            .output()
            .expect("initdb starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut draws = (0..DRAWS).map(|_| free_port());
        let started = draws.find_map(|port| Some((serve(&programs, data.path(), port)?, port)));
        let (server, port) = started.expect("a free port");
        Some(Self { server, _data: data, port })
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SIGQUIT is its immediate shutdown: nothing of it is kept. It may have ended already.
        let id = i32::try_from(self.server.id()).map(nix::unistd::Pid::from_raw);
        let _ = id.map(|id| nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGQUIT));
        let _ = self.server.wait();
    }
}

fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(VERSIONS).ok()?.flatten().map(|version| version.path().join("bin"));
    versions.into_iter().find(|programs| programs.join("postgres").exists())
}

fn command(program: &Path) -> Command {
    let mut command = if nix::unistd::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        let as_user: [&OsStr; 6] = [
            "--reuid".as_ref(),
            USER.as_ref(),
            "--regid".as_ref(),
            USER.as_ref(),
            "--init-groups".as_ref(),
            "--".as_ref(),
        ];
        command.args(as_user).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
    command
}

/// The server, once it says that it is ready; `None` when it could not have its port.
fn serve(programs: &Path, data: &Path, port: u16) -> Option<Child> {
    let mut server = command(&programs.join("postgres"))
        .args(["-h", "127.0.0.1", "-k", "", "-F", "-p", &port.to_string(), "-D"])
        .arg(data)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("postgres starts");
    let began = Instant::now();
    let mut said = BufReader::new(server.stderr.take().expect("a pipe"));
    let mut line = String::new();
    while said.read_line(&mut line).expect("text") > 0 {
        assert!(began.elapsed() < PATIENCE, "{line}");
        if line.contains("ready to accept connections") {
            // What else it says goes nowhere, but has to go somewhere.
            std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
            return Some(server);
        }
    }
    server.wait().expect("it has ended");
    assert!(line.contains("Address already in use"), "{line}");
    None
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    listener.local_addr().expect("bound").port()
}

//! Ways from a client to a server: our program or `ssh`, to our init or `sshd`.

use std::io::{BufRead as _, BufReader};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Stdio};

use e2e::world::{IMAGE, processes_at};
use e2e::{World, ancestor};
use local_fargate::ProcessImage;
use tempfile::TempDir;

use super::server::{Host, Server};
use super::{init, plain};

/// The four pairs, with servers that stand.
pub(crate) struct Routes {
    /// Ours to ours first, then OpenSSH's own, then those that are mixed.
    pub(crate) all: [Route; 4],
    /// The same way without SSH.
    pub(crate) plain: Route,
    _scratch: TempDir,
}

impl Routes {
    /// Nothing, where a program that this needs is not there.
    pub(crate) fn start() -> Option<Self> {
        Self::to(&Host::here())
    }

    /// The same, with all servers on this host.
    pub(crate) fn to(host: &Host) -> Option<Self> {
        let program = init::program()?;
        let scratch = tempfile::tempdir().ok()?;
        let sshd = Server::sshd(host, scratch.path())?;
        let world = |entry_point| {
            let entry_point = host.line(entry_point);
            World::with(|config| {
                config.images = vec![ProcessImage { name: IMAGE.to_owned(), entry_point, env: Vec::new() }];
            })
        };
        let all = [
            Route::Ours { name: "ours to init", world: world(vec![program.clone().into()]), flags: Vec::new() },
            Route::Ssh { name: "ssh to sshd", server: sshd },
            Route::Ours {
                name: "ours to sshd",
                world: world(ancestor::entry_point().into()),
                flags: ancestor::flags().to_vec(),
            },
            Route::Ssh { name: "ssh to init", server: Server::init(host, &program, scratch.path()) },
        ];
        Some(Self { all, plain: Route::Plain { server: plain::Server::start(host) }, _scratch: scratch })
    }

    /// All of them, and the way without SSH at the end.
    pub(crate) fn and_plain(&self) -> [&Route; 5] {
        let [first, second, third, fourth] = &self.all;
        [first, second, third, fourth, &self.plain]
    }

    /// Ours to ours.
    pub(crate) const fn ours(&self) -> &Route {
        &self.all[0]
    }

    /// `ssh` to `sshd`.
    pub(crate) const fn peer(&self) -> &Route {
        &self.all[1]
    }
}

/// A client, and the server that it logs into.
pub(crate) enum Route {
    /// Our program, as its user runs it, with a task for each run.
    Ours { name: &'static str, world: World, flags: Vec<String> },
    /// `ssh`, with a connection for each run.
    Ssh { name: &'static str, server: Server },
    /// Programs that only relay.
    Plain { server: plain::Server },
}

impl Route {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Ours { name, .. } | Self::Ssh { name, .. } => name,
            Self::Plain { .. } => "without SSH",
        }
    }

    /// A login that has the remote shell run this line. Its standard streams are the caller's to say.
    pub(crate) fn exec(&self, line: &str) -> Command {
        match self {
            Self::Ours { world, flags, .. } => login(world, flags, &["--shell-command", line]),
            Self::Ssh { server, .. } => {
                let mut command = server.ssh();
                command.args([server.address(), line]);
                command
            }
            Self::Plain { server } => server.client("", line),
        }
    }

    /// A login that forwards a port of its own to this one beside the server.
    pub(crate) fn forward(&self, target: u16) -> Forward {
        match self {
            Self::Ours { world, flags, .. } => {
                let spec = format!("0:127.0.0.1:{target}");
                let mut command = login(world, flags, &["-N", "--output", "env", "-L", &spec]);
                let mut client = piped(&mut command);
                let port = said(&mut client, "FARGATE_LOGIN_FORWARD_1_PORT=").parse().expect("a port");
                Forward { client, port }
            }
            Self::Ssh { server, .. } => {
                // Without a session, as ours: with one `sshd` would use another mode of TCP. It runs its own command once its
                // listeners are there.
                let (mut command, port) = ssh_with_forward(server, target);
                command.args(["-N", "-o", "PermitLocalCommand=yes", "-o", "LocalCommand=echo up"]);
                let mut client = piped(command.arg(server.address()));
                said(&mut client, "up");
                Forward { client, port }
            }
            Self::Plain { server } => {
                let mut client = piped(&mut server.client(&format!("0:{target}"), ""));
                let port = said(&mut client, "").parse().expect("a port");
                Forward { client, port }
            }
        }
    }

    /// A login that has the remote shell run this line, and beside it forwards a port of its own, the second answer, to this one
    /// beside the server.
    pub(crate) fn exec_beside_forward(&self, target: u16, line: &str) -> (Command, u16) {
        match self {
            Self::Ours { world, flags, .. } => {
                let port = free_port();
                let spec = format!("{port}:127.0.0.1:{target}");
                (login(world, flags, &["-L", &spec, "--shell-command", line]), port)
            }
            Self::Ssh { server, .. } => {
                let (mut command, port) = ssh_with_forward(server, target);
                command.args([server.address(), line]);
                (command, port)
            }
            Self::Plain { server } => {
                let port = free_port();
                (server.client(&format!("{port}:{target}"), line), port)
            }
        }
    }

    /// Resident memory of the server, of all its processes, in KiB.
    pub(crate) fn server_memory(&self) -> f64 {
        match self {
            Self::Ours { world, .. } => {
                let addresses = world.stand_in().tasks().into_iter().filter_map(|task| task.address);
                let processes = addresses.flat_map(|address| processes_at(&address));
                let pids: Vec<u32> = processes.filter_map(|process| process.rsplit('/').next()?.parse().ok()).collect();
                resident(pids)
            }
            Self::Ssh { server, .. } => resident(vec![server.pid()]),
            Self::Plain { server } => resident(vec![server.pid()]),
        }
    }
}

/// Our program, told to log into this world.
pub(crate) fn login(world: &World, flags: &[String], errand: &[&str]) -> Command {
    let program = world.login().arg("-q").args(flags).args(errand);
    let (executable, args, env) = program.parts();
    let mut command = Command::new(executable);
    command.args(args).env_clear().envs(env.iter().cloned());
    command
}

/// The destination and the command are the caller's to add.
fn ssh_with_forward(server: &Server, target: u16) -> (Command, u16) {
    let (mut command, port) = (server.ssh(), free_port());
    command.args(["-o", "ExitOnForwardFailure=yes", "-L", &format!("127.0.0.1:{port}:127.0.0.1:{target}")]);
    (command, port)
}

/// `ssh` chooses no port by itself; nobody else gets this one before it is used but by an odd chance.
fn free_port() -> u16 {
    let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    free.local_addr().expect("bound").port()
}

fn piped(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the client starts")
}

/// Reads lines until one begins with these words; what follows them.
fn said(client: &mut Child, words: &str) -> String {
    let lines = BufReader::new(client.stdout.as_mut().expect("a pipe")).lines();
    let mut rests = lines.map_while(Result::ok).filter_map(|line| line.strip_prefix(words).map(str::to_owned));
    rests.next().expect("the client forwards")
}

/// Resident memory of these processes and of all that they have started, each counted once, in KiB.
fn resident(mut pids: Vec<u32>) -> f64 {
    let mut index = 0;
    while let Some(&pid) = pids.get(index) {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        pids.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        index += 1;
    }
    pids.sort_unstable();
    pids.dedup();
    pids.into_iter().filter_map(init::resident_kib).sum()
}

/// A forward that stands, and the client that holds it.
pub(crate) struct Forward {
    client: Child,
    /// Where it listens, on 127.0.0.1.
    pub(crate) port: u16,
}

impl Forward {
    /// Resident memory of the client, in KiB.
    pub(crate) fn client_memory(&self) -> f64 {
        init::resident_kib(self.client.id()).unwrap_or_default()
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        // Both end when they are told.
        let pid = i32::try_from(self.client.id()).map(nix::unistd::Pid::from_raw);
        let _ = pid.map(|pid| nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT));
        let _ = self.client.wait();
    }
}

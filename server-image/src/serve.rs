//! The role `serve`: read the grant, listen, run the SSH server until the container's lifetime ends.

mod process;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fargate_contract::{Grant, limits};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Admission;
use crate::audit::Audit;
use crate::engine::{self, Engine, EngineError};
use crate::environment::{self, Variables, files};
use crate::lifetime::{Activity, Ending, Happening, Limits, ending};
use crate::links::Links;
use crate::log::{Event, Log};
use crate::notice::Notice;
use crate::openssh::{self, Sshd};
use crate::resumable::Resumables;
use crate::settings::Configs;
use crate::spawner::Spawner;
use crate::startups::Startups;
use crate::{connection, forward, host_key, roles};
use process::{harden, read_grant, told};

/// Pause after the system had no descriptor or memory for a connection: long enough not to spin, too short to notice.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Happenings that may wait for the lifetime, which always listens.
const HAPPENINGS: usize = 16;

/// Part of [`limits::TERM_GRACE`] that sessions have; the rest is for their last bytes and the goodbye.
pub(crate) const SESSION_GRACE: Duration = Duration::from_secs(3);

/// Time for the reader of the log to take what waits for it when everything else has ended. With [`limits::TERM_GRACE`] it is far
/// below the 30 s that ECS grants before SIGKILL.
const LOG_GRACE: Duration = Duration::from_secs(5);

/// What every connection and session shares.
pub(crate) struct Server {
    pub(crate) log: Log,
    pub(crate) configs: Configs,
    pub(crate) admission: Admission,
    pub(crate) startups: Startups,
    /// Several TCP connections may carry one of SSH.
    pub(crate) links: Arc<Links>,
    /// The container's, less the grant.
    pub(crate) environment: Variables,
    pub(crate) activity: Activity,
    pub(crate) happenings: mpsc::Sender<Happening>,
    /// Sessions that run.
    pub(crate) sessions: TaskTracker,
    /// Given when sessions will have to end.
    pub(crate) notice: Notice,
    /// Cancelled when sessions have to end.
    pub(crate) stopping: CancellationToken,
    /// Cancelled when connections have to end.
    pub(crate) closing: CancellationToken,
    /// Soft and hard limit of core dumps, in bytes, as the container was given them.
    pub(crate) core_limit: (u64, u64),
    /// How long a session waits for its client after the connection was lost; zero ends it at once.
    pub(crate) reconnect_grace: Duration,
    /// Sessions that their client may ask for again.
    pub(crate) resumables: Resumables,
    pub(crate) spawner: Spawner,
    /// How much the log tells.
    pub(crate) audit: Audit,
    /// Who called, as the grant says.
    pub(crate) caller: Option<String>,
    pub(crate) forwarding: forward::State,
    /// As in [`Container`].
    pub(crate) self_args: Vec<String>,
    sessions_so_far: Mutex<SoFar>,
}

/// Sessions that have begun and ended, and the exit code of the one that ended last.
#[derive(Clone, Copy, Debug, Default)]
struct SoFar {
    begun: u64,
    ended: u64,
    last_code: Option<u8>,
}

impl Server {
    /// The next session's number.
    pub(crate) fn next_session(&self) -> u64 {
        let mut so_far = self.so_far();
        so_far.begun += 1;
        so_far.begun
    }

    /// To be called before the client learns of it.
    pub(crate) fn session_ended(&self, code: u8) {
        let mut so_far = self.so_far();
        so_far.ended += 1;
        so_far.last_code = Some(code);
    }

    /// Whether there have been sessions, and all of them have ended.
    fn is_done(&self) -> bool {
        let so_far = self.so_far();
        so_far.ended > 0 && so_far.ended == so_far.begun
    }

    /// Waits until nobody can come any more: neither to log in, nor as another link of who has.
    async fn is_settled(&self) {
        self.admission.burnt().await;
        self.links.none().await;
    }

    fn so_far(&self) -> MutexGuard<'_, SoFar> {
        self.sessions_so_far.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the role to its end. `container`: files below `/etc` are ours to write. `self_args`: as in [`roles::run`].
pub(crate) fn run(container: bool, self_args: &[&str]) -> ExitCode {
    // Before we give anything up.
    let spawner = Spawner::start();
    let core_limit = harden();
    let chosen = Engine::from_variable(std::env::var_os(engine::VARIABLE).as_deref());
    let asked = read_grant().and_then(|grant| {
        let engine = chosen.map_err(|error| error.to_string())?;
        let audit = Audit::from_variables(|name| std::env::var_os(name), engine).map_err(|error| error.to_string())?;
        let log = open_log(&grant, audit).map_err(|error| format!("a thread cannot be started: {error}"))?;
        Ok((grant, engine, audit, log))
    });
    let (grant, engine, audit, log) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            Log::to_stdout(None).write(&Event::Refused { error });
            return ExitCode::from(roles::REFUSED);
        }
    };
    log.write(&Event::Start { role: "serve", version: env!("CARGO_PKG_VERSION"), pid: std::process::id() });
    let environment = environment::of_container(std::env::vars_os());
    ssh_flow::keep_freed_memory();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let self_args = self_args.iter().map(|word| (*word).to_owned()).collect();
    let code = runtime.map_err(|source| ServeError::System { doing: "run", source }).and_then(|runtime| {
        let code = runtime.block_on(async {
            let listener = listen(&grant).await.map_err(|source| ServeError::System { doing: "listen", source })?;
            let told = told().map_err(|source| ServeError::System { doing: "await signals", source })?;
            let spawner = spawner.map_err(|source| ServeError::System { doing: "start a thread", source })?;
            let container =
                Container { environment, owns_machine: container, core_limit, engine, spawner, audit, self_args };
            serve(&grant, listener, container, log.clone(), told).await
        });
        // A write to a file system that hangs must not keep the container.
        runtime.shutdown_background();
        code
    });
    let code = match code {
        Ok(code) => ExitCode::from(code),
        Err(ServeError::Engine(error)) => {
            log.write(&Event::Refused { error: error.to_string() });
            ExitCode::from(roles::REFUSED)
        }
        Err(error) => {
            log.write(&Event::Failed { error: error.to_string() });
            ExitCode::FAILURE
        }
    };
    log.drain(LOG_GRACE);
    code
}

/// Recordings are more than what happens: a reader that cannot keep up with them must not hold up the sessions.
fn open_log(grant: &Grant, audit: Audit) -> io::Result<Log> {
    let run = grant.run.as_deref();
    if audit.record { Log::queued(run, Box::new(io::stdout())) } else { Ok(Log::to_stdout(run)) }
}

/// Why nothing can be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The engine that the image chose is not there.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// There is no host key to be had.
    #[error("the host key cannot be made: {0}")]
    HostKey(#[from] russh::keys::ssh_key::Error),
    /// The system refused.
    #[error("cannot {doing}: {source}")]
    System {
        /// What was tried.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

/// What the server finds around it.
#[derive(Debug)]
pub struct Container {
    /// The environment that sessions get.
    pub environment: Variables,
    /// Whether files below `/etc` are ours to write.
    pub owns_machine: bool,
    /// Soft and hard limit of core dumps for sessions, in bytes.
    pub core_limit: (u64, u64),
    /// What speaks SSH.
    pub engine: Engine,
    /// What starts processes with the container's rights.
    pub spawner: Spawner,
    /// How much the log tells.
    pub audit: Audit,
    /// As in [`roles::run`]: the engine `openssh` and sftp start the executable again.
    pub self_args: Vec<String>,
}

/// Serves until the lifetime ends or `told` does; returns the container's exit code. Everything it started has ended then, but
/// for processes that left their session.
///
/// # Errors
/// When the host key cannot be made, the engine is not there, or the listener has no address.
pub async fn serve(
    grant: &Grant,
    listener: TcpListener,
    container: Container,
    log: Log,
    told: impl Future<Output = ()> + Send + 'static,
) -> Result<u8, ServeError> {
    let host_key = host_key::host_key(grant)?;
    let public = host_key.public_key().clone();
    let openssh = match container.engine {
        Engine::Russh => None,
        Engine::OpenSsh => {
            let words: Vec<&str> = container.self_args.iter().map(String::as_str).collect();
            let key = Arc::new(host_key.clone());
            let (sshd, desk) =
                Sshd::prepare(grant, key, &container.environment, &words, container.spawner.clone()).await?;
            Some((Arc::new(sshd), desk))
        }
    };
    log.write(&Event::Listen {
        address: listener.local_addr().map_err(|source| ServeError::System { doing: "listen", source })?,
        host_key: public.to_openssh()?,
        fingerprint: host_key::fingerprint(&public),
    });
    let (happenings, mut happened) = mpsc::channel(HAPPENINGS);
    let server = Arc::new(Server {
        log: log.clone(),
        configs: Configs::new(&host_key, grant.key_exchange),
        admission: Admission::new(grant),
        startups: Startups::default(),
        // sshd speaks to one socket.
        links: Arc::new(Links::new(if openssh.is_some() { 1 } else { grant.links })),
        environment: container.environment,
        activity: Activity::new(),
        happenings: happenings.clone(),
        sessions: TaskTracker::new(),
        notice: Notice::new(grant),
        stopping: CancellationToken::new(),
        closing: CancellationToken::new(),
        core_limit: container.core_limit,
        reconnect_grace: grant.reconnect_grace,
        resumables: Resumables::default(),
        spawner: container.spawner,
        audit: container.audit,
        caller: grant.caller.clone(),
        forwarding: forward::State::new(grant.forwarding),
        self_args: container.self_args,
        sessions_so_far: Mutex::default(),
    });
    let tasks = TaskTracker::new();
    let (mut limits, mut sshd) = (Limits::from(grant), None);
    if let Some((found, desk)) = openssh {
        found.tell_limits(grant, &log);
        // sshd sees the bytes and we do not: it keeps this limit itself.
        limits.idle = None;
        openssh::connection::open_desk(desk, &server, &found, &tasks);
        sshd = Some(found);
    }
    tasks.spawn(accept(listener, Arc::clone(&server), sshd, tasks.clone()));
    let noticing = Arc::clone(&server);
    let telling = tokio::spawn(async move {
        told.await;
        // A client that is done stops the task at once: nobody is left to be given notice.
        let has_time = !noticing.is_done() && noticing.notice.give(&noticing.log);
        let _ = happenings.send(if has_time { Happening::Noticed } else { Happening::Told }).await;
    });
    files::write(&server.environment, container.owns_machine, &log);
    let ending = ending(limits, &mut happened, &server.activity).await;
    telling.abort();
    // A client that is done stops the task at once: the signal may overtake its goodbye, but not the last session's end.
    let ending = if ending == Ending::Told && server.is_done() { Ending::Disconnected } else { ending };
    // Connections that tell of their end must not wait for somebody who has stopped listening.
    happened.close();
    stop(&server, &tasks).await;
    let code = ending.code(server.so_far().last_code);
    log.write(&Event::Exit { reason: ending.reason().to_owned(), code });
    Ok(code)
}

/// Ends sessions, then connections, within [`limits::TERM_GRACE`].
async fn stop(server: &Server, connections: &TaskTracker) {
    let stopped = async {
        server.stopping.cancel();
        server.sessions.close();
        server.sessions.wait().await;
        server.closing.cancel();
        connections.close();
        connections.wait().await;
        server.forwarding.ended().await;
    };
    // What is left then ends with this process.
    let _ = timeout(limits::TERM_GRACE, stopped).await;
    server.closing.cancel();
}

async fn accept(listener: TcpListener, server: Arc<Server>, sshd: Option<Arc<Sshd>>, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.is_settled() => return,
            () = server.stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let place = tokio::select! {
                    place = server.startups.take(peer.ip()) => place,
                    () = server.is_settled() => return,
                    () = server.stopping.cancelled() => return,
                };
                let server = Arc::clone(&server);
                match &sshd {
                    None => tasks.spawn(connection::serve(stream, peer, server, place)),
                    Some(sshd) => {
                        tasks.spawn(openssh::connection::serve(stream, peer, server, Arc::clone(sshd), place))
                    }
                };
            }
            // Out of descriptors or memory: connections that end give some back.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// Every address, IPv6 and IPv4, unless the grant names one; IPv4 alone on a host without IPv6.
async fn listen(grant: &Grant) -> io::Result<TcpListener> {
    let bind = |address: IpAddr| TcpListener::bind(SocketAddr::new(address, grant.port));
    match grant.listen {
        Some(address) => bind(address).await,
        None => match bind(Ipv6Addr::UNSPECIFIED.into()).await {
            Ok(listener) => Ok(listener),
            Err(_) => bind(Ipv4Addr::UNSPECIFIED.into()).await,
        },
    }
}

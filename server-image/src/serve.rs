//! The role `serve`: read the grant, listen, run the SSH server until the container's lifetime ends.

use std::io::{self, Read as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fargate_contract::{Grant, KeyExchange, limits};
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use russh::keys::{Algorithm, HashAlg, PrivateKey};
use russh::server::Config;
use russh::{MethodKind, MethodSet, Preferred, SshId};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zeroize::Zeroizing;

use crate::admission::Admission;
use crate::engine::{self, Engine, EngineError};
use crate::environment::{self, Variables, files};
use crate::lifetime::{Activity, Ending, Happening, Limits, ending};
use crate::log::{Event, Log};
use crate::notice::Notice;
use crate::openssh::{self, Sshd};
use crate::resumable::Resumables;
use crate::spawner::Spawner;
use crate::startups::Startups;
use crate::{connection, handover, host_key, roles};

/// Silence after which the peer is asked for a sign of life, and how often it may owe one. Behind NATs and load balancers
/// idle connections are forgotten after minutes.
pub(crate) const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
pub(crate) const KEEPALIVE_MAX: usize = 3;

/// What a refused key costs its bearer. An ed25519 key cannot be guessed, and an agent may hold several.
const REJECTION_TIME: Duration = Duration::from_millis(100);

/// Algorithms of the keys that may log in, told to the client as `server-sig-algs`; the host key is ed25519. RSA keys are the
/// ancestor's, and never sign with SHA-1.
const KEY_ALGORITHMS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Pause after the system had no descriptor or memory for a connection: long enough not to spin, too short to notice.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Happenings that may wait for the lifetime, which always listens.
const HAPPENINGS: usize = 16;

/// Part of [`limits::TERM_GRACE`] that sessions have; the rest is for their last bytes and the goodbye.
pub(crate) const SESSION_GRACE: Duration = Duration::from_secs(3);

/// What every connection and session shares.
pub(crate) struct Server {
    pub(crate) log: Log,
    pub(crate) config: Arc<Config>,
    pub(crate) admission: Admission,
    pub(crate) startups: Startups,
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
    let asked = read_grant().and_then(|grant| Ok((grant, chosen.map_err(|error| error.to_string())?)));
    let (grant, engine) = match asked {
        Ok(asked) => asked,
        Err(error) => {
            Log::to_stdout(None).write(&Event::Refused { error });
            return ExitCode::from(roles::REFUSED);
        }
    };
    let log = Log::to_stdout(grant.run.as_deref());
    log.write(&Event::Start { role: "serve", version: env!("CARGO_PKG_VERSION"), pid: std::process::id() });
    let environment = environment::of_container(std::env::vars_os());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let self_args = self_args.iter().map(|word| (*word).to_owned()).collect();
    let code = runtime.map_err(|source| ServeError::System { doing: "run", source }).and_then(|runtime| {
        let code = runtime.block_on(async {
            let listener = listen(&grant).await.map_err(|source| ServeError::System { doing: "listen", source })?;
            let told = told().map_err(|source| ServeError::System { doing: "await signals", source })?;
            let spawner = spawner.map_err(|source| ServeError::System { doing: "start a thread", source })?;
            let container = Container { environment, owns_machine: container, core_limit, engine, spawner, self_args };
            serve(&grant, listener, container, log.clone(), told).await
        });
        // A write to a file system that hangs must not keep the container.
        runtime.shutdown_background();
        code
    });
    match code {
        Ok(code) => ExitCode::from(code),
        Err(ServeError::Engine(error)) => {
            log.write(&Event::Refused { error: error.to_string() });
            ExitCode::from(roles::REFUSED)
        }
        Err(error) => {
            log.write(&Event::Failed { error: error.to_string() });
            ExitCode::FAILURE
        }
    }
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
    /// As in [`roles::run`]; the engine `openssh` starts the executable again.
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
        config: Arc::new(config(host_key, grant.key_exchange)),
        admission: Admission::new(grant),
        startups: Startups::default(),
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
    };
    // What is left then ends with this process.
    let _ = timeout(limits::TERM_GRACE, stopped).await;
    server.closing.cancel();
}

async fn accept(listener: TcpListener, server: Arc<Server>, sshd: Option<Arc<Sshd>>, tasks: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = server.admission.burnt() => return,
            () = server.stopping.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => {
                let place = tokio::select! {
                    place = server.startups.take(peer.ip()) => place,
                    () = server.admission.burnt() => return,
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

fn config(host_key: PrivateKey, key_exchange: KeyExchange) -> Config {
    let offered = match key_exchange {
        KeyExchange::Any => ssh_flow::preferred(),
        KeyExchange::PostQuantum => ssh_flow::post_quantum(ssh_flow::preferred()),
    };
    let software = concat!("fargate-init_", env!("CARGO_PKG_VERSION"));
    Config {
        server_id: SshId::Standard(ssh_flow::software_id(software).into()),
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: REJECTION_TIME,
        // OpenSSH asks for the methods with an attempt that must fail.
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        window_size: ssh_flow::WINDOW_SIZE,
        maximum_packet_size: ssh_flow::MAXIMUM_PACKET_SIZE,
        channel_buffer_size: ssh_flow::CHANNEL_BUFFER_SIZE,
        preferred: Preferred { key: KEY_ALGORITHMS.into(), ..offered },
        inactivity_timeout: None,
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVE_MAX,
        ..Config::default()
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

/// The host key and the grant are in our memory: no other process of this user may look into it, no core dump may hold it. This
/// thread, and every one that it starts, cannot gain rights by running a program. Returns the limit of core dumps that sessions
/// get back.
fn harden() -> (u64, u64) {
    let limit = getrlimit(Resource::RLIMIT_CORE).unwrap_or((0, 0));
    // A kernel that refuses these leaves us where every program is.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, limit.1);
    let _ = prctl::set_dumpable(false);
    let _ = prctl::set_no_new_privs();
    limit
}

fn read_grant() -> Result<Grant, String> {
    // Room for all of it and for the read that finds the end: growing would leave copies behind.
    let mut records = Zeroizing::new(Vec::with_capacity(handover::MAX_BYTES + 1));
    let mut stdin = io::stdin().lock().take(handover::MAX_BYTES as u64);
    stdin.read_to_end(&mut records).map_err(|error| format!("the grant cannot be read: {error}"))?;
    handover::grant(&records).map_err(|error| error.to_string())
}

/// Completes at the first signal that asks us to stop. USR1, USR2 and ALRM would end a process that does not await them.
fn told() -> io::Result<impl Future<Output = ()> + Send + 'static> {
    let harmless = [SignalKind::user_defined1(), SignalKind::user_defined2(), SignalKind::alarm()];
    let harmless = harmless.into_iter().map(signal).collect::<io::Result<Vec<_>>>()?;
    let mut term = signal(SignalKind::terminate())?;
    let (mut int, mut hup, mut quit) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?, signal(SignalKind::quit())?);
    Ok(async move {
        let _kept = harmless;
        tokio::select! {
            _ = term.recv() => {}
            _ = int.recv() => {}
            _ = hup.recv() => {}
            _ = quit.recv() => {}
        }
    })
}

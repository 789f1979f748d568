//! The socket through which a session's programs reach the agent at the client: in a directory of the session's own, and gone with
//! the session.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use russh::server::Handle;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::listener::UnixSocket;
use super::offer::{self, Offer};
use super::refusal::Refusal;
use super::relay::Stream;
use super::{Connection, as_user};
use crate::accounts::User;
use crate::serve::ACCEPT_PAUSE;

/// Where the directory may lie. The first is where everybody may make one; a read-only root file system still has the second.
const PLACES: [&str; 4] = ["/tmp", "/dev/shm", "/run", "/var/tmp"];

/// The directory is its user's alone.
const PRIVATE: u32 = 0o700;

/// A session's socket. Its file and its directory go when it is dropped.
pub(crate) struct AgentSocket {
    path: PathBuf,
    route: AgentRoute,
    _stopped: DropGuard,
}

/// Which connection the agent is reached by. Clones are the same route.
#[derive(Clone)]
pub(crate) struct AgentRoute(Arc<Mutex<(Arc<Connection>, Handle)>>);

impl AgentSocket {
    /// Opens one for a user.
    pub(super) fn open(connection: Arc<Connection>, handle: Handle, user: &User) -> Result<Self, Refusal> {
        let directory = Directory::make(user)?;
        let path = directory.path.join("agent");
        let socket = UnixSocket::bind(&path, user)?;
        let stopped = CancellationToken::new();
        let route = AgentRoute(Arc::new(Mutex::new((connection, handle))));
        tokio::spawn(accept(socket, directory, route.clone(), stopped.clone()));
        Ok(Self { path, route, _stopped: stopped.drop_guard() })
    }

    /// What SSH_AUTH_SOCK says.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn route(&self) -> AgentRoute {
        self.route.clone()
    }
}

impl AgentRoute {
    /// Leads to the client's next connection.
    pub(super) fn lead(&self, connection: Arc<Connection>, handle: Handle) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (connection, handle);
    }

    fn current(&self) -> (Arc<Connection>, Handle) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The socket is dropped before its directory.
async fn accept(socket: UnixSocket, _directory: Directory, route: AgentRoute, stopped: CancellationToken) {
    let socket = socket;
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = stopped.cancelled() => return,
        };
        match accepted {
            Ok(stream) => {
                // Of a connection that is lost, the client's answer is that there is none: the program finds its agent gone.
                let (connection, handle) = route.current();
                offer::begin(&connection, &handle, Offer::Agent, Stream::Unix(stream));
            }
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// A user's private directory; removed when dropped, if it is empty.
struct Directory {
    path: PathBuf,
    user: User,
}

impl Directory {
    fn make(user: &User) -> io::Result<Self> {
        let mut failure = None;
        for place in PLACES.map(Path::new) {
            let path = place.join(format!("fargate-login-{:016x}", rand_name()));
            match as_user(user, || DirBuilder::new().mode(PRIVATE).create(&path)) {
                Ok(()) => return Ok(Self { path, user: user.clone() }),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // What cannot be removed goes with the container.
        let _ = as_user(&self.user, || fs::remove_dir(&self.path));
    }
}

/// Two sessions need different names. Nothing rests on nobody's guessing them: a name that is taken is an error.
fn rand_name() -> u64 {
    use std::hash::{BuildHasher as _, Hasher as _, RandomState};
    RandomState::new().build_hasher().finish()
}

//! Where the container listens for its client: ports, and sockets of the file system.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdTcpListener};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener as StdUnixListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use russh::server::Handle;
use tokio::net::{TcpListener, UnixListener};
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use super::offer::{self, Offer};
use super::refusal::Refusal;
use super::relay::Stream;
use super::standing::Held;
use super::{Connection, absolute, as_user};
use crate::accounts::User;
use crate::log::Event;
use crate::serve::ACCEPT_PAUSE;

/// Connections that may wait to be accepted, as Rust's library has it.
const BACKLOG: i32 = 128;

/// Nobody but the user may connect, as OpenSSH's `StreamLocalBindMask` has it.
const OWN: u32 = 0o600;

/// Something that listens as long as this exists.
pub(super) struct Listener {
    held: Arc<Held>,
    _stopped: DropGuard,
}

impl Listener {
    /// Listens on a port of an address: `localhost` is loopback, an empty one or `*` is every one (RFC 4254, section 7.1).
    pub(super) fn tcp(
        connection: Arc<Connection>,
        handle: Handle,
        user: &User,
        address: &str,
        port: u32,
    ) -> Result<Self, Refusal> {
        let wanted = u16::try_from(port).map_err(|_| Refusal::NotAPort)?;
        let addresses = addresses(address).ok_or(Refusal::NotAnAddress)?;
        let bound = as_user(user, || bind_tcp(&addresses, wanted))?;
        let listeners = bound.into_iter().map(TcpListener::from_std).collect::<io::Result<Vec<_>>>()?;
        let mut named = Vec::new();
        let mut place = Offer::Tcp { address: address.to_owned(), port };
        for listener in listeners {
            let local = listener.local_addr()?;
            place = Offer::Tcp { address: address.to_owned(), port: u32::from(local.port()) };
            named.push((local.to_string(), Socket::Tcp(listener)));
        }
        Ok(Self::start(connection, &handle, place, named))
    }

    /// Listens on a new socket of the file system, which goes with the listener.
    pub(super) fn unix(connection: Arc<Connection>, handle: Handle, user: &User, path: &str) -> Result<Self, Refusal> {
        let file = absolute(path)?;
        let bound = UnixSocket::bind(file, user)?;
        let place = Offer::Unix { path: path.to_owned() };
        Ok(Self::start(connection, &handle, place, vec![(path.to_owned(), Socket::Unix(bound))]))
    }

    fn start(connection: Arc<Connection>, handle: &Handle, place: Offer, sockets: Vec<(String, Socket)>) -> Self {
        let held = Held { connection, stopped: CancellationToken::new(), tasks: TaskTracker::new(), place };
        let held = Arc::new(held);
        let server = &held.connection.server;
        server.forwarding.standing.note(&held);
        for (address, socket) in sockets {
            let kind = held.place.kind().name();
            server.log.write(&Event::ForwardListen { kind, address: &super::clipped(&address) });
            let accepting =
                accept(Arc::clone(&held.connection), handle.clone(), held.place.clone(), socket, held.stopped.clone());
            server.forwarding.tasks.spawn(held.tasks.track_future(accepting));
        }
        let stopped = held.stopped.clone().drop_guard();
        Self { held, _stopped: stopped }
    }

    /// The port that it has; 0 for one of the file system.
    pub(super) fn port(&self) -> u32 {
        match self.held.place {
            Offer::Tcp { port, .. } => port,
            Offer::Unix { .. } | Offer::Agent => 0,
        }
    }

    pub(super) fn is_tcp(&self, wanted: &str, wanted_port: u32) -> bool {
        matches!(&self.held.place, Offer::Tcp { address, port } if address == wanted && *port == wanted_port)
    }

    pub(super) fn is_unix(&self, wanted: &str) -> bool {
        matches!(&self.held.place, Offer::Unix { path } if path == wanted)
    }
}

enum Socket {
    Tcp(TcpListener),
    Unix(UnixSocket),
}

impl Socket {
    async fn accept(&self) -> io::Result<Stream> {
        match self {
            Self::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok(Stream::Tcp(stream))
            }
            Self::Unix(socket) => socket.accept().await.map(Stream::Unix),
        }
    }
}

async fn accept(connection: Arc<Connection>, handle: Handle, place: Offer, socket: Socket, stopped: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = socket.accept() => accepted,
            () = stopped.cancelled() => return,
        };
        match accepted {
            Ok(stream) => offer::begin(&connection, &handle, place.clone(), stream),
            // Out of descriptors or memory, or gone before it was taken: forwards that end give some back.
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

/// What a client's word for an address means; names are not looked up.
fn addresses(word: &str) -> Option<Addresses> {
    match word {
        "" | "*" => Some(Addresses::All),
        word if word.eq_ignore_ascii_case("localhost") => Some(Addresses::Loopback),
        word => word.parse().ok().map(Addresses::One),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Addresses {
    All,
    Loopback,
    One(IpAddr),
}

/// Binds what can be bound, of both families the same port; fails where nothing can.
fn bind_tcp(addresses: &Addresses, port: u16) -> io::Result<Vec<StdTcpListener>> {
    let bind = |address: IpAddr, port: u16| -> io::Result<StdTcpListener> {
        let listener = StdTcpListener::bind(SocketAddr::new(address, port))?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    };
    match addresses {
        // Takes IPv4 as well; alone on a host without IPv6.
        Addresses::All => {
            let bound = bind(Ipv6Addr::UNSPECIFIED.into(), port).or_else(|_| bind(Ipv4Addr::UNSPECIFIED.into(), port));
            Ok(vec![bound?])
        }
        Addresses::One(address) => Ok(vec![bind(*address, port)?]),
        Addresses::Loopback => {
            let first = bind(Ipv4Addr::LOCALHOST.into(), port);
            let port = first.as_ref().ok().and_then(|first| first.local_addr().ok()).map_or(port, |local| local.port());
            match (first, bind(Ipv6Addr::LOCALHOST.into(), port)) {
                (Ok(first), second) => Ok(vec![Some(first), second.ok()].into_iter().flatten().collect()),
                (Err(_), Ok(second)) => Ok(vec![second]),
                (Err(error), Err(_)) => Err(error),
            }
        }
    }
}

/// A listening socket with a name in the file system, which is removed with it.
#[derive(Debug)]
pub(super) struct UnixSocket {
    listener: UnixListener,
    path: PathBuf,
    /// Device and inode: what bears the name later may be another's.
    file: (u64, u64),
    user: User,
}

impl UnixSocket {
    /// Makes a socket with the user's rights, for that user alone. A name that is taken is an error, as everywhere.
    pub(super) fn bind(path: &Path, user: &User) -> io::Result<Self> {
        let (listener, file) = as_user(user, || bind_unix(path))?;
        Ok(Self { listener: UnixListener::from_std(listener)?, path: path.to_owned(), file, user: user.clone() })
    }

    pub(super) async fn accept(&self) -> io::Result<tokio::net::UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        // What cannot be removed goes with the container.
        let _ = as_user(&self.user, || match fs::symlink_metadata(&self.path) {
            Ok(found) if (found.dev(), found.ino()) == self.file => fs::remove_file(&self.path),
            _ => Ok(()),
        });
    }
}

fn bind_unix(path: &Path) -> io::Result<(StdUnixListener, (u64, u64))> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    // Before anybody can connect: the umask is whatever it is.
    fs::set_permissions(path, fs::Permissions::from_mode(OWN))?;
    listen(&socket, Backlog::new(BACKLOG)?)?;
    let file = fs::symlink_metadata(path)?;
    Ok((socket.into(), (file.dev(), file.ino())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clients_words_for_addresses() {
        assert_eq!((addresses(""), addresses("*")), (Some(Addresses::All), Some(Addresses::All)));
        assert_eq!(addresses("Localhost"), Some(Addresses::Loopback));
        assert_eq!(addresses("::1"), Some(Addresses::One(Ipv6Addr::LOCALHOST.into())));
        assert_eq!((addresses("db.internal"), addresses("[::1]")), (None, None));
    }

    #[test]
    fn loopback_has_one_port_in_both_families() {
        let bound = bind_tcp(&Addresses::Loopback, 0).expect("loopback");
        let ports: Vec<u16> = bound.iter().map(|listener| listener.local_addr().expect("bound").port()).collect();
        assert!(!ports.is_empty() && ports.iter().all(|port| *port == ports[0]), "{ports:?}");
        let error = bind_tcp(&Addresses::One(Ipv4Addr::LOCALHOST.into()), ports[0]).expect_err("it is taken");
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    }
}

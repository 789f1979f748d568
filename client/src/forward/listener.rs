//! Local listeners: bound before anything is launched, so that a port that is taken costs nothing.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use rustix::fs::Mode;
use tokio::net::{TcpListener, UnixListener};

use super::owner::owner;
use super::spec::{Bind, Listen, bracketed};
use super::stream::Stream;
use crate::error::Advice;

/// How often a port that the system chose for one address is tried on the other.
const DRAWS: usize = 16;

/// Addresses that are one listener for the user: loopback is two, `localhost` being either.
#[derive(Debug)]
pub(super) struct Listener {
    sockets: Vec<Socket>,
    /// Where it listens, as it is told.
    pub(super) at: At,
}

/// Where somebody listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// On a TCP port.
    Tcp {
        /// An address to connect to from this machine.
        host: String,
        /// The port.
        port: u16,
    },
    /// On a Unix socket.
    Unix(PathBuf),
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: SocketFile },
}

/// The file goes with the listener.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // Somebody may have removed it already.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {at}: {why}")]
pub struct BindError {
    /// Where it was asked for.
    pub at: String,
    /// Why not.
    pub why: Obstacle,
}

/// What is in a listener's way.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// Somebody else listens there.
    #[error("{}", .owner.as_ref().map_or_else(|| "it is in use".to_owned(), |owner| format!("it is in use by {owner}")))]
    Busy {
        /// The process, where it can be seen.
        owner: Option<String>,
    },
    /// The port is for others.
    #[error("ports below {first} need a privilege")]
    Privileged {
        /// The first that does not.
        first: u16,
    },
    /// The address is a name, and has no address.
    #[error("the address `{address}` is not known: {cause}")]
    Unresolvable {
        /// The name.
        address: String,
        /// The resolver's words.
        cause: String,
    },
    /// The address is another machine's.
    #[error("this machine does not have that address")]
    NotHere,
    /// Something else.
    #[error(transparent)]
    Io(io::Error),
}

impl Advice for BindError {
    fn hints(&self) -> Vec<String> {
        let hint = match &self.why {
            Obstacle::Busy { .. } if self.at.contains('/') => "remove the file, or choose another".to_owned(),
            Obstacle::Busy { .. } => {
                "choose another port, or 0 for one that is free; `--keep-going` does without".to_owned()
            }
            Obstacle::Privileged { first } => format!("choose a port from {first}, or 0 for one that is free"),
            Obstacle::Unresolvable { .. } => "name an address of this machine, `localhost`, or `*` for all".to_owned(),
            Obstacle::NotHere => "name an address of this machine, or none for loopback".to_owned(),
            Obstacle::Io(_) => return Vec::new(),
        };
        vec![hint]
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{}:{port}", bracketed(host)),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Listener {
    /// Listens. With `gateway_ports`, a listener that names no address is for every address.
    ///
    /// # Errors
    /// [`BindError`].
    pub(super) async fn bind(listen: &Listen, gateway_ports: bool) -> Result<Self, BindError> {
        let bound = match listen {
            Listen::Unix(path) => bind_unix(path).map_err(Obstacle::Io),
            Listen::Tcp { bind, port } => match addresses(bind, *port, gateway_ports).await {
                Ok(addresses) => bind_all(&addresses, *port).await.map_err(|error| obstacle(error, *port)),
                Err(obstacle) => Err(obstacle),
            },
        };
        bound.map_err(|why| {
            let why = match why {
                Obstacle::Io(error) if error.kind() == ErrorKind::AddrInUse => Obstacle::Busy { owner: None },
                other => other,
            };
            BindError { at: listen.to_string(), why }
        })
    }

    /// Waits for the next connection, and tells where it comes from. Cancel-safe.
    ///
    /// # Errors
    /// What accepting failed with: mostly that there are no more descriptors.
    pub(super) async fn accept(&self) -> io::Result<(Stream, (String, u16))> {
        let accepting = self.sockets.iter().map(|socket| Box::pin(socket.accept()));
        first(accepting.collect()).await
    }
}

impl Socket {
    async fn accept(&self) -> io::Result<(Stream, (String, u16))> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                let stream = Stream::Tcp(stream);
                stream.send_at_once();
                Ok((stream, (peer.ip().to_string(), peer.port())))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                // A connection from nowhere has no address (RFC 4254 wants one): loopback is true enough.
                Ok((Stream::Unix(stream), (Ipv4Addr::LOCALHOST.to_string(), 0)))
            }
        }
    }
}

/// The first of several that is ready. Those that are not lose nothing.
async fn first<F: Future + Unpin>(mut all: Vec<F>) -> F::Output {
    std::future::poll_fn(|context| {
        let ready = all.iter_mut().find_map(|one| match std::pin::Pin::new(one).poll(context) {
            std::task::Poll::Ready(output) => Some(output),
            std::task::Poll::Pending => None,
        });
        ready.map_or(std::task::Poll::Pending, std::task::Poll::Ready)
    })
    .await
}

/// Addresses to listen on; all but the first may be missing on this machine.
async fn addresses(bind: &Bind, port: u16, gateway_ports: bool) -> Result<Vec<IpAddr>, Obstacle> {
    let loopback = || vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
    match bind {
        Bind::Unsaid if !gateway_ports => Ok(loopback()),
        Bind::Unsaid | Bind::Every => Ok(vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()]),
        Bind::Address(name) if name.eq_ignore_ascii_case("localhost") => Ok(loopback()),
        Bind::Address(name) => match tokio::net::lookup_host((&name[..], port)).await {
            Ok(found) => Ok(found.map(|found| found.ip()).collect()),
            Err(error) => Err(Obstacle::Unresolvable { address: name.clone(), cause: error.to_string() }),
        },
    }
}

/// Binds all addresses to one port. A family that this machine does not have is left out, as long as there is another.
async fn bind_all(addresses: &[IpAddr], port: u16) -> io::Result<Listener> {
    let mut last = io::Error::from(ErrorKind::AddrNotAvailable);
    for _ in 0..DRAWS {
        match bind_once(addresses, port).await {
            // What the system chose for one address is taken on another: it chooses again.
            Err(error) if port == 0 && error.kind() == ErrorKind::AddrInUse => last = error,
            other => return other,
        }
    }
    Err(last)
}

async fn bind_once(addresses: &[IpAddr], port: u16) -> io::Result<Listener> {
    let (mut sockets, mut bound, mut missing) = (Vec::new(), None::<SocketAddr>, None);
    for address in addresses {
        let port = bound.map_or(port, |bound| bound.port());
        match TcpListener::bind((*address, port)).await {
            Ok(listener) => {
                bound = bound.or(Some(listener.local_addr()?));
                sockets.push(Socket::Tcp(listener));
            }
            // A socket for every IPv6 address is one for every IPv4 address too, unless the system says otherwise.
            Err(error) if error.kind() == ErrorKind::AddrInUse && is_covered(bound, *address) => {}
            Err(error) if is_missing(&error) => missing = Some(error),
            Err(error) => return Err(error),
        }
    }
    let Some(bound) = bound else { return Err(missing.unwrap_or_else(|| ErrorKind::AddrNotAvailable.into())) };
    let host = match bound.ip() {
        any if any.is_unspecified() => Ipv4Addr::LOCALHOST.to_string(),
        one => one.to_string(),
    };
    Ok(Listener { sockets, at: At::Tcp { host, port: bound.port() } })
}

fn is_covered(bound: Option<SocketAddr>, address: IpAddr) -> bool {
    bound.is_some_and(|bound| bound.ip() == Ipv6Addr::UNSPECIFIED) && address == Ipv4Addr::UNSPECIFIED
}

/// The machine has no such family, or not this address.
fn is_missing(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(nix::errno::Errno::EAFNOSUPPORT as i32)
}

fn obstacle(error: io::Error, port: u16) -> Obstacle {
    match error.kind() {
        ErrorKind::AddrInUse => Obstacle::Busy { owner: owner(port) },
        ErrorKind::PermissionDenied => Obstacle::Privileged { first: first_unprivileged() },
        ErrorKind::AddrNotAvailable => Obstacle::NotHere,
        _ => Obstacle::Io(error),
    }
}

/// The first port that needs no privilege: 1024, unless the system has been told otherwise (ip(7)).
fn first_unprivileged() -> u16 {
    let told = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok();
    told.and_then(|text| text.trim().parse().ok()).unwrap_or(1024)
}

/// A socket that this user alone may connect to. A file that a killed listener left is replaced.
fn bind_unix(path: &Path) -> io::Result<Listener> {
    let bind = || {
        // The mask is the whole process's, for this moment: nothing else makes files before the task is launched.
        let mask = rustix::process::umask(Mode::RWXG | Mode::RWXO | Mode::XUSR);
        let bound = UnixListener::bind(path);
        rustix::process::umask(mask);
        bound
    };
    let listener = match bind() {
        Err(error) if error.kind() == ErrorKind::AddrInUse && is_abandoned(path) => {
            std::fs::remove_file(path)?;
            bind()?
        }
        bound => bound?,
    };
    let _file = SocketFile(path.to_owned());
    Ok(Listener { sockets: vec![Socket::Unix { listener, _file }], at: At::Unix(path.to_owned()) })
}

/// Whether it is a socket that nobody listens on.
fn is_abandoned(path: &Path) -> bool {
    use std::os::unix::fs::FileTypeExt as _;
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|file| file.file_type().is_socket());
    let connected = std::os::unix::net::UnixStream::connect(path);
    is_socket && connected.is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn tcp(bind: Bind, port: u16) -> Listen {
        Listen::Tcp { bind, port }
    }

    async fn refused(listen: &Listen) -> BindError {
        Listener::bind(listen, false).await.expect_err("an obstacle")
    }

    #[tokio::test]
    async fn a_port_is_one_on_both_loopback_addresses() {
        let listener = Listener::bind(&tcp(Bind::Unsaid, 0), false).await.expect("a port");
        let At::Tcp { host, port } = listener.at.clone() else { panic!("{listener:?}") };
        assert_eq!(host, "127.0.0.1");
        let connected = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("listening");
        let (_, origin) = listener.accept().await.expect("a connection");
        assert_eq!(origin, ("127.0.0.1".to_owned(), connected.local_addr().expect("connected").port()));
        if let Ok(connected) = tokio::net::TcpStream::connect(("::1", port)).await {
            let (_, origin) = listener.accept().await.expect("a connection");
            assert_eq!(origin, ("::1".to_owned(), connected.local_addr().expect("connected").port()));
        }
        let busy = refused(&tcp(Bind::Unsaid, port)).await;
        match &busy.why {
            Obstacle::Busy { owner } if Path::new("/proc/net/tcp").exists() => {
                assert!(owner.as_ref().is_some_and(|owner| owner.contains("pid")), "{busy}");
            }
            Obstacle::Busy { .. } => {}
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn every_address_is_one_listener() {
        let listener = Listener::bind(&tcp(Bind::Every, 0), false).await.expect("a port");
        let At::Tcp { port, .. } = listener.at.clone() else { panic!("{listener:?}") };
        let _connected = tokio::net::TcpStream::connect(("127.0.0.1", port)).await.expect("listening");
        listener.accept().await.expect("a connection");
        let gateway = Listener::bind(&tcp(Bind::Unsaid, 0), true).await.expect("a port");
        assert_eq!(gateway.sockets.len(), listener.sockets.len());
    }

    #[tokio::test]
    async fn addresses_that_are_not_ours_are_told_apart() {
        let bind = |address: &str| tcp(Bind::Address(address.to_owned()), 0);
        assert!(matches!(refused(&bind("192.0.2.1")).await.why, Obstacle::NotHere));
        let unknown = refused(&bind("no-such-host.invalid")).await;
        assert!(matches!(unknown.why, Obstacle::Unresolvable { .. }), "{unknown:?}");
    }

    #[test]
    fn a_port_that_needs_a_privilege_is_told_with_one_that_does_not() {
        let error = BindError { at: "port 80".to_owned(), why: obstacle(ErrorKind::PermissionDenied.into(), 80) };
        let first = first_unprivileged();
        assert_eq!(error.to_string(), format!("cannot listen on port 80: ports below {first} need a privilege"));
        assert_eq!(error.hints(), [format!("choose a port from {first}, or 0 for one that is free")]);
    }

    #[tokio::test]
    async fn a_sockets_file_is_the_users_alone_and_goes_with_the_listener() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a socket\nü");
        let listen = Listen::Unix(path.clone());
        let listener = Listener::bind(&listen, false).await.expect("a socket");
        let mode = std::fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(refused(&listen).await.why, Obstacle::Busy { .. }));
        drop(listener);
        assert!(!path.exists());
        // What a listener left that was killed.
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
        assert!(path.exists());
        Listener::bind(&listen, false).await.expect("in place of the abandoned one");
        std::fs::write(&path, "").expect("a file");
        assert!(matches!(refused(&listen).await.why, Obstacle::Busy { .. }), "a file is nobody's to remove");
        assert!(path.exists());
    }
}

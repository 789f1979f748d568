//! Connecting to what a client names: a port of a host, over whichever of its addresses answers first, or a socket of the file system.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect as connect_socket, socket};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};

use super::refusal::Refusal;
use super::relay::Stream;
use super::{absolute, as_user, resolve};
use crate::accounts::User;

/// Time for one address to answer. Longer than a lost SYN and its two repetitions take (1 s, 3 s, 7 s).
const PATIENCE: Duration = Duration::from_secs(10);

/// Head start of one address before the next is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Pause before a socket whose queue is full is tried again; nothing tells of a place in it.
const QUEUE_PAUSE: Duration = Duration::from_millis(50);

/// What a client names.
#[derive(Debug)]
pub(super) enum Target {
    Tcp { host: String, port: u16 },
    Unix(PathBuf),
}

impl Target {
    pub(super) fn tcp(host: &str, port: u32) -> Result<Self, Refusal> {
        let port = u16::try_from(port).ok().filter(|port| *port > 0).ok_or(Refusal::NotAPort)?;
        Ok(Self::Tcp { host: host.to_owned(), port })
    }

    pub(super) fn unix(path: &str) -> Result<Self, Refusal> {
        absolute(path).map(|path| Self::Unix(path.to_owned()))
    }
}

/// Connects, to a socket of the file system with the user's rights.
pub(super) async fn connect(target: Target, user: &User, lookups: &Arc<Semaphore>) -> Result<Stream, Refusal> {
    match target {
        Target::Tcp { host, port } => {
            let addresses = resolve::resolve(&host, port, lookups).await?;
            let stream = first(by_turns(addresses)).await?;
            stream.set_nodelay(true)?;
            Ok(Stream::Tcp(stream))
        }
        Target::Unix(path) => connect_unix(path, user).await.map(Stream::Unix),
    }
}

/// Connects to the addresses one after the other, each with a head start, until one answers (RFC 8305).
async fn first(addresses: Vec<SocketAddr>) -> Result<TcpStream, Refusal> {
    let mut attempts = JoinSet::new();
    let mut rest = addresses.into_iter();
    let mut failure = None;
    loop {
        if let Some(address) = rest.next() {
            attempts.spawn(async move {
                let connected = timeout(PATIENCE, TcpStream::connect(address)).await;
                connected.map_err(|_| Refusal::TimedOut("nobody answers"))?.map_err(Refusal::from)
            });
        }
        let head_start = async {
            match rest.len() {
                0 => std::future::pending().await,
                _ => sleep(HEAD_START).await,
            }
        };
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => failure = Some(more_telling(failure, error)),
                Some(Err(lost)) => failure = Some(Refusal::System(io::Error::other(lost))),
                None => return Err(failure.unwrap_or(Refusal::TimedOut("nobody answers"))),
            },
            () = head_start => {}
        }
    }
}

/// That the container has no route over IPv6 says less than what the other address answered.
fn more_telling(before: Option<Refusal>, now: Refusal) -> Refusal {
    use io::ErrorKind::{AddrNotAvailable, HostUnreachable, NetworkUnreachable};
    let no_way = |refusal: &Refusal| match refusal {
        Refusal::System(error) => matches!(error.kind(), AddrNotAvailable | HostUnreachable | NetworkUnreachable),
        _ => false,
    };
    match before {
        Some(before) if no_way(&now) || !no_way(&before) => before,
        _ => now,
    }
}

/// The families by turns, the first one's first (RFC 8305, section 4).
fn by_turns(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (ours, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let longer = ours.len().max(others.len());
    (0..longer).flat_map(|index| [ours.get(index), others.get(index)]).flatten().copied().collect()
}

async fn connect_unix(path: PathBuf, user: &User) -> Result<UnixStream, Refusal> {
    let until = Instant::now() + PATIENCE;
    loop {
        // Looking a path up may take as long as its file system does.
        let (path, user) = (path.clone(), user.clone());
        let connected = spawn_blocking(move || as_user(&user, || open_unix(&path))).await;
        match connected.unwrap_or_else(|lost| Err(io::Error::other(lost))) {
            Err(full) if full.kind() == io::ErrorKind::WouldBlock && Instant::now() < until => {
                sleep(QUEUE_PAUSE).await;
            }
            Err(full) if full.kind() == io::ErrorKind::WouldBlock => {
                return Err(Refusal::TimedOut("its queue is full"));
            }
            connected => return Ok(UnixStream::from_std(connected?)?),
        }
    }
}

/// Does not wait for a place in the socket's queue.
fn open_unix(path: &Path) -> io::Result<StdUnixStream> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect_socket(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(socket.into())
}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;
    use tokio::net::TcpListener;

    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn families_take_turns() {
        let [a, b, c, x, y] = ["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1", "127.0.0.2:1"].map(address);
        assert_eq!(by_turns(vec![a, b, c, x, y]), [a, x, b, y, c]);
        assert_eq!(by_turns(vec![x, a]), [x, a]);
        assert!(by_turns(Vec::new()).is_empty());
    }

    #[test]
    fn a_refusal_tells_more_than_a_missing_route() {
        let refused = || Refusal::System(Errno::ECONNREFUSED.into());
        let no_route = || Refusal::System(Errno::ENETUNREACH.into());
        for (before, now) in [(None, refused()), (Some(no_route()), refused()), (Some(refused()), no_route())] {
            assert_eq!(more_telling(before, now).to_string(), "connection refused");
        }
    }

    #[tokio::test]
    async fn the_address_that_answers_is_taken() {
        // Addresses of this test's own: ports of 127.0.0.1 are soon another's again.
        let listener = TcpListener::bind("127.91.3.1:0").await.expect("a port");
        let good = listener.local_addr().expect("an address");
        let bad = SocketAddr::new([127, 91, 3, 2].into(), good.port());
        let stream = first(vec![bad, good]).await.expect("a connection");
        assert_eq!(stream.peer_addr().expect("connected"), good);
        drop(listener);
        let error = first(vec![good]).await.expect_err("nobody listens");
        assert_eq!(error.to_string(), "connection refused");
    }
}

//! Links: TCP connections of which several carry one SSH connection, where the grant allows it (see [`fargate_contract::links`]). The
//! first is served as any connection is; another joins it, if it names it by an id that nobody else knows.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fargate_contract::links::{JOINED, LINE_MAX};
use fargate_contract::{BundleId, Greeting, JoinRequest};
use nix::sys::socket::{setsockopt, sockopt};
use ssh_flow::{Bundle, Joiner};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio_util::either::Either;

use crate::settings::identification;

/// Bytes that the system may hold of what a link sends. What one link holds, the others wait for, and an agent of Systems Manager takes
/// 0.8 MB/s: this is a tenth of a second.
const SEND_BUFFER: usize = 64 * 1024;

/// What an SSH connection is carried by.
pub(crate) type Transport = Either<TcpStream, Bundle<TcpStream>>;

/// The bundles of one server.
#[derive(Debug)]
pub(crate) struct Links {
    most: u8,
    known: Mutex<Vec<Known>>,
    /// A bundle has ended.
    ended: Notify,
}

#[derive(Debug)]
struct Known {
    id: BundleId,
    /// Where its first link comes from.
    first: SocketAddr,
    joiner: Joiner<TcpStream>,
    sockets: Sockets,
    /// Whether its client has logged in: nobody else's links are worth memory.
    is_open: bool,
    /// A bit for each link's number.
    numbers: u32,
}

/// A bundle's own end: while it lives, links may join.
#[derive(Debug)]
pub(crate) struct Standing {
    links: Arc<Links>,
    id: BundleId,
}

/// What a connection turned out to be.
#[derive(Debug)]
pub(crate) enum First {
    /// An SSH connection, of which this much was read already.
    Ssh(TcpStream, Vec<u8>),
    /// A link.
    Link(TcpStream, JoinRequest),
}

/// Second handles of a connection's sockets, which can cut it off at any time. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Sockets(Arc<Mutex<Vec<std::net::TcpStream>>>);

impl Sockets {
    pub(crate) fn new(socket: std::net::TcpStream) -> Self {
        Self(Arc::new(Mutex::new(vec![socket])))
    }

    /// Ends the connection, wherever its bytes are.
    pub(crate) fn cut(&self) {
        for socket in self.lock().iter() {
            // One that has gone already is cut.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }

    fn take_over(&self, others: &Self) {
        let others = std::mem::take(&mut *others.lock());
        self.lock().extend(others);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<std::net::TcpStream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Links {
    /// None yet. `most`: how many may carry one connection.
    pub(crate) fn new(most: u8) -> Self {
        Self { most, known: Mutex::default(), ended: Notify::new() }
    }

    /// Whether more than one may.
    pub(crate) const fn are_granted(&self) -> bool {
        self.most > 1
    }

    /// Greets with a line before our identification string, and reads as much as tells what the client is. Takes no more than that, as
    /// frames may follow.
    ///
    /// # Errors
    /// The socket's; [`io::ErrorKind::InvalidData`] when the client is neither.
    pub(crate) async fn welcome(&self, mut stream: TcpStream) -> io::Result<First> {
        let greeting = format!("{}{}\r\n", Greeting { links: self.most }.encode(), identification());
        stream.write_all(greeting.as_bytes()).await?;
        let mut said = Vec::with_capacity(LINE_MAX);
        while !said.ends_with(b"\n") {
            said.push(stream.read_u8().await?);
            if !JoinRequest::may_begin(&said) {
                return Ok(First::Ssh(stream, said));
            }
            if said.len() >= LINE_MAX {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        let line = std::str::from_utf8(&said).ok().and_then(|line| line.strip_suffix("\r\n"));
        let request = line.and_then(JoinRequest::decode).ok_or(io::ErrorKind::InvalidData)?;
        // One that cannot be had is no reason to fail: it is slower.
        let _ = setsockopt(&stream, sockopt::SndBuf, &SEND_BUFFER);
        Ok(First::Link(stream, request))
    }

    /// Makes a bundle of its first link. Others may join once [`Standing::open`] was called.
    ///
    /// # Errors
    /// Why not, for the log.
    pub(crate) fn begin(
        self: &Arc<Self>,
        id: BundleId,
        stream: TcpStream,
        first: SocketAddr,
        sockets: &Sockets,
    ) -> Result<(Bundle<TcpStream>, Standing), &'static str> {
        let mut known = self.lock();
        if known.iter().any(|known| known.id.is(&id)) {
            return Err("its bundle has a first link");
        }
        let (bundle, joiner) = Bundle::new(stream);
        let sockets = sockets.clone();
        known.push(Known { id: id.clone(), first, joiner, sockets, is_open: false, numbers: 1 });
        Ok((bundle, Standing { links: Arc::clone(self), id }))
    }

    /// Adds a link to its bundle, and says so to the client. Answers where the bundle's first link comes from.
    ///
    /// # Errors
    /// Why not, for the log.
    pub(crate) async fn join(
        &self,
        request: &JoinRequest,
        mut stream: TcpStream,
        own: &Sockets,
    ) -> Result<SocketAddr, &'static str> {
        let (joiner, sockets, first) = self.take(request)?;
        stream.write_all(JOINED.as_bytes()).await.map_err(|_| "its socket failed")?;
        // First, so that there is no moment at which the bundle is cut and this is not.
        sockets.take_over(own);
        joiner.join(stream).await.map_err(|_| "its bundle has ended")?;
        Ok(first)
    }

    /// Takes a number in a bundle.
    fn take(&self, request: &JoinRequest) -> Result<(Joiner<TcpStream>, Sockets, SocketAddr), &'static str> {
        let mut known = self.lock();
        let found = known.iter_mut().find(|known| known.id.is(&request.id));
        let bundle = found.filter(|known| known.is_open).ok_or("it names no bundle")?;
        if request.number >= self.most {
            return Err("it is one link too many");
        }
        let bit = 1 << request.number;
        if bundle.numbers & bit != 0 {
            return Err("its bundle has such a link");
        }
        bundle.numbers |= bit;
        Ok((bundle.joiner.clone(), bundle.sockets.clone(), bundle.first))
    }

    /// Waits until there is no bundle.
    pub(crate) async fn none(&self) {
        loop {
            let ended = self.ended.notified();
            if self.lock().is_empty() {
                return;
            }
            ended.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    /// Lets links join: the client has logged in.
    pub(crate) fn open(&self) {
        let mut known = self.links.lock();
        known.iter_mut().filter(|known| known.id.is(&self.id)).for_each(|known| known.is_open = true);
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.links.lock().retain(|known| !known.id.is(&self.id));
        self.links.ended.notify_waiters();
    }
}

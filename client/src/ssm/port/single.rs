//! A session that carries one connection at a time: with agents that cannot multiplex, and with documents that do not say that
//! they forward.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf, duplex};
use tokio::select;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::channel::{Channel, Event, Outbound};
use super::super::error::SsmError;
use super::super::payload::Flag;
use super::{Ending, reading_end};

/// Bytes that wait for the one end or the other, as in a socket.
const BUFFER: usize = 64 << 10;
/// Bytes that are taken at once.
const READ: usize = 16 << 10;
/// As with multiplexed streams: how long after its writer has finished a connection waits for an answer.
const HALF_CLOSED_IDLE: Duration = Duration::from_secs(30);
/// The same where another connection may wait for its turn: an agent that carries one at a time does not tell that the far end has
/// closed it, so most of the time there is nothing to wait for.
const HALF_CLOSED_TURN: Duration = Duration::from_secs(2);

/// Where connections are opened.
#[derive(Clone, Debug)]
pub(super) struct Doors {
    /// Held by the connection that is open.
    free: Arc<Semaphore>,
    visitors: mpsc::Sender<Visitor>,
    forwarding: bool,
}

/// Where they arrive.
pub(super) struct Visitors {
    arriving: mpsc::Receiver<Visitor>,
    /// Whether there may be another connection after one.
    forwarding: bool,
}

/// The session's end of a connection.
struct Visitor {
    io: DuplexStream,
    /// Cancelled when the user has dropped his end.
    gone: CancellationToken,
    end: Arc<OnceLock<io::ErrorKind>>,
    _place: Option<OwnedSemaphorePermit>,
    /// Since when its writer has finished, or last heard something afterwards.
    shut: Option<Instant>,
}

/// The user's end of a connection. Dropping it closes it.
#[derive(Debug)]
pub(super) struct SingleStream {
    io: DuplexStream,
    /// How the session's end was dropped; `UnexpectedEof` stands for an ordinary end.
    end: Arc<OnceLock<io::ErrorKind>>,
    _present: DropGuard,
}

/// The two sides of the doors. `forwarding`: one connection may follow another.
pub(super) fn doors(forwarding: bool) -> (Doors, Visitors) {
    let (visitors, arriving) = mpsc::channel(1);
    (Doors { free: Arc::new(Semaphore::new(1)), visitors, forwarding }, Visitors { arriving, forwarding })
}

impl Visitor {
    /// Ends the connection in this way.
    fn leave(self, how: io::ErrorKind) {
        // Nobody has said so before.
        let _ = self.end.set(how);
    }
}

impl Drop for Visitor {
    /// Before the bytes end, so that a session that is dropped is not taken for one that has ended well.
    fn drop(&mut self) {
        let _ = self.end.set(io::ErrorKind::ConnectionAborted);
    }
}

impl Doors {
    /// Opens a connection when there is none.
    pub(super) async fn open(&self) -> Result<SingleStream, SsmError> {
        let place = if self.forwarding {
            Arc::clone(&self.free).acquire_owned().await.map_err(|_| SsmError::Over)?
        } else {
            Arc::clone(&self.free).try_acquire_owned().map_err(|_| SsmError::OneConnection)?
        };
        let place = if self.forwarding {
            Some(place)
        } else {
            // Nobody comes after.
            place.forget();
            None
        };
        let (near, io) = duplex(BUFFER);
        let (gone, end) = (CancellationToken::new(), Arc::new(OnceLock::new()));
        let visitor = Visitor { io, gone: gone.clone(), end: Arc::clone(&end), _place: place, shut: None };
        self.visitors.send(visitor).await.map_err(|_| SsmError::Over)?;
        Ok(SingleStream { io: near, end, _present: gone.drop_guard() })
    }
}

/// What happened.
enum Step {
    Visitor(Option<Visitor>),
    Event(Option<Event>),
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
    Sent(bool),
    Gone,
    Wanted,
}

/// Why a session is no longer served.
enum Served {
    Ended,
    Unwanted,
}

/// Moves bytes until the session ends.
pub(super) async fn run(mut channel: Channel, mut visitors: Visitors, ending: Ending) -> Result<(), SsmError> {
    let mut visitor = None;
    let ended = match serve(&mut channel, &mut visitors, &mut visitor, &ending).await {
        Served::Ended => channel.ended().await,
        Served::Unwanted => ending.end(channel).await,
    };
    if let Some(visitor) = visitor {
        visitor.leave(reading_end(&ended, !visitors.forwarding));
    }
    ended
}

async fn serve(
    channel: &mut Channel,
    visitors: &mut Visitors,
    visitor: &mut Option<Visitor>,
    ending: &Ending,
) -> Served {
    let outbound = channel.outbound();
    let (mut up, mut down) = (BytesMut::new(), Bytes::new());
    // Something is for the agent beside bytes: that the connection is closed.
    let mut closing = false;
    // Whether anything can be sent. What has come before the end is still taken after it.
    let mut open = true;
    // The agent has connected already: what a server says first is for the first who comes.
    let mut unvisited = true;
    loop {
        if up.is_empty() {
            up.reserve(READ);
        }
        let sending = open && (!up.is_empty() || closing);
        let step = match visitor {
            None => select! {
                arrived = visitors.arriving.recv(), if !sending => Step::Visitor(arrived),
                permit = outbound.reserve(), if sending => Step::Sent(send(permit, &mut up, &mut closing)),
                event = channel.next(), if down.is_empty() => Step::Event(event),
                () = ending.wanted() => Step::Wanted,
            },
            Some(Visitor { io, gone, shut, .. }) => {
                let patience = if visitors.forwarding { HALF_CLOSED_TURN } else { HALF_CLOSED_IDLE };
                let idle = shut.map(|since| since + patience);
                let (mut reader, mut writer) = tokio::io::split(io);
                select! {
                    read = reader.read_buf(&mut up), if up.is_empty() && shut.is_none() => Step::Read(read),
                    permit = outbound.reserve(), if sending => Step::Sent(send(permit, &mut up, &mut closing)),
                    event = channel.next(), if down.is_empty() => Step::Event(event),
                    wrote = writer.write_buf(&mut down), if !down.is_empty() => Step::Wrote(wrote),
                    () = gone.cancelled(), if shut.is_some() && up.is_empty() => Step::Gone,
                    () = sleep_until(idle.unwrap_or_else(Instant::now)), if idle.is_some() && down.is_empty() => Step::Gone,
                    () = ending.wanted() => Step::Wanted,
                }
            }
        };
        match step {
            Step::Visitor(None) | Step::Wanted => return Served::Unwanted,
            Step::Visitor(arrived) => (*visitor, unvisited) = (arrived, false),
            Step::Event(None) => return Served::Ended,
            Step::Sent(false) => open = false,
            Step::Event(Some(Event::Output(bytes))) if unvisited || visitor.is_some() => down = bytes,
            // Bytes of a connection that is closed, and words that such sessions do not use.
            Step::Event(Some(_)) | Step::Sent(true) => {}
            Step::Read(Ok(1..)) => {}
            // Closed or finished: which of the two, the token tells.
            Step::Read(_) => visitor.iter_mut().for_each(|visitor| visitor.shut = Some(Instant::now())),
            Step::Wrote(Ok(_)) => {
                visitor
                    .iter_mut()
                    .filter_map(|visitor| visitor.shut.as_mut())
                    .for_each(|since| *since = Instant::now());
            }
            // Nobody reads any more.
            Step::Wrote(Err(_)) => down = Bytes::new(),
            Step::Gone => {
                if !visitors.forwarding {
                    return Served::Unwanted;
                }
                if let Some(visitor) = visitor.take() {
                    visitor.leave(io::ErrorKind::UnexpectedEof);
                }
                (down, closing) = (Bytes::new(), true);
            }
        }
    }
}

/// Bytes first, the word behind them. False when there is no channel any more.
fn send(
    permit: Result<mpsc::Permit<'_, Outbound>, mpsc::error::SendError<()>>,
    up: &mut BytesMut,
    closing: &mut bool,
) -> bool {
    let Ok(permit) = permit else { return false };
    if up.is_empty() {
        *closing = false;
        permit.send(Outbound::Flag(Flag::DisconnectToPort));
    } else {
        permit.send(Outbound::Input(up.split().freeze()));
    }
    true
}

impl AsyncRead for SingleStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.io).poll_read(context, buffer);
        match (&polled, self.end.get()) {
            (_, None | Some(io::ErrorKind::UnexpectedEof)) => polled,
            (Poll::Ready(Ok(())), Some(kind)) if buffer.filled().len() == before && buffer.remaining() > 0 => {
                Poll::Ready(Err((*kind).into()))
            }
            _ => polled,
        }
    }
}

impl AsyncWrite for SingleStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(context)
    }
}

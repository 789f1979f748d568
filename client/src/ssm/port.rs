//! A session that goes to a port: each connection a byte stream, all of them in one session where the agent can.

mod multiplexed;
mod single;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::channel::{Channel, Outbound, Ready, Services};
use super::error::SsmError;
use super::handshake::{SessionKind, Version};
use super::payload::Flag;
use super::session::Session;
use super::smux::{Shared, Stream};
use single::{Doors, SingleStream};

/// The document type whose connections may be many.
const FORWARDING: &str = "LocalPortForwarding";
/// How long the agent may take to end a session that it was told to end.
const FAREWELL: Duration = Duration::from_secs(5);

/// A port session that has started.
///
/// Dropping it cuts its connections and leaves the session to its idle limit: [`Ports::terminate`] ends it.
#[derive(Debug)]
pub struct Ports {
    opener: PortOpener,
    greeting: Option<String>,
    terminate: CancellationToken,
    _running: DropGuard,
}

/// Opens connections of a session that somebody else holds. Clones open in the same session.
#[derive(Clone, Debug)]
pub struct PortOpener {
    mode: Mode,
    ended: watch::Receiver<Option<Result<(), SsmError>>>,
}

#[derive(Clone, Debug)]
enum Mode {
    Multiplexed(Arc<Shared>),
    Single(Doors),
}

/// A connection to the port.
///
/// The agent cannot close one direction alone. So a writer that has finished is not announced: the connection stays until the
/// other end closes it, or until nothing came for 30 seconds; 2 where connections take turns.
#[derive(Debug)]
pub struct PortStream(Kind);

#[derive(Debug)]
enum Kind {
    Multiplexed(Stream),
    Single(SingleStream),
}

impl Ports {
    /// Opens the session's channel and waits until the agent is ready for connections. The session is one of
    /// `AWS-StartPortForwardingSession`, its `...ToRemoteHost`, or `AWS-StartSSHSession`.
    ///
    /// # Errors
    /// [`SsmError`]: no connection, a session of another kind, or the agent's refusal of host or port.
    pub async fn start(session: Session, services: Services) -> Result<Self, SsmError> {
        let mut channel = Channel::open(session, services, None).await?;
        let Ready { kind, agent, greeting } = channel.ready().await?;
        let forwarding = match kind {
            Some(SessionKind::Port(properties)) => properties.forwarding == FORWARDING,
            other => {
                let got = other.as_ref().map_or(SessionKind::StandardStream.name(), SessionKind::name).to_owned();
                // The wrong session should not stand for long; that it was wrong is what matters.
                let _ = channel.terminate().await;
                return Err(SsmError::WrongKind { wanted: "Port", got });
            }
        };
        let (running, terminate) = (CancellationToken::new(), CancellationToken::new());
        let (report, ended) = watch::channel(None);
        let ending = Ending { terminate: terminate.clone(), agent };
        let (mode, work) = if forwarding && agent > Version::WITH_MULTIPLEXING {
            let shared = Shared::new();
            (Mode::Multiplexed(Arc::clone(&shared)), multiplexed::run(channel, shared, ending).boxed())
        } else {
            let (doors, visitors) = single::doors(forwarding);
            (Mode::Single(doors), single::run(channel, visitors, ending).boxed())
        };
        let cancelled = running.clone();
        tokio::spawn(async move {
            let worked = cancelled.run_until_cancelled(work).await;
            report.send_replace(Some(worked.unwrap_or(Ok(()))));
        });
        let opener = PortOpener { mode, ended };
        Ok(Self { opener, greeting, terminate, _running: running.drop_guard() })
    }

    /// Opens a connection to the port, as [`PortOpener::open`] does.
    ///
    /// # Errors
    /// Those of [`PortOpener::open`].
    pub async fn open(&self) -> Result<PortStream, SsmError> {
        self.opener.open().await
    }

    /// Who opens connections of this session for as long as it stands.
    #[must_use]
    pub fn opener(&self) -> PortOpener {
        self.opener.clone()
    }

    /// Words that the session's owner wants to be shown, if any.
    #[must_use]
    pub fn greeting(&self) -> Option<&str> {
        self.greeting.as_deref()
    }

    /// Whether connections may be open side by side.
    #[must_use]
    pub const fn is_multiplexed(&self) -> bool {
        matches!(self.opener.mode, Mode::Multiplexed(_))
    }

    /// Waits until the session has ended.
    ///
    /// # Errors
    /// [`SsmError`], unless it ended without words.
    pub async fn ended(&self) -> Result<(), SsmError> {
        let mut ended = self.opener.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(ending) => ending.clone().unwrap_or(Ok(())),
            Err(_) => Err(SsmError::Over),
        }
    }

    /// Ends the session: the agent is told, and AWS if the agent does not hear. Connections that are still open are cut.
    ///
    /// # Errors
    /// [`SsmError::NotTerminated`], or the reason why the session had ended already.
    pub async fn terminate(self) -> Result<(), SsmError> {
        self.terminate.cancel();
        self.ended().await
    }

    /// Bytes that multiplexed connections hold for their readers.
    #[cfg(test)]
    pub(crate) fn held(&self) -> usize {
        match &self.opener.mode {
            Mode::Multiplexed(shared) => shared.lock().held(),
            Mode::Single(_) => 0,
        }
    }
}

impl PortOpener {
    /// Opens a connection to the port. Multiplexed sessions do so at once, and a refusal of the port is heard when the stream is
    /// read; others wait until the connection before is closed.
    ///
    /// # Errors
    /// The reason why the session has ended, or [`SsmError::Over`]; [`SsmError::OneConnection`] for the second connection of a
    /// session that carries a single one.
    pub async fn open(&self) -> Result<PortStream, SsmError> {
        match &self.mode {
            Mode::Multiplexed(shared) => {
                let stream = Stream::open(shared).ok_or_else(|| self.over())?;
                Ok(PortStream(Kind::Multiplexed(stream)))
            }
            Mode::Single(doors) => match doors.open().await {
                Ok(stream) => Ok(PortStream(Kind::Single(stream))),
                Err(SsmError::Over) => Err(self.over()),
                Err(error) => Err(error),
            },
        }
    }

    fn over(&self) -> SsmError {
        self.ended.borrow().clone().and_then(Result::err).unwrap_or(SsmError::Over)
    }
}

/// How a session is ended by its user.
#[derive(Debug)]
struct Ending {
    terminate: CancellationToken,
    agent: Version,
}

impl Ending {
    async fn wanted(&self) {
        self.terminate.cancelled().await;
    }

    /// Tells the agent, and AWS if that does not help.
    async fn end(&self, mut channel: Channel) -> Result<(), SsmError> {
        if self.agent > Version::WITH_TERMINATE_FLAG {
            let outbound = channel.outbound();
            let farewell = async {
                // Sent while events are taken, which is what lets acknowledgements in.
                let sent = outbound.send(Outbound::Flag(Flag::TerminateSession));
                let events = async { while channel.next().await.is_some() {} };
                let (_, ()) = tokio::join!(sent, events);
            };
            if timeout(FAREWELL, farewell).await.is_ok() {
                return channel.ended().await;
            }
        }
        channel.terminate().await
    }
}

/// The way a session has ended, for those who read from it. `is_last_word`: its end is that of its one connection; otherwise a
/// connection that is still open is cut, though nobody says why, as when an administrator ends the session.
fn reading_end(ending: &Result<(), SsmError>, is_last_word: bool) -> io::ErrorKind {
    match ending {
        Ok(()) if is_last_word => io::ErrorKind::UnexpectedEof,
        Ok(()) => io::ErrorKind::ConnectionReset,
        Err(SsmError::PortRefused { .. }) => io::ErrorKind::ConnectionRefused,
        Err(_) => io::ErrorKind::ConnectionReset,
    }
}

impl AsyncRead for PortStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Multiplexed(stream) => Pin::new(stream).poll_read(context, buffer),
            Kind::Single(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for PortStream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut self.0 {
            Kind::Multiplexed(stream) => Pin::new(stream).poll_write(context, bytes),
            Kind::Single(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Multiplexed(stream) => Pin::new(stream).poll_flush(context),
            Kind::Single(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.0 {
            Kind::Multiplexed(stream) => Pin::new(stream).poll_shutdown(context),
            Kind::Single(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

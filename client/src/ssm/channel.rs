//! The data channel: an ordered, acknowledged exchange with the agent, which outlives the connections that carry it.

mod driver;
mod line;
mod negotiation;
mod pulse;

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::error::SsmError;
use super::handshake::{SessionKind, Version};
use super::payload::Flag;
use super::session::{DataKeys, Resume, Session};
use super::sign::Signer;

/// What waits for the one end or the other: enough to keep both busy, little enough that a slow one is felt soon.
const QUEUE: usize = 64;

/// The parts of AWS that a channel needs beside the gateway.
#[derive(Clone)]
pub struct Services {
    /// Signs the connection's request; `None` where nobody checks.
    pub signer: Option<Signer>,
    /// Brings the session back after a cut, and ends it.
    pub resume: Arc<dyn Resume>,
    /// Makes the key of an encrypted session.
    pub keys: Arc<dyn DataKeys>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services").field("signer", &self.signer).finish_non_exhaustive()
    }
}

/// For the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outbound {
    /// Bytes of any number; they are cut into messages and encrypted if the session is.
    Input(Bytes),
    /// The terminal's new size in characters: columns and rows.
    Size(u32, u32),
    /// A word about a port session.
    Flag(Flag),
}

/// From the agent, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// The session has started. It comes first, and once.
    Ready(Ready),
    /// Standard output, or bytes of a port session.
    Output(Bytes),
    /// Standard error of a command without a terminal.
    StdErr(Bytes),
    /// The exit code of a command without a terminal.
    ExitCode(i32),
    /// The port refuses a connection.
    ConnectRefused,
}

/// How a session has started.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ready {
    /// `None` when there was no handshake, as with shells and commands on a terminal.
    pub(crate) kind: Option<SessionKind>,
    pub(crate) agent: Version,
    /// Words that the session's owner wants to be shown.
    pub(crate) greeting: Option<String>,
}

/// A channel at work. It ends when this is dropped; the session does not, see [`Channel::terminate`].
pub(crate) struct Channel {
    outbound: mpsc::Sender<Outbound>,
    events: mpsc::Receiver<Event>,
    ending: JoinHandle<Result<(), SsmError>>,
    session_id: String,
    services: Services,
    _running: DropGuard,
}

impl Channel {
    /// Connects and opens the channel. What the agent does then is told by [`Channel::ready`]. `size` is that of a terminal, in
    /// columns and rows.
    ///
    /// # Errors
    /// [`SsmError`] when five attempts at a connection fail, or the first is refused.
    pub(crate) async fn open(session: Session, services: Services, size: Option<(u32, u32)>) -> Result<Self, SsmError> {
        let session_id = session.id.clone();
        let line = line::Line::new(session, services.clone())?;
        let socket = line.connect().await?;
        let (outbound, from_user) = mpsc::channel(QUEUE);
        let (to_user, events) = mpsc::channel(QUEUE);
        let cancel = CancellationToken::new();
        let driver = driver::Driver::new(line, size, from_user, to_user);
        let running = cancel.clone();
        let ending = tokio::spawn(async move {
            let worked = running.run_until_cancelled(Box::pin(driver.run(socket))).await;
            worked.unwrap_or(Ok(()))
        });
        Ok(Self { outbound, events, ending, session_id, services, _running: cancel.drop_guard() })
    }

    /// Waits until the session has started.
    ///
    /// # Errors
    /// [`SsmError`], the reason why it has not.
    pub(crate) async fn ready(&mut self) -> Result<Ready, SsmError> {
        match self.events.recv().await {
            Some(Event::Ready(ready)) => Ok(ready),
            Some(_) => Err(SsmError::Handshake { cause: "the session began before its start".to_owned() }),
            None => Err(self.ended().await.err().unwrap_or(SsmError::Over)),
        }
    }

    /// The next event; `None` when the session has ended, which [`Channel::ended`] explains.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// Where the agent is sent to. Waits are felt there: a full way to the agent takes nothing more.
    pub(crate) fn outbound(&self) -> mpsc::Sender<Outbound> {
        self.outbound.clone()
    }

    /// How the session has ended, once [`Channel::next`] says that it has; to be called once.
    ///
    /// # Errors
    /// [`SsmError`], unless it ended without words.
    pub(crate) async fn ended(&mut self) -> Result<(), SsmError> {
        match (&mut self.ending).await {
            Ok(ending) => ending,
            Err(error) => Err(SsmError::Handshake { cause: format!("the channel broke down: {error}") }),
        }
    }

    /// Ends the session at the service, and with it the channel.
    ///
    /// # Errors
    /// [`SsmError::NotTerminated`].
    pub(crate) async fn terminate(self) -> Result<(), SsmError> {
        let done = self.services.resume.terminate(&self.session_id).await;
        done.map_err(SsmError::NotTerminated)
    }
}

impl fmt::Debug for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Channel").field("session_id", &self.session_id).finish_non_exhaustive()
    }
}

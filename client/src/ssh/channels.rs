//! Channels for forwards: those that we open, and those that the server opens because we asked it to listen.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use russh::client::{ChannelOpenHandle, Handle, Msg};
use russh::{Channel, ChannelOpenFailure};
use ssh_flow::{ChannelReceiver, ChannelSender, Link};
use tokio::sync::{broadcast, mpsc, watch};

use super::SshError;
use super::handler::ClientHandler;

/// Channels of the server's that may wait to be looked at. Each costs its one message; whoever looks at them only starts a task.
const WAITING: usize = 256;
/// Refusals that are remembered until whoever was refused has looked: more than a russh loop hands out between two looks.
pub(super) const REFUSALS: usize = 64;
/// The server's words follow its refusal at once; they are told or not, and never waited for in vain.
const WORDS_TIMEOUT: Duration = Duration::from_secs(1);
/// Longest text of a server that is shown, in characters.
const WORDS_MAX_CHARS: usize = 200;

/// Why a channel was refused, in the server's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) code: u32,
    pub(super) text: String,
}

/// Why there is no channel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// The connection is lost, or ends.
    #[error("the connection is lost")]
    Lost,
    /// The server refuses.
    #[error("open failed: {}", told(*.reason, .text))]
    Refused {
        /// Its reason.
        reason: Refusal,
        /// Its words, without control characters, where it has any that are known to be about this channel.
        text: String,
    },
}

/// A server's reason for refusing a channel (RFC 4254, section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It does not forward, or not there.
    Prohibited,
    /// The target could not be connected to.
    ConnectFailed,
    /// It knows of no such channel.
    UnknownType,
    /// It has no room.
    Shortage,
    /// Something else.
    Other,
}

impl Refusal {
    const fn reason(self) -> &'static str {
        match self {
            Self::Prohibited => "administratively prohibited",
            Self::ConnectFailed => "connect failed",
            Self::UnknownType => "unknown channel type",
            Self::Shortage => "resource shortage",
            Self::Other => "unknown reason",
        }
    }
}

impl From<&ChannelOpenFailure> for Refusal {
    fn from(failure: &ChannelOpenFailure) -> Self {
        match failure {
            ChannelOpenFailure::AdministrativelyProhibited => Self::Prohibited,
            ChannelOpenFailure::ConnectFailed => Self::ConnectFailed,
            ChannelOpenFailure::UnknownChannelType => Self::UnknownType,
            ChannelOpenFailure::ResourceShortage => Self::Shortage,
            ChannelOpenFailure::Other { .. } => Self::Other,
        }
    }
}

/// As `ssh` tells it: the reason, and the server's words if they say more.
fn told(reason: Refusal, text: &str) -> String {
    if text.is_empty() || text.eq_ignore_ascii_case(reason.reason()) {
        reason.reason().to_owned()
    } else {
        format!("{}: {text}", reason.reason())
    }
}

/// Both halves of a channel under flow control.
pub type Halves = (ChannelSender<Msg>, ChannelReceiver);

/// What opens channels on one connection. Clones are the same connection; it ends without asking them.
#[derive(Clone)]
pub struct Opener {
    pub(super) handle: Arc<Handle<ClientHandler>>,
    pub(super) link: Link,
    pub(super) ended_rx: watch::Receiver<Option<SshError>>,
    pub(super) refusals: broadcast::Sender<Words>,
}

impl Opener {
    /// Opens a channel to a TCP port that the server connects to (RFC 4254, section 7.2).
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn direct_tcpip(&self, host: &str, port: u16, originator: (&str, u16)) -> Result<Halves, OpenError> {
        let words = self.refusals.subscribe();
        let (address, from) = originator;
        let opened = self.handle.channel_open_direct_tcpip(host, port.into(), address, from.into()).await;
        self.opened(opened, words).await
    }

    /// Opens a channel to a Unix socket that the server connects to (OpenSSH's PROTOCOL, section 2.4).
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn direct_streamlocal(&self, path: &str) -> Result<Halves, OpenError> {
        let words = self.refusals.subscribe();
        let opened = self.handle.channel_open_direct_streamlocal(path).await;
        self.opened(opened, words).await
    }

    /// Asks the server to listen on a TCP port (RFC 4254, section 7.1). Answers the port.
    ///
    /// # Errors
    /// [`SshError::ForwardRefused`], or why the connection ended.
    pub async fn tcpip_forward(&self, address: &str, port: u16) -> Result<u16, SshError> {
        match self.handle.tcpip_forward(address, port.into()).await {
            // What was asked for is not repeated in the answer.
            Ok(_) if port > 0 => Ok(port),
            Ok(chosen) => u16::try_from(chosen).map_err(|_| SshError::ForwardRefused),
            Err(russh::Error::RequestDenied) => Err(SshError::ForwardRefused),
            Err(_) => Err(self.closed().await),
        }
    }

    /// Asks the server to listen on a Unix socket (OpenSSH's PROTOCOL, section 2.4).
    ///
    /// # Errors
    /// [`SshError::ForwardRefused`], or why the connection ended.
    pub async fn streamlocal_forward(&self, path: &str) -> Result<(), SshError> {
        match self.handle.streamlocal_forward(path).await {
            Ok(()) => Ok(()),
            Err(russh::Error::RequestDenied) => Err(SshError::ForwardRefused),
            Err(_) => Err(self.closed().await),
        }
    }

    /// Waits until the connection has ended, for whatever reason, and says for which. Cancel-safe.
    pub async fn closed(&self) -> SshError {
        super::closed(self.ended_rx.clone()).await
    }

    async fn opened(
        &self,
        opened: Result<Channel<Msg>, russh::Error>,
        words: broadcast::Receiver<Words>,
    ) -> Result<Halves, OpenError> {
        match opened {
            Ok(channel) => Ok(ssh_flow::split_forward(channel, &self.link)),
            Err(russh::Error::ChannelOpenFailure(reason)) => {
                let text = said(words, reason.code()).await.unwrap_or_default();
                Err(OpenError::Refused { reason: Refusal::from(&reason), text })
            }
            Err(_) => Err(OpenError::Lost),
        }
    }
}

impl std::fmt::Debug for Opener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Opener").field("closed", &self.handle.is_closed()).finish_non_exhaustive()
    }
}

/// The words of a refusal. russh tells them without saying to whom: where several channels were refused for the same reason since this
/// one was asked for, and not in the same words, nobody knows whose they are.
async fn said(mut words: broadcast::Receiver<Words>, code: u32) -> Option<String> {
    let first = tokio::time::timeout(WORDS_TIMEOUT, async {
        loop {
            match words.recv().await {
                Ok(words) if words.code == code => return Some(words.text),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    });
    let text = first.await.ok().flatten()?;
    loop {
        match words.try_recv() {
            Ok(other) if other.code == code && other.text != text => return None,
            Ok(_) => {}
            Err(broadcast::error::TryRecvError::Empty | broadcast::error::TryRecvError::Closed) => return Some(text),
            Err(broadcast::error::TryRecvError::Lagged(_)) => return None,
        }
    }
}

/// A server's words as they may be shown: nothing in them may reach the terminal as a command.
pub(super) fn words(reason: &ChannelOpenFailure, description: &str) -> Words {
    let text = description.chars().filter(|c| !c.is_control()).take(WORDS_MAX_CHARS).collect();
    Words { code: reason.code(), text }
}

/// A channel that the server opens.
pub struct Incoming {
    /// For what.
    pub origin: Origin,
    channel: Channel<Msg>,
    reply: ChannelOpenHandle,
    link: Link,
}

/// Why a server opens a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Somebody connected to a TCP port that it listens on for us.
    Tcp {
        /// The address, as we asked for it or as the server knows it.
        address: String,
        /// The port.
        port: u32,
    },
    /// Somebody connected to a Unix socket that it listens on for us.
    Unix {
        /// The socket's path.
        path: String,
    },
    /// Somebody wants our agent.
    Agent,
}

impl Incoming {
    /// Takes it. To be called within the runtime.
    pub async fn accept(self) -> Halves {
        let halves = ssh_flow::split_forward(self.channel, &self.link);
        self.reply.accept().await;
        halves
    }

    /// Says that what it is for cannot be connected to.
    pub async fn reject(self) {
        self.reply.reject(ChannelOpenFailure::ConnectFailed).await;
    }
}

impl std::fmt::Debug for Incoming {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Incoming").field("origin", &self.origin).finish_non_exhaustive()
    }
}

/// Where the server's channels go: nowhere, until somebody asks for them.
#[derive(Clone, Debug, Default)]
pub(super) struct Door(Arc<OnceLock<mpsc::Sender<Incoming>>>);

impl Door {
    /// The server's channels from now on; `None` when somebody has them already.
    pub(super) fn open(&self) -> Option<mpsc::Receiver<Incoming>> {
        let (incoming_tx, incoming_rx) = mpsc::channel(WAITING);
        self.0.set(incoming_tx).ok().map(|()| incoming_rx)
    }

    /// Hands a channel on, without waiting. One for which there is nobody or no room is refused: dropping `reply` does so.
    pub(super) fn hand_on(&self, origin: Origin, channel: Channel<Msg>, reply: ChannelOpenHandle, link: &Link) {
        let Some(incoming_tx) = self.0.get() else { return };
        if incoming_tx.try_send(Incoming { origin, channel, reply, link: link.clone() }).is_err() {
            tracing::warn!("a channel that the server opens finds no room");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(code: u32, text: &str) -> Words {
        Words { code, text: text.to_owned() }
    }

    #[tokio::test]
    async fn words_are_told_where_it_is_known_whose_they_are() {
        let (refusals, _) = broadcast::channel(REFUSALS);
        let said_to = |all: &[Words]| {
            let receiver = refusals.subscribe();
            all.iter().for_each(|words| drop(refusals.send(words.clone())));
            said(receiver, 2)
        };
        assert_eq!(said_to(&[words(2, "refused")]).await.as_deref(), Some("refused"));
        assert_eq!(
            said_to(&[words(1, "no"), words(2, "refused"), words(2, "refused")]).await.as_deref(),
            Some("refused")
        );
        assert_eq!(said_to(&[words(2, "refused"), words(2, "no such host")]).await, None);
    }

    #[test]
    fn a_refusal_is_told_as_ssh_does_and_cannot_command_the_terminal() {
        let refused = |text: &str| {
            let words = super::words(&ChannelOpenFailure::ConnectFailed, text);
            OpenError::Refused { reason: Refusal::ConnectFailed, text: words.text }.to_string()
        };
        assert_eq!(refused("Connection refused"), "open failed: connect failed: Connection refused");
        assert_eq!(refused("Connect failed"), "open failed: connect failed");
        assert_eq!(refused(""), "open failed: connect failed");
        assert_eq!(refused("a\x1b[2Jb"), "open failed: connect failed: a[2Jb");
    }
}

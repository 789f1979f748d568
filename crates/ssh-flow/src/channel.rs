//! One channel under flow control, and why it cannot go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use russh::{Channel, ChannelId, ChannelMsg};
use tokio::sync::{Notify, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::credit::Ledger;
use crate::inbox::Inbox;
use crate::link::Link;
use crate::pump::Pump;
use crate::receiver::ChannelReceiver;
use crate::restraint::Restraint;
use crate::sender::ChannelSender;

/// Why a channel cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FlowError {
    /// The channel or its connection has ended.
    #[error("the channel is closed")]
    Closed,
    /// The peer sent more than it was granted.
    #[error("the peer sent {excess} bytes more than it had credit for")]
    Overrun {
        /// Bytes above the credit.
        excess: u64,
    },
    /// A credit message of the peer is malformed, or its credits add up to more than anybody grants.
    #[error("the peer granted credit that cannot be")]
    BadCredit,
    /// More requests wait than a reader could ever be behind by, by number or by size.
    #[error("more than {limit} requests of the peer, or half a megabyte of them, wait for a reader")]
    Requests {
        /// How many may wait.
        limit: usize,
    },
    /// A foreign peer sent more than the overflow file may hold.
    #[error("more than {limit} bytes arrived that nobody has taken")]
    Overflow {
        /// Bytes that the overflow file may hold.
        limit: u64,
    },
    /// The overflow file cannot be made, written or read.
    #[error("the overflow file failed: {0}")]
    OverflowFile(#[source] std::io::Error),
}

/// Splits a channel that was just opened (or just offered by the peer) into halves under flow control. To be called within the
/// runtime, at once: until then a slow reader still stops the whole connection.
///
/// When both halves are dropped, the channel is closed.
pub fn split<S>(channel: Channel<S>, link: &Link) -> (ChannelSender<S>, ChannelReceiver)
where
    S: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    halves(channel, Flow::new(link.clone(), Restraint::default()))
}

/// The same for a channel that carries a forwarded connection: its peer gives what it gets to a socket.
pub fn split_forward<S>(channel: Channel<S>, link: &Link) -> (ChannelSender<S>, ChannelReceiver)
where
    S: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    halves(channel, Flow::new(link.clone(), Restraint::of_forward(link.forwards())))
}

fn halves<S>(channel: Channel<S>, flow: Flow) -> (ChannelSender<S>, ChannelReceiver)
where
    S: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static,
{
    let (read, write) = channel.split();
    let (write, flow) = (Arc::new(write), Arc::new(flow));
    let pump = Pump::new(read, Arc::clone(&write), Arc::clone(&flow));
    flow.link.tasks().spawn(pump.run());
    (ChannelSender::new(write, Arc::clone(&flow)), ChannelReceiver::new(flow))
}

/// What a channel's halves and its pump share.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) link: Link,
    pub(crate) inbox: Inbox,
    /// What we may send; absent towards a foreign peer.
    pub(crate) credit: Option<SendCredit>,
    /// How the window of a foreign peer is used; absent towards one with credit.
    pub(crate) restraint: Option<Restraint>,
    /// Cancelled when nothing can be sent any more.
    pub(crate) ended: CancellationToken,
    /// The peer's window may have grown.
    pub(crate) window: Notify,
    /// The pump has something to look at besides its messages.
    pub(crate) wake: Notify,
    sender_gone: AtomicBool,
    closed: AtomicBool,
}

/// The credit that the peer has granted.
#[derive(Debug)]
pub(crate) struct SendCredit {
    pub(crate) bytes: Arc<Semaphore>,
    /// What the channel began with.
    pub(crate) initial: u64,
}

impl Flow {
    fn new(link: Link, restraint: Restraint) -> Self {
        let agreement = link.agreement();
        let most = link.tuning().credit;
        Self {
            inbox: Inbox::new(link.clone(), agreement.map(|agreed| Ledger::new(agreed.ours, most))),
            credit: agreement.map(|agreed| SendCredit::new(agreed.theirs)),
            link,
            restraint: agreement.is_none().then_some(restraint),
            ended: CancellationToken::new(),
            window: Notify::new(),
            wake: Notify::new(),
            sender_gone: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    /// Our own close is on its way: russh passes on nothing of this channel any more.
    pub(crate) fn note_closed(&self) {
        self.closed.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }

    pub(crate) fn note_sender_gone(&self) {
        self.sender_gone.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Whether nobody holds a half any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.sender_gone.load(Ordering::Acquire) && self.inbox.is_abandoned()
    }
}

impl SendCredit {
    fn new(initial: u64) -> Self {
        // Announced credits are at most a GiB, far below what a semaphore takes on any platform.
        let bytes = Arc::new(Semaphore::new(usize::try_from(initial).unwrap_or(usize::MAX >> 3)));
        Self { bytes, initial }
    }
}

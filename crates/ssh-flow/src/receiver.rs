//! The receiving half of a channel.

use std::collections::VecDeque;
use std::sync::Arc;

use russh::ChannelMsg;
use tokio::task::spawn_blocking;

use crate::channel::{Flow, FlowError};
use crate::inbox::Next;
use crate::overflow::Overflow;

/// The receiving half: messages in the order of the wire. Taking data is what returns credit to the peer.
///
/// Dropped, it lets the peer go on sending into the void: a reader that has gone stalls nobody.
#[derive(Debug)]
pub struct ChannelReceiver {
    flow: Arc<Flow>,
    /// Read back from the overflow file and not handed out yet.
    read_back: VecDeque<ChannelMsg>,
}

impl ChannelReceiver {
    pub(crate) const fn new(flow: Arc<Flow>) -> Self {
        Self { flow, read_back: VecDeque::new() }
    }

    /// The next message; `None` once the channel is closed (by either end) or its connection lost, and everything was taken.
    /// Window adjustments and credit do not show. Cancel-safe.
    ///
    /// # Errors
    /// [`FlowError`] when the peer broke flow control or the overflow limit, once, behind everything that arrived before.
    pub async fn recv(&mut self) -> Result<Option<ChannelMsg>, FlowError> {
        loop {
            if let Some(message) = self.read_back.pop_front() {
                return Ok(Some(message));
            }
            match self.flow.inbox.next() {
                Next::Message { message, due } => {
                    if due {
                        self.flow.wake.notify_one();
                    }
                    return Ok(Some(message));
                }
                Next::Spilled { overflow, records } => self.read_back(overflow, records).await?,
                Next::Nothing => self.flow.inbox.arrival().await,
                Next::End(failure) => return failure.map_or(Ok(None), Err),
            }
        }
    }

    /// Nothing is counted before the bytes are here, so a cancelled call is repeated by the next.
    async fn read_back(&mut self, overflow: Overflow, records: u64) -> Result<(), FlowError> {
        let read = spawn_blocking(move || overflow.read(records)).await;
        match read.unwrap_or_else(|lost| Err(std::io::Error::other(lost))) {
            Ok(back) => {
                self.flow.inbox.took_spilled(back.messages.len() as u64, back.bytes);
                self.read_back.extend(back.messages);
                Ok(())
            }
            Err(error) => {
                self.flow.inbox.end(None);
                self.flow.inbox.abandon();
                self.flow.wake.notify_one();
                Err(FlowError::OverflowFile(error))
            }
        }
    }
}

impl Drop for ChannelReceiver {
    fn drop(&mut self) {
        self.flow.inbox.abandon();
        self.flow.wake.notify_one();
    }
}

//! The sending half of a channel.

use std::sync::Arc;

use bytes::Bytes;
use russh::{ChannelId, ChannelMsg, ChannelWriteHalf};
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit};

use crate::channel::{Flow, FlowError};
use crate::credit::cost;
use crate::finishing::Finishing;
use crate::settings::{MAXIMUM_PACKET_SIZE, MESSAGE_COST};
use crate::taken::Taken;

/// The sending half. Data waits for the peer's credit; nothing here blocks other channels.
///
/// Its methods take `&self` and may run at once: what one call sends is not mixed with another's.
#[derive(Debug)]
pub struct ChannelSender<S: From<(ChannelId, ChannelMsg)>> {
    write: Arc<ChannelWriteHalf<S>>,
    flow: Arc<Flow>,
    order: Arc<Mutex<()>>,
    taken: Taken,
}

impl<S: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static> ChannelSender<S> {
    pub(crate) fn new(write: Arc<ChannelWriteHalf<S>>, flow: Arc<Flow>) -> Self {
        Self { write, flow, order: Arc::default(), taken: Taken::default() }
    }

    /// Sends data, in order; returns when the bytes are queued under the peer's credit. Cancelled, it may have sent a part; it
    /// leaks no credit.
    ///
    /// # Errors
    /// [`FlowError::Closed`].
    pub async fn data(&self, data: Bytes) -> Result<(), FlowError> {
        self.send(None, data).await
    }

    /// Sends extended data (RFC 4254, section 5.2); `code` 1 is stderr. Otherwise like [`ChannelSender::data`].
    ///
    /// # Errors
    /// [`FlowError::Closed`].
    pub async fn extended_data(&self, code: u32, data: Bytes) -> Result<(), FlowError> {
        self.send(Some(code), data).await
    }

    /// Waits until the small pieces that were sent are in packets, or the channel has ended. Whoever sends what is read a little at a
    /// time calls it before reading on: what has come meanwhile leaves in one packet.
    pub async fn taken(&self) {
        tokio::select! {
            biased;
            () = self.taken.wait() => {}
            () = self.flow.ended.cancelled() => {}
        }
    }

    /// Says that no more data follows, behind everything sent before.
    ///
    /// # Errors
    /// [`FlowError::Closed`].
    pub async fn eof(&self) -> Result<(), FlowError> {
        if self.flow.ended.is_cancelled() {
            return Err(FlowError::Closed);
        }
        let order = Arc::clone(&self.order).lock_owned().await;
        let write = Arc::clone(&self.write);
        let sending = async move {
            let sent = write.eof().await;
            drop(order);
            sent
        };
        Finishing::new(sending, self.flow.link.tasks()).await.map_err(|_| FlowError::Closed)
    }

    /// Closes the channel, behind everything sent before; calls that are still sending end with [`FlowError::Closed`]. The
    /// receiver still has what arrived so far, then `None`. A channel that the peer closed is closed.
    ///
    /// # Errors
    /// [`FlowError::Closed`] when the connection is lost.
    pub async fn close(&self) -> Result<(), FlowError> {
        if self.flow.ended.is_cancelled() {
            return Ok(());
        }
        self.flow.ended.cancel();
        let order = Arc::clone(&self.order).lock_owned();
        let (write, flow) = (Arc::clone(&self.write), Arc::clone(&self.flow));
        let sending = async move {
            let order = order.await;
            let sent = write.close().await;
            flow.note_closed();
            drop(order);
            sent
        };
        Finishing::new(sending, self.flow.link.tasks()).await.map_err(|_| FlowError::Closed)
    }

    /// The russh half, for requests (`request_pty`, `exec`, `window_change`, `exit_status` ...): never for data, EOF or close.
    #[must_use]
    pub fn requests(&self) -> &ChannelWriteHalf<S> {
        &self.write
    }

    /// Waits until nothing can be sent any more: either end closed the channel, or the connection is lost.
    pub async fn closed(&self) {
        self.flow.ended.cancelled().await;
    }

    async fn send(&self, code: Option<u32>, data: Bytes) -> Result<(), FlowError> {
        tokio::select! {
            biased;
            () = self.flow.ended.cancelled() => Err(FlowError::Closed),
            sent = self.send_packets(code, data) => sent,
        }
    }

    async fn send_packets(&self, code: Option<u32>, mut data: Bytes) -> Result<(), FlowError> {
        let mut order = Arc::clone(&self.order).lock_owned().await;
        while !data.is_empty() {
            let packet = data.split_to(data.len().min(self.packet_room().await));
            let credit = self.credit(packet.len()).await?;
            order = self.send_packet(order, code, packet, credit).await?;
        }
        Ok(())
    }

    /// Bytes that one packet may hold now. Waits for the peer's window before asking for a turn, so that a window that is shut
    /// holds up its own channel only; between here and the sending nobody else takes from it but a few bytes of credit.
    async fn packet_room(&self) -> usize {
        if let Some(restraint) = &self.flow.restraint {
            restraint.wait(&self.flow.window).await;
        }
        let mut room = self.write.writable_packet_size().await;
        while room == 0 {
            self.flow.window.notified().await;
            room = self.write.writable_packet_size().await;
        }
        let room = room.min(MAXIMUM_PACKET_SIZE as usize);
        match &self.flow.credit {
            None => room,
            // The peer keeps up to an eighth of its credit back: half of it always comes.
            Some(credit) => room.min(usize::try_from(credit.initial / 2 - MESSAGE_COST).unwrap_or(room)),
        }
    }

    async fn credit(&self, len: usize) -> Result<Option<OwnedSemaphorePermit>, FlowError> {
        let Some(credit) = &self.flow.credit else { return Ok(None) };
        let count = u32::try_from(cost(len)).map_err(|_| FlowError::Closed)?;
        Arc::clone(&credit.bytes).acquire_many_owned(count).await.map(Some).map_err(|_| FlowError::Closed)
    }

    async fn send_packet(
        &self,
        order: OwnedMutexGuard<()>,
        code: Option<u32>,
        packet: Bytes,
        credit: Option<OwnedSemaphorePermit>,
    ) -> Result<OwnedMutexGuard<()>, FlowError> {
        let turn = self.flow.link.turn(packet.len()).await;
        let (write, flow) = (Arc::clone(&self.write), Arc::clone(&self.flow));
        let packet = self.taken.track(packet);
        let sending = async move {
            let len = packet.len() as u64;
            let sent = match code {
                None => write.data_bytes(packet).await,
                Some(code) => write.extended_data_bytes(code, packet).await,
            };
            drop(turn);
            if sent.is_ok() {
                flow.link.note_moved(len);
                flow.restraint.iter().for_each(|restraint| restraint.note_sent(len));
                // Spent; what is not sent goes back when the permit is dropped.
                credit.into_iter().for_each(OwnedSemaphorePermit::forget);
            }
            (order, sent)
        };
        let (order, sent) = Finishing::new(sending, self.flow.link.tasks()).await;
        sent.map(|()| order).map_err(|_| FlowError::Closed)
    }
}

impl<S: From<(ChannelId, ChannelMsg)>> Drop for ChannelSender<S> {
    fn drop(&mut self) {
        self.flow.note_sender_gone();
    }
}

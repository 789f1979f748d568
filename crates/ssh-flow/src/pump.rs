//! The task that owns a channel's russh read half. It takes every message at once, so that the session loop, which awaits a
//! bounded queue per channel, never waits for a reader.

use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use russh::{ChannelId, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

use crate::channel::{Flow, FlowError};
use crate::credit::{CREDIT_CODE, decode, encode};
use crate::settings::LARGEST_CREDIT;

/// One channel's pump. Nothing that it sends is awaited without also taking messages: the session loop may be waiting for it.
pub(crate) struct Pump<S: From<(ChannelId, ChannelMsg)>> {
    read: ChannelReadHalf,
    write: Arc<ChannelWriteHalf<S>>,
    flow: Arc<Flow>,
    sending: Option<Sending>,
    /// Why the channel is being cut; what still comes is dropped.
    cut: Option<FlowError>,
}

struct Sending {
    what: Sent,
    done: Pin<Box<dyn Future<Output = ()> + Send>>,
}

#[derive(Clone, Copy)]
enum Sent {
    Credit,
    Close,
}

enum Event {
    Message(Option<ChannelMsg>),
    Sent(Sent),
    Closed,
    Woken,
}

impl<S: From<(ChannelId, ChannelMsg)> + Send + Sync + 'static> Pump<S> {
    pub(crate) const fn new(read: ChannelReadHalf, write: Arc<ChannelWriteHalf<S>>, flow: Arc<Flow>) -> Self {
        Self { read, write, flow, sending: None, cut: None }
    }

    /// Runs until the channel or its connection has ended.
    pub(crate) async fn run(mut self) {
        loop {
            self.plan();
            let flow = match self.event().await {
                Event::Message(None) | Event::Closed | Event::Sent(Sent::Close) => ControlFlow::Break(()),
                Event::Message(Some(message)) => self.take(message).await,
                Event::Sent(Sent::Credit) | Event::Woken => ControlFlow::Continue(()),
            };
            if flow.is_break() {
                break;
            }
        }
    }

    /// Decides what to send next, if nothing is being sent.
    fn plan(&mut self) {
        if self.sending.is_some() {
            return;
        }
        let write = Arc::clone(&self.write);
        if self.cut.is_some() || (self.flow.is_abandoned() && !self.flow.is_closed()) {
            self.flow.ended.cancel();
            // Failing means that the connection is gone, which the next message says as well.
            let done = Box::pin(async move { drop(write.close().await) });
            self.sending = Some(Sending { what: Sent::Close, done });
        } else if let Some(amount) = self.flow.inbox.grant() {
            let done = Box::pin(async move { drop(write.extended_data_bytes(CREDIT_CODE, encode(amount)).await) });
            self.sending = Some(Sending { what: Sent::Credit, done });
        }
    }

    async fn event(&mut self) -> Event {
        let sent = async {
            match &mut self.sending {
                Some(sending) => {
                    sending.done.as_mut().await;
                    sending.what
                }
                None => std::future::pending().await,
            }
        };
        let event = tokio::select! {
            biased;
            sent = sent => Event::Sent(sent),
            message = self.read.wait() => Event::Message(message),
            () = std::future::ready(()), if self.flow.is_closed() => Event::Closed,
            () = self.flow.wake.notified() => Event::Woken,
        };
        if let Event::Sent(_) = event {
            self.sending = None;
        }
        event
    }

    async fn take(&mut self, message: ChannelMsg) -> ControlFlow<()> {
        if let (ChannelMsg::WindowAdjusted { new_size }, Some(restraint)) = (&message, &self.flow.restraint) {
            restraint.note_opened(*new_size);
        }
        // russh grows the window before it tells of it, and may not tell when its queue is full; but then messages follow.
        self.flow.window.notify_one();
        if self.cut.is_some() {
            return ControlFlow::Continue(());
        }
        let close = matches!(message, ChannelMsg::Close);
        let taken = match message {
            ChannelMsg::WindowAdjusted { .. } => Ok(()),
            ChannelMsg::ExtendedData { data, ext: CREDIT_CODE } => take_credit(&self.flow, &data),
            ChannelMsg::Data { data } => take_data(&self.flow, None, data).await,
            ChannelMsg::ExtendedData { data, ext } => take_data(&self.flow, Some(ext), data).await,
            other => self.flow.inbox.put_request(other),
        };
        if let Err(error) = taken {
            tracing::warn!(channel = %self.write.id(), %error, "channel cut");
            self.cut = Some(error);
        }
        if close { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}

impl<S: From<(ChannelId, ChannelMsg)>> Drop for Pump<S> {
    /// However the task ends, nobody waits for it in vain.
    fn drop(&mut self) {
        self.flow.ended.cancel();
        self.flow.inbox.end(self.cut.take());
    }
}

async fn take_data(flow: &Flow, code: Option<u32>, data: Bytes) -> Result<(), FlowError> {
    flow.link.note_moved(data.len() as u64);
    flow.inbox.put_data(code, data).await
}

fn take_credit(flow: &Flow, data: &[u8]) -> Result<(), FlowError> {
    let amount = decode(data).ok_or(FlowError::BadCredit)?;
    let Some(credit) = &flow.credit else { return Ok(()) };
    let amount = usize::try_from(amount).map_err(|_| FlowError::BadCredit)?;
    let most = usize::try_from(LARGEST_CREDIT).map_err(|_| FlowError::BadCredit)?;
    if amount + credit.bytes.available_permits() > most {
        return Err(FlowError::BadCredit);
    }
    credit.bytes.add_permits(amount);
    Ok(())
}

//! One channel of a session that outlives its connection: from where its client is to the channel's end, and why it ended.

use std::ops::ControlFlow;

use bytes::Bytes;
use russh::server::{Handle, Msg};
use russh::{ChannelId, ChannelMsg};
use ssh_flow::{ChannelReceiver, ChannelSender, FlowError};
use tokio::sync::mpsc;

use super::Kept;
use crate::connection::Parting;
use crate::log::Event;
use crate::resumable::Attachment;
use crate::session::outbox::Next;

/// How one channel ended.
pub(super) enum Parted {
    /// On purpose, or with everything said.
    Done,
    /// With its connection.
    Lost,
    /// The client has come by another.
    Replaced(Box<Attachment>),
}

/// How a channel stopped bringing input.
#[derive(Clone, Copy)]
enum Closed {
    ByPeer,
    WithConnection,
}

impl Kept<'_> {
    /// Serves one channel to its end.
    pub(super) async fn serve(&self, attachment: &mut Attachment, arrivals: &mut mpsc::Receiver<Attachment>) -> Parted {
        if !self.goes_on_where(attachment) {
            return Parted::Lost;
        }
        let Attachment { handle, channel, sender, receiver, tie, received, .. } = attachment;
        let end = async {
            tokio::select! {
                closed = self.take_input(receiver) => Some(closed),
                // Even while the program takes no input.
                () = sender.closed() => None,
            }
        };
        let closed = tokio::select! {
            closed = end => closed,
            next = arrivals.recv() => return replaced(next),
            () = self.send_output(sender, handle, *channel, received.is_some()) => return Parted::Done,
        };
        let closed = match closed {
            Some(closed) => closed,
            None => rest(receiver).await,
        };
        match closed {
            Closed::ByPeer => Parted::Done,
            Closed::WithConnection => tokio::select! {
                parting = tie.parting() => match parting {
                    Parting::Clean => Parted::Done,
                    Parting::Lost => Parted::Lost,
                },
                next = arrivals.recv() => replaced(next),
            },
        }
    }

    /// Puts the output back to where the client is. Answers whether that is possible.
    fn goes_on_where(&self, attachment: &Attachment) -> bool {
        let Some(received) = attachment.received else { return true };
        let peer = attachment.ends.peer;
        match self.outbox.rewind(received) {
            Ok(again) => {
                self.server.log.write(&Event::SessionResumed { session: self.meter.session, peer, again });
                true
            }
            // It was in reach when it was asked for, and its client takes nothing from other channels since.
            Err(error) => {
                self.server.log.write(&Event::ResumeRefused { peer, reason: &error.to_string() });
                false
            }
        }
    }

    /// Sends what the client has not; returns when the client does not close a channel on which everything was said. A channel
    /// that fails is noticed where it is read.
    async fn send_output(&self, sender: &ChannelSender<Msg>, handle: &Handle, channel: ChannelId, resumed: bool) {
        if resumed {
            let position = Bytes::copy_from_slice(&self.meter.received_so_far().to_be_bytes());
            let _ = sender.data(position).await;
        }
        loop {
            match self.outbox.next().await {
                Next::Data(data) => {
                    let len = data.len();
                    if sender.data(data).await.is_err() {
                        return std::future::pending().await;
                    }
                    self.outbox.sent(len);
                }
                Next::End(outcome) => {
                    outcome.announce(sender, handle, channel).await;
                    tokio::time::sleep(self.server.reconnect_grace).await;
                    return close(sender).await;
                }
            }
        }
    }

    /// Takes input until the channel ends. Nothing is taken that there is no place for: what is counted is in the session's
    /// hands, what is not is sent again.
    async fn take_input(&self, receiver: &mut ChannelReceiver) -> Closed {
        loop {
            let Ok(place) = self.input.reserve().await else { return std::future::pending().await };
            match receiver.recv().await {
                Ok(Some(ChannelMsg::Data { data })) => {
                    self.meter.received(data.len());
                    place.send(data);
                }
                other => {
                    if let ControlFlow::Break(closed) = end_of(&other) {
                        return closed;
                    }
                }
            }
        }
    }
}

fn replaced(next: Option<Attachment>) -> Parted {
    // The sending half is known as long as the session is.
    next.map_or(Parted::Done, |next| Parted::Replaced(Box::new(next)))
}

/// The end of a channel whose input is not taken any more.
async fn rest(receiver: &mut ChannelReceiver) -> Closed {
    loop {
        if let ControlFlow::Break(closed) = end_of(&receiver.recv().await) {
            return closed;
        }
    }
}

/// A client that breaks flow control is cut by us; one that closes the channel says so; a lost connection says nothing.
fn end_of(message: &Result<Option<ChannelMsg>, FlowError>) -> ControlFlow<Closed> {
    match message {
        Ok(Some(ChannelMsg::Close)) | Err(_) => ControlFlow::Break(Closed::ByPeer),
        Ok(None) => ControlFlow::Break(Closed::WithConnection),
        // Requests were answered by the handler; a terminal has no end of input but what is typed.
        Ok(Some(_)) => ControlFlow::Continue(()),
    }
}

async fn close(sender: &ChannelSender<Msg>) {
    // Closed already is as good.
    let _ = sender.close().await;
}

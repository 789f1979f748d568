//! The mover of a multiplexed session's bytes: frames of all streams to the agent, and its bytes to the streams.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::super::channel::{Channel, Event, Outbound};
use super::super::error::SsmError;
use super::super::smux::Shared;
use super::{Ending, reading_end};

/// What happened.
enum Step {
    Sent,
    Event(Option<Event>),
    Changed,
    Expired,
    Deaf,
    Wanted,
}

/// Ends all streams even if it is dropped on its way.
struct Streams(Arc<Shared>);

impl Drop for Streams {
    fn drop(&mut self) {
        self.0.lock().end(io::ErrorKind::ConnectionAborted);
    }
}

/// Moves bytes until the session ends.
pub(super) async fn run(mut channel: Channel, shared: Arc<Shared>, ending: Ending) -> Result<(), SsmError> {
    let outbound = channel.outbound();
    let streams = Streams(shared);
    let ended = match serve(&mut channel, &outbound, &streams.0, &ending).await {
        Ok(true) => channel.ended().await,
        Ok(false) => ending.end(channel).await,
        Err(error) => {
            // The other end makes nothing of what is sent now; that it does not is what matters.
            let _ = channel.terminate().await;
            Err(error)
        }
    };
    streams.0.lock().end(reading_end(&ended, false));
    ended
}

/// True when the session has ended, false when it is to be.
async fn serve(
    channel: &mut Channel,
    outbound: &mpsc::Sender<Outbound>,
    shared: &Shared,
    ending: &Ending,
) -> Result<bool, SsmError> {
    // What has come and does not fit. While there is such, nothing more is taken, which the agent feels in the end.
    let mut waiting: Option<Bytes> = None;
    // Whether anything can be sent. What has come before the end is still taken after it.
    let mut open = true;
    loop {
        let (sending, deadline) = {
            let mut smux = shared.lock();
            if let Some(bytes) = waiting.take_if(|bytes| smux.has_room(bytes.len())) {
                smux.take(&bytes, Instant::now())
                    .map_err(|error| SsmError::Handshake { cause: format!("the agent sends {error}") })?;
            }
            (smux.has_frame(), smux.deadline())
        };
        let step = select! {
            permit = outbound.reserve(), if open && sending => match permit {
                Ok(permit) => {
                    if let Some(frame) = shared.lock().next_frame() {
                        permit.send(Outbound::Input(frame));
                    }
                    Step::Sent
                }
                Err(_) => Step::Deaf,
            },
            event = channel.next(), if waiting.is_none() => Step::Event(event),
            () = shared.changed() => Step::Changed,
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => Step::Expired,
            () = ending.wanted() => Step::Wanted,
        };
        match step {
            Step::Sent | Step::Changed => {}
            Step::Event(Some(Event::Output(bytes))) => waiting = Some(bytes),
            Step::Event(Some(Event::ConnectRefused)) => shared.lock().refuse(),
            Step::Event(Some(_)) => {}
            Step::Expired => shared.lock().expire(Instant::now()),
            Step::Deaf => open = false,
            Step::Event(None) => return Ok(true),
            Step::Wanted => return Ok(false),
        }
    }
}

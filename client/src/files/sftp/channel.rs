//! Requests on a channel, and the answers to them in whatever order they come.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use russh::ChannelMsg;
use russh::client::Msg;
use ssh_flow::{ChannelReceiver, ChannelSender};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use super::reply::{Reply, Version};
use super::{SftpError, request};

/// Longest message that is taken, in bytes: OpenSSH's own limit, and room for a header.
const LONGEST_MESSAGE: usize = 256 * 1024 + 1024;
/// Packets that wait to be sent; their content is bounded by what may be in flight.
const QUEUE: usize = 64;
/// Small packets are sent together up to this length, in bytes: one SSH packet.
const GATHERED: usize = 32 * 1024;
/// What a request costs besides its content, in bytes of what may be in flight: it keeps their number bounded too.
const OVERHEAD: usize = 1024;
/// Time for a server to end after the last request.
const FAREWELL: Duration = Duration::from_secs(2);

/// The requests of one channel.
#[derive(Debug)]
pub(super) struct Requests {
    packets: mpsc::Sender<Bytes>,
    waiting: Arc<Waiting>,
    next_id: AtomicU32,
    in_flight: Semaphore,
    in_flight_limit: usize,
    reading: JoinHandle<()>,
}

/// Who waits for which answer.
#[derive(Debug, Default)]
struct Waiting {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_id: HashMap<u32, oneshot::Sender<Reply>>,
    /// Why nothing is answered any more: the first cause, told once.
    ended: Option<Option<SftpError>>,
}

impl Requests {
    /// Takes a channel whose subsystem was just asked for. `in_flight` bytes of content may be under way at once.
    pub(super) async fn start(
        sender: ChannelSender<Msg>,
        receiver: ChannelReceiver,
        in_flight: usize,
    ) -> Result<(Self, Version), SftpError> {
        sender.data(request::init()).await?;
        let mut frames = Frames { receiver, arrived: BytesMut::new(), granted: false };
        let version = Version::decode(frames.next().await?.ok_or(SftpError::Closed)?)?;
        if version.version != request::VERSION {
            return Err(SftpError::Version { version: version.version });
        }
        let (packets, queue) = mpsc::channel(QUEUE);
        let waiting = Arc::new(Waiting::default());
        tokio::spawn(send(sender, queue));
        let reading = tokio::spawn(take(frames, Arc::clone(&waiting)));
        let requests = Self {
            packets,
            waiting,
            next_id: AtomicU32::new(0),
            in_flight: Semaphore::new(in_flight),
            in_flight_limit: in_flight,
            reading,
        };
        Ok((requests, version))
    }

    /// Sends a request with `content` bytes in it or in its answer, and waits for the answer. Dropped, the request is sent or not,
    /// and its answer is thrown away.
    pub(super) async fn ask(&self, content: usize, packet: impl FnOnce(u32) -> Bytes) -> Result<Reply, SftpError> {
        let cost = (content + OVERHEAD).min(self.in_flight_limit);
        let _room = self
            .in_flight
            .acquire_many(u32::try_from(cost).unwrap_or(u32::MAX))
            .await
            .map_err(|_| SftpError::Closed)?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let answer = self.waiting.expect(id)?;
        if self.packets.send(packet(id)).await.is_err() {
            return Err(self.waiting.why_ended());
        }
        answer.await.map_err(|_| self.waiting.why_ended())
    }

    pub(super) async fn close(self) {
        drop(self.packets);
        // What it says after its last answer is of no interest; a server that stays is left to the end of the connection.
        let _ = tokio::time::timeout(FAREWELL, self.reading).await;
    }
}

impl Waiting {
    fn expect(&self, id: u32) -> Result<oneshot::Receiver<Reply>, SftpError> {
        let (answer_tx, answer) = oneshot::channel();
        let mut state = self.lock();
        if state.ended.is_some() {
            drop(state);
            return Err(self.why_ended());
        }
        state.by_id.insert(id, answer_tx);
        Ok(answer)
    }

    fn answer(&self, id: u32, reply: Reply) -> Result<(), SftpError> {
        let waiting = self.lock().by_id.remove(&id);
        // Who asked may have left meanwhile.
        let answered = waiting.map(|waiting| drop(waiting.send(reply)));
        answered.ok_or(SftpError::Malformed("an answer to no request"))
    }

    fn end(&self, cause: Option<SftpError>) {
        let mut state = self.lock();
        state.ended = Some(cause);
        state.by_id.clear();
    }

    fn why_ended(&self) -> SftpError {
        self.lock().ended.as_mut().and_then(Option::take).unwrap_or(SftpError::Closed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sends packets, the small ones together. A packet is always sent whole, whoever stops waiting for its answer.
async fn send(sender: ChannelSender<Msg>, mut queue: mpsc::Receiver<Bytes>) {
    let mut held: Option<Bytes> = None;
    loop {
        let Some(first) = (match held.take() {
            Some(packet) => Some(packet),
            None => queue.recv().await,
        }) else {
            break;
        };
        let mut gathered = BytesMut::new();
        while let Ok(next) = queue.try_recv() {
            let so_far = if gathered.is_empty() { first.len() } else { gathered.len() };
            if so_far + next.len() > GATHERED {
                held = Some(next);
                break;
            }
            if gathered.is_empty() {
                gathered.extend_from_slice(&first);
            }
            gathered.extend_from_slice(&next);
        }
        let packet = if gathered.is_empty() { first } else { gathered.freeze() };
        if sender.data(packet).await.is_err() {
            return;
        }
    }
    // The server ends when its standard input does; the channel is closed by it.
    if sender.eof().await.is_ok() {
        sender.closed().await;
    }
}

async fn take(mut frames: Frames, waiting: Arc<Waiting>) {
    let cause = loop {
        let answered = match frames.next().await {
            Ok(Some(frame)) => match Reply::decode(frame) {
                Ok((id, reply)) => waiting.answer(id, reply),
                Err(malformed) => Err(malformed.into()),
            },
            Ok(None) => break None,
            Err(error) => Err(error),
        };
        if let Err(error) = answered {
            break Some(error);
        }
    };
    waiting.end(cause);
    // Dropped here, the receiver lets the server send into the void: nothing stalls the connection.
}

/// The server's messages, cut out of the channel's data.
struct Frames {
    receiver: ChannelReceiver,
    arrived: BytesMut,
    /// The subsystem was granted.
    granted: bool,
}

impl Frames {
    /// The next message without its length; `None` at the end of the channel.
    async fn next(&mut self) -> Result<Option<Bytes>, SftpError> {
        loop {
            if let Some(frame) = self.cut()? {
                return Ok(Some(frame));
            }
            match self.receiver.recv().await? {
                Some(ChannelMsg::Data { data }) => self.arrived.extend_from_slice(&data),
                Some(ChannelMsg::ExtendedData { data, .. }) => {
                    tracing::debug!(said = %String::from_utf8_lossy(&data), "the SFTP server");
                }
                Some(ChannelMsg::Success) => self.granted = true,
                Some(ChannelMsg::Failure) if !self.granted => return Err(SftpError::NoSubsystem),
                Some(ChannelMsg::Eof | ChannelMsg::Close) | None => return Ok(None),
                Some(_) => {}
            }
        }
    }

    fn cut(&mut self) -> Result<Option<Bytes>, SftpError> {
        let Some(length) = self.arrived.first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_be_bytes(*length) as usize;
        if length > LONGEST_MESSAGE {
            return Err(SftpError::Malformed("a message is longer than any that was asked for"));
        }
        if self.arrived.len() < 4 + length {
            self.arrived.reserve(4 + length - self.arrived.len());
            return Ok(None);
        }
        self.arrived.advance(4);
        Ok(Some(self.arrived.split_to(length).freeze()))
    }
}

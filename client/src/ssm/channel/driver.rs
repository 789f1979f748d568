//! The task that owns the connection: it reads, acknowledges, sends, resends, and takes another connection when one is cut.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_tungstenite::tungstenite::Message;

use super::super::error::SsmError;
use super::super::frame::{Frame, Kind};
use super::super::incoming::{Incoming, Taken};
use super::super::message;
use super::super::outgoing::{Outgoing, Overdue};
use super::super::payload::PayloadType;
use super::super::session::DataKey;
use super::super::socket::{Heard, Socket};
use super::line::Line;
use super::negotiation::{Answer, Negotiation};
use super::pulse::{Beat, Pulse};
use super::{Event, Outbound};

/// Bytes of input in a message; what agents and AWS's own client send.
const CHUNK: usize = 1024;
/// Messages that wait for the connection before nothing more is read or sent: it is the slow one then.
const UNSENT_MAX: usize = 1024;
/// The agent says that the handshake is complete before it has noted so itself; what comes in between it throws away.
const SETTLE: Duration = Duration::from_millis(50);
/// From the first connection to the start of the session. An agent needs a second or two.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the agent may take to end a session that has been refused a key, and AWS one that has failed.
const FAREWELL: Duration = Duration::from_secs(5);
/// For the last messages and the goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// All that outlives a connection.
pub(super) struct Driver {
    line: Line,
    outbound: mpsc::Receiver<Outbound>,
    events: mpsc::Sender<Event>,
    incoming: Incoming,
    outgoing: Outgoing,
    negotiation: Negotiation,
    pulse: Pulse,
    /// In order, but not taken by the user yet. While there are any, the connection is not read.
    undelivered: VecDeque<Event>,
    /// The rest of an input of which a part was sent.
    rest: Bytes,
    /// When input may be sent, once the session has started.
    settled: Option<Instant>,
    start_by: Instant,
    /// Whether the agent has said or acknowledged anything.
    agent_heard: bool,
    /// Why the session will not start, and until when the agent may say so itself.
    failing: Option<(SsmError, Instant)>,
}

/// Why a connection is no longer served.
enum Served {
    /// The service has ended the session with these words.
    Closed(String),
    /// The connection is lost.
    Cut(String),
    /// The session cannot go on.
    Failed(SsmError),
    /// Nobody wants the session any more.
    Abandoned,
}

/// What happened.
enum Step {
    Heard(Heard),
    Outbound(Option<Outbound>),
    Key(Result<DataKey, SsmError>),
    Delivered(bool),
    Tick,
}

impl Driver {
    /// `size`: of the terminal that the session is to have. It goes out first and does no harm where it is not wanted; agents
    /// acknowledge it once a program runs, which is all that is heard of one that prints nothing.
    pub(super) fn new(
        line: Line,
        size: Option<(u32, u32)>,
        outbound: mpsc::Receiver<Outbound>,
        events: mpsc::Sender<Event>,
    ) -> Self {
        let now = Instant::now();
        let mut outgoing = Outgoing::new();
        if let Some((cols, rows)) = size {
            outgoing.push(PayloadType::Size, message::size(cols, rows), now);
        }
        let negotiation = Negotiation::new(line.session.clone(), Arc::clone(&line.services.keys));
        Self {
            line,
            outbound,
            events,
            incoming: Incoming::default(),
            outgoing,
            negotiation,
            pulse: Pulse::new(now),
            undelivered: VecDeque::new(),
            rest: Bytes::new(),
            settled: None,
            start_by: now + START_TIMEOUT,
            agent_heard: false,
            failing: None,
        }
    }

    /// Works until the session ends.
    pub(super) async fn run(mut self, mut socket: Socket) -> Result<(), SsmError> {
        loop {
            self.begin(&mut socket);
            match self.serve(&mut socket).await {
                Served::Closed(words) => {
                    socket.close(CLOSE_TIMEOUT).await;
                    return self.finish(&words).await;
                }
                Served::Failed(error) => {
                    socket.close(CLOSE_TIMEOUT).await;
                    // It would stand until its idle limit otherwise; the reason why it ends is the one to report.
                    let terminated = self.line.services.resume.terminate(&self.line.session.id);
                    let terminated = timeout(FAREWELL, terminated).await;
                    tracing::debug!(?terminated, "the session has failed");
                    return Err(error);
                }
                Served::Abandoned => return Ok(()),
                Served::Cut(cause) => socket = self.line.resume(&cause).await?,
            }
        }
    }

    /// The start of a connection: what is not acknowledged goes out again, behind the opening message.
    fn begin(&mut self, socket: &mut Socket) {
        let now = Instant::now();
        self.pulse = Pulse::new(now);
        socket.queue(keepalive());
        for wire in self.outgoing.resume(now) {
            socket.queue(Message::Binary(wire));
        }
    }

    async fn serve(&mut self, socket: &mut Socket) -> Served {
        let mut wanted = true;
        loop {
            if let Err(error) = self.send_rest(socket) {
                return Served::Failed(error);
            }
            let reading = self.undelivered.is_empty() && socket.queued() < UNSENT_MAX;
            if !reading {
                self.pulse.heard(Instant::now());
            }
            let sending = wanted && self.rest.is_empty() && self.may_send(socket);
            let deadline = self.deadline(reading);
            let step = select! {
                heard = socket.turn(reading) => Step::Heard(heard),
                permit = self.events.reserve(), if !self.undelivered.is_empty() => Step::Delivered(match permit {
                    Ok(permit) => {
                        if let Some(event) = self.undelivered.pop_front() {
                            permit.send(event);
                        }
                        true
                    }
                    Err(_) => false,
                }),
                outbound = self.outbound.recv(), if sending => Step::Outbound(outbound),
                key = self.negotiation.key(), if self.negotiation.is_asking() => Step::Key(key),
                () = sleep_until(deadline) => Step::Tick,
            };
            let served = match step {
                Step::Heard(heard) => self.hear(heard, socket),
                Step::Outbound(outbound) => {
                    wanted = outbound.is_some();
                    self.send(outbound, socket);
                    None
                }
                Step::Key(key) => {
                    self.answer(key, socket);
                    None
                }
                Step::Delivered(true) => None,
                Step::Delivered(false) => Some(Served::Abandoned),
                Step::Tick => self.tick(reading, socket),
            };
            if let Some(served) = served {
                return served;
            }
        }
    }

    /// Ends as the service says, after the user has had everything that came before.
    async fn finish(self, words: &str) -> Result<(), SsmError> {
        for event in self.undelivered {
            if self.events.send(event).await.is_err() {
                break;
            }
        }
        match (self.failing, SsmError::from_closing(words)) {
            (Some((error, _)), _) | (None, Some(error)) => Err(error),
            (None, None) => Ok(()),
        }
    }

    fn deadline(&self, reading: bool) -> Instant {
        let pulse = self.pulse.deadline(!self.outgoing.is_empty());
        let resend = self.outgoing.deadline().filter(|_| reading);
        let settled = self.settled.filter(|settled| *settled > Instant::now());
        let start = self.is_awaited().then_some(self.start_by);
        let failing = self.failing.as_ref().map(|(_, until)| *until);
        [resend, settled, start, failing].into_iter().flatten().fold(pulse, Instant::min)
    }

    /// Whether the start of the session is late in the end. A program that runs may keep silent, an agent that has begun a
    /// handshake may not.
    fn is_awaited(&self) -> bool {
        !self.negotiation.is_ready() && (self.negotiation.has_shaken_hands() || !self.agent_heard)
    }

    fn tick(&mut self, reading: bool, socket: &mut Socket) -> Option<Served> {
        let now = Instant::now();
        if self.failing.as_ref().is_some_and(|(_, until)| now >= *until) {
            return self.failing.take().map(|(error, _)| Served::Failed(error));
        }
        if self.is_awaited() && now >= self.start_by {
            return Some(Served::Failed(SsmError::Silent { after: START_TIMEOUT }));
        }
        if !reading {
            // Acknowledgements cannot come, so nothing is late.
            return None;
        }
        match self.outgoing.overdue(now) {
            Overdue::Nothing => {}
            Overdue::Resend(wire) => socket.queue(Message::Binary(wire)),
            Overdue::GiveUp(after) => return Some(Served::Failed(SsmError::Unacknowledged { after })),
        }
        match self.pulse.check(!self.outgoing.is_empty(), now) {
            Beat::Fine => None,
            Beat::Ask => {
                socket.queue(keepalive());
                None
            }
            Beat::Dead => Some(Served::Cut("it no longer answers".to_owned())),
        }
    }

    fn hear(&mut self, heard: Heard, socket: &mut Socket) -> Option<Served> {
        self.pulse.heard(Instant::now());
        let wire = match heard {
            Heard::Cut(cause) => return Some(Served::Cut(cause)),
            Heard::Sign => return None,
            Heard::Message(wire) => wire,
        };
        self.line.heard();
        match Frame::decode(wire) {
            Ok(frame) => self.take(frame, socket),
            Err(error) => {
                tracing::debug!(%error, "a message is passed over");
                None
            }
        }
    }

    fn take(&mut self, frame: Frame, socket: &mut Socket) -> Option<Served> {
        self.agent_heard |= matches!(frame.kind, Kind::Acknowledge | Kind::Output);
        match frame.kind {
            Kind::Acknowledge => {
                let sequence = message::acknowledged(&frame.payload);
                sequence.into_iter().for_each(|sequence| self.outgoing.acknowledge(sequence, Instant::now()));
                None
            }
            Kind::ChannelClosed => Some(Served::Closed(message::closing_words(&frame.payload))),
            Kind::Output => self.take_output(frame, socket).err().map(Served::Failed),
            Kind::Input | Kind::StartPublication | Kind::PausePublication => {
                tracing::debug!(kind = frame.kind.name(), "heard of the other side");
                None
            }
        }
    }

    fn take_output(&mut self, frame: Frame, socket: &mut Socket) -> Result<(), SsmError> {
        let acknowledgement = message::acknowledgement(&frame);
        if self.incoming.take(frame) == Taken::NoRoom {
            return Ok(());
        }
        socket.queue(Message::Binary(acknowledgement.encode()));
        while let Some(frame) = self.incoming.next() {
            let was_ready = self.negotiation.is_ready();
            let answer = self.negotiation.take(frame, &mut self.undelivered)?;
            if !was_ready && self.negotiation.is_ready() {
                let wait = if self.negotiation.has_shaken_hands() { SETTLE } else { Duration::ZERO };
                self.settled = Some(Instant::now() + wait);
            }
            self.say(answer, socket);
            if let Some(error) = self.negotiation.refusal() {
                self.failing.get_or_insert((error, Instant::now() + FAREWELL));
            }
        }
        Ok(())
    }

    fn answer(&mut self, key: Result<DataKey, SsmError>, socket: &mut Socket) {
        let (answer, error) = self.negotiation.answer(key);
        self.say(answer, socket);
        self.failing = error.map(|error| (error, Instant::now() + FAREWELL));
    }

    fn say(&mut self, answer: Option<Answer>, socket: &mut Socket) {
        if let Some((payload_type, payload)) = answer {
            self.push(payload_type, payload, socket);
        }
    }

    fn push(&mut self, payload_type: PayloadType, payload: Bytes, socket: &mut Socket) {
        let wire = self.outgoing.push(payload_type, payload, Instant::now());
        socket.queue(Message::Binary(wire));
    }

    fn may_send(&self, socket: &Socket) -> bool {
        let settled = self.settled.is_some_and(|settled| Instant::now() >= settled);
        settled && self.outgoing.has_room() && socket.queued() < UNSENT_MAX
    }

    fn send(&mut self, outbound: Option<Outbound>, socket: &mut Socket) {
        match outbound {
            None => {}
            Some(Outbound::Input(bytes)) => self.rest = bytes,
            Some(Outbound::Size(cols, rows)) => self.push(PayloadType::Size, message::size(cols, rows), socket),
            Some(Outbound::Flag(flag)) => {
                self.push(PayloadType::Flag, Bytes::copy_from_slice(&flag.encode()), socket);
            }
        }
    }

    /// Sends of the input that is at hand as much as may be on its way. Never an empty message: the agent cannot read it, and
    /// would be sent it for ever.
    fn send_rest(&mut self, socket: &mut Socket) -> Result<(), SsmError> {
        while !self.rest.is_empty() && self.may_send(socket) {
            let chunk = self.rest.split_to(self.rest.len().min(CHUNK));
            let sealed = self.negotiation.seal(chunk)?;
            self.push(PayloadType::Output, sealed, socket);
        }
        Ok(())
    }
}

fn keepalive() -> Message {
    Message::Ping(Bytes::from_static(b"keepalive"))
}

#[cfg(test)]
mod tests;

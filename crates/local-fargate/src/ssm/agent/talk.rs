//! An agent's conversation over the data channel: what comes is acknowledged and handed on, what goes is numbered and kept.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use super::Order;
use super::encryption::Cipher;
use super::handshake::{self, Responses};
use crate::draw::Draw;
use crate::ssm::channel::{Arrival, Channel, RESEND_TICK};
use crate::ssm::frame::{Frame, Kind};
use crate::ssm::payload::{self, Flag, Size};
use crate::state::Shared;

/// Bytes read at once of what is sent.
pub(super) const CHUNK: usize = 1024;
/// The pause after each of them.
const PACE: Duration = Duration::from_millis(1);
/// Unacknowledged messages from which on an agent pauses that otherwise does not.
const UNACKNOWLEDGED_MAX: usize = 4096;
/// Handshake messages that wait.
const RESPONSES: usize = 4;

/// One session's conversation.
#[derive(Debug)]
pub(super) struct Talk {
    session_id: String,
    channel: Mutex<Channel>,
    /// Changes with everything that is heard.
    heard: watch::Sender<()>,
    to_service: mpsc::Sender<Bytes>,
    stage: Mutex<Stage>,
    cipher: OnceLock<Cipher>,
    paced: bool,
    deaf: Mutex<Draw>,
    deaf_per_mille: u32,
}

/// What becomes of stream data.
#[derive(Clone, Debug)]
enum Stage {
    /// Answers to the handshake are taken, all else is acknowledged and thrown away.
    Handshaking(mpsc::Sender<Frame>),
    /// Nothing is acknowledged: it will be sent again.
    Starting,
    Active(mpsc::Sender<Input>),
}

/// Stream data for the work.
#[derive(Debug)]
pub(super) enum Input {
    Data(Bytes),
    Size(Size),
    Flag(Flag),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Talk {
    pub(super) fn new(shared: &Shared, order: &Order, to_service: mpsc::Sender<Bytes>) -> (Self, Responses) {
        let (answers, responses) = mpsc::channel(RESPONSES);
        let stage = if handshake::is_needed(order) { Stage::Handshaking(answers) } else { Stage::Starting };
        let talk = Self {
            session_id: order.session_id.clone(),
            channel: Mutex::default(),
            heard: watch::channel(()).0,
            to_service,
            stage: Mutex::new(stage),
            cipher: OnceLock::new(),
            paced: shared.config.agents.pacing,
            deaf: Mutex::new(Draw::new(shared.config.seed, 0)),
            deaf_per_mille: order.deaf_per_mille,
        };
        (talk, responses)
    }

    /// From now on stream data goes to the work, of which one message at a time is taken.
    pub(super) fn activate(&self) -> mpsc::Receiver<Input> {
        let (inputs, taken) = mpsc::channel(1);
        *lock(&self.stage) = Stage::Active(inputs);
        taken
    }

    /// The handshake is over, the work has not begun.
    pub(super) fn handshake_done(&self) {
        *lock(&self.stage) = Stage::Starting;
    }

    /// From now on what the work says is sealed, and what it hears is opened.
    pub(super) fn encrypt(&self, cipher: Cipher) {
        // A handshake that comes twice does not change the key.
        let _ = self.cipher.set(cipher);
    }

    pub(super) fn cipher(&self) -> Option<&Cipher> {
        self.cipher.get()
    }

    /// Waits until the channel is in this state.
    pub(super) async fn until(&self, holds: impl Fn(&Channel) -> bool) {
        let mut heard = self.heard.subscribe();
        while !holds(&lock(&self.channel)) {
            // The sender lives as long as `self`.
            let _ = heard.changed().await;
        }
    }

    /// Sends stream data, of which nothing is to be empty; `false` when the session is over.
    pub(super) async fn send(&self, payload_type: u32, payload: Bytes) -> bool {
        if payload.is_empty() {
            return true;
        }
        let is_sealed = matches!(payload_type, payload::OUTPUT | payload::STDERR | payload::EXIT_CODE);
        let payload = match self.cipher.get().filter(|_| is_sealed) {
            Some(cipher) => cipher.seal(&payload),
            None => payload,
        };
        let Ok(permit) = self.to_service.reserve().await else { return false };
        // Numbered and queued under one lock: the order of the numbers is that on the wire.
        let mut channel = lock(&self.channel);
        if let Some(message) = channel.send(payload_type, payload, Instant::now()) {
            permit.send(message);
        }
        true
    }

    /// Sends a part of what the work says when the service wants to hear it, and keeps the pace.
    pub(super) async fn send_paced(&self, payload_type: u32, payload: Bytes, pace: &mut Pace) -> bool {
        self.until(|channel| !channel.is_paused()).await;
        if self.paced {
            pace.keep().await;
        } else {
            // Beyond that it has the pace, too: acknowledgements are not heard while the work takes nothing, and it may take nothing
            // because this waits.
            let room = self.until(|channel| channel.unacknowledged() < UNACKNOWLEDGED_MAX);
            let _ = tokio::time::timeout(PACE, room).await;
        }
        self.send(payload_type, payload).await
    }

    /// Tells the service how the session stands.
    pub(super) async fn tell_state(&self, state: &str) {
        let told = payload::session_state(&self.session_id, state).encode();
        // A service that is gone needs not be told.
        let _ = self.to_service.send(told).await;
    }

    /// Sends the oldest message again whenever it is overdue; never ends before the service does.
    pub(super) async fn resend(&self) {
        let mut ticks = tokio::time::interval(RESEND_TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let overdue = lock(&self.channel).overdue(Instant::now());
            if let Some(message) = overdue
                && self.to_service.send(message).await.is_err()
            {
                return;
            }
        }
    }

    /// Hears the service until it closes the channel.
    pub(super) async fn listen(&self, mut from_service: mpsc::Receiver<Bytes>) {
        while let Some(bytes) = from_service.recv().await {
            let frame = match Frame::decode(&bytes) {
                Ok(frame) => frame,
                Err(error) => {
                    tracing::debug!(%error, "the agent cannot read a message");
                    continue;
                }
            };
            match frame.kind {
                Kind::ChannelClosed => return,
                Kind::StartPublication => lock(&self.channel).pause(false),
                Kind::PausePublication => lock(&self.channel).pause(true),
                Kind::Acknowledge => self.acknowledged(&frame),
                Kind::InputStreamData => self.stream_data(frame).await,
                _ => tracing::debug!(?frame, "the agent has no use for a message"),
            }
            self.heard.send_replace(());
        }
    }

    fn acknowledged(&self, frame: &Frame) {
        if self.deaf_per_mille > 0 && lock(&self.deaf).happens(self.deaf_per_mille) {
            return;
        }
        if let Some(sequence) = payload::acknowledged(&frame.payload) {
            lock(&self.channel).acknowledged(sequence, Instant::now());
        }
    }

    async fn stream_data(&self, frame: Frame) {
        let arrival = lock(&self.channel).arrive(&frame);
        // It may have ended a pause, and the work may take nothing of it before it has said something itself.
        self.heard.send_replace(());
        let mut next = match arrival {
            Arrival::Refused => return,
            Arrival::Due => Some((frame, false)),
            Arrival::Early | Arrival::Repeated => {
                self.acknowledge(&frame).await;
                lock(&self.channel).due().map(|frame| (frame, true))
            }
        };
        while let Some((frame, is_acknowledged)) = next.take() {
            if self.handle(&frame, is_acknowledged).await {
                next = lock(&self.channel).handled().map(|frame| (frame, true));
            } else if is_acknowledged {
                lock(&self.channel).not_ready(frame);
            }
        }
    }

    /// Deals with a message that is due; `false` if it cannot be dealt with yet.
    async fn handle(&self, frame: &Frame, is_acknowledged: bool) -> bool {
        let stage = lock(&self.stage).clone();
        let is_response = matches!(frame.payload_type, payload::HANDSHAKE_RESPONSE | payload::CHALLENGE_RESPONSE);
        let is_taken = match stage {
            Stage::Handshaking(answers) => {
                if is_response {
                    // One too many is as good as one that was lost.
                    let _ = answers.try_send(frame.clone());
                }
                true
            }
            _ if is_response => true,
            Stage::Starting => false,
            Stage::Active(inputs) => match self.input(frame) {
                // Waits for the work: until it has taken this, nothing else is heard, acknowledgements neither.
                Some(input) => inputs.send(input).await.is_ok(),
                None => true,
            },
        };
        if is_taken && !is_acknowledged {
            self.acknowledge(frame).await;
        }
        is_taken
    }

    fn input(&self, frame: &Frame) -> Option<Input> {
        match frame.payload_type {
            payload::OUTPUT => match self.cipher.get() {
                Some(cipher) => cipher.open(&frame.payload).map(Input::Data),
                None => Some(Input::Data(frame.payload.clone())),
            },
            payload::SIZE => serde_json::from_slice(&frame.payload).ok().map(Input::Size),
            payload::FLAG => Flag::parse(&frame.payload).map(Input::Flag),
            _ => None,
        }
    }

    async fn acknowledge(&self, frame: &Frame) {
        // A service that is gone needs no answer.
        let _ = self.to_service.send(payload::acknowledge(frame).encode()).await;
    }
}

/// A millisecond for each message, without what waking up late takes.
#[derive(Debug)]
pub(super) struct Pace(Instant);

impl Default for Pace {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Pace {
    async fn keep(&mut self) {
        tokio::time::sleep_until(self.0).await;
        // Only a little is caught up with: a burst after a silence has the pace from its beginning.
        self.0 = (self.0 + PACE).max(Instant::now() - 2 * PACE);
    }
}

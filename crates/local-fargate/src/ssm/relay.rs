//! The service between a client and an agent: it passes their frames on, and has a few words of its own for either.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt as _, StreamExt as _};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::frame::{self, Frame, Kind};
use super::impairment::{Impairment, carry};
use super::payload;
use super::session::{QUEUE, Session};
use crate::draw::Draw;

/// How long the last words to a client may take, and a client that has not come yet to come for them.
const LAST_WORDS: Duration = Duration::from_secs(5);

pub(super) type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// A connection that was let in.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) socket: Socket,
}

/// What a relay is between.
#[derive(Debug)]
pub(super) struct Ends {
    pub(super) joining: mpsc::Receiver<Client>,
    pub(super) to_agent: mpsc::Sender<Bytes>,
    pub(super) from_agent: mpsc::Receiver<Bytes>,
    /// What the agent leaves for the user.
    pub(super) ended: oneshot::Receiver<String>,
}

/// A client while it is connected.
struct Connected {
    out: mpsc::Sender<Bytes>,
    /// Cancelled when either of its tasks has ended, or to have them end at once.
    gone: CancellationToken,
    /// Cuts that were asked for since it came.
    cuts: watch::Receiver<()>,
    since: Instant,
}

struct Relay {
    session: Arc<Session>,
    impairment: Impairment,
    /// To the agent, past the impairment.
    to_agent: mpsc::Sender<Bytes>,
    /// To the agent, through it.
    upward: mpsc::Sender<Bytes>,
    /// When data last passed.
    passed: watch::Sender<Instant>,
    tasks: JoinSet<()>,
    client: Option<Connected>,
    was_joined: bool,
}

/// Why a session ends that its agent does not end.
enum End {
    Terminated,
    Idle,
}

enum Event {
    End(End),
    Joined(Box<Client>),
    /// The client's connection is gone, or is to be.
    Lost,
    Pause(bool),
    FromAgent(Option<Bytes>),
}

/// Relays until the session is over, and tells whoever is there that it is.
pub(super) async fn run(session: Arc<Session>, impairment: Impairment, mut draw: Draw, ends: Ends) {
    let Ends { mut joining, to_agent, from_agent, ended } = ends;
    let (upward, uphill) = mpsc::channel(QUEUE);
    let (downhill, mut downward) = mpsc::channel(QUEUE);
    let (one, other) = (Draw::new(draw.seed(), 1), Draw::new(draw.seed(), 2));
    let lines = async {
        tokio::join!(
            carry(uphill, to_agent.clone(), impairment.clone(), one),
            carry(from_agent, downhill, impairment.clone(), other),
        )
    };
    let mut relay = Relay {
        session,
        impairment: impairment.clone(),
        to_agent: to_agent.clone(),
        upward,
        passed: watch::channel(Instant::now()).0,
        tasks: JoinSet::new(),
        client: None,
        was_joined: false,
    };
    let traffic = async {
        let output = relay.traffic(&mut joining, &mut downward, ended).await;
        relay.close(&output).await;
    };
    tokio::select! {
        () = traffic => {}
        // The lines end with the relay only.
        _ = lines => {}
    }
}

impl Relay {
    /// Passes frames on until the session ends; answers what the user is told.
    async fn traffic(
        &mut self,
        joining: &mut mpsc::Receiver<Client>,
        downward: &mut mpsc::Receiver<Bytes>,
        ended: oneshot::Receiver<String>,
    ) -> String {
        let mut pauses = Pauses::new(self.impairment.pause_every);
        loop {
            let event = tokio::select! {
                biased;
                () = self.session.terminated.cancelled() => Event::End(End::Terminated),
                () = self.idle() => Event::End(End::Idle),
                Some(client) = joining.recv() => Event::Joined(Box::new(client)),
                () = self.lost() => Event::Lost,
                is_paused = pauses.next() => Event::Pause(is_paused),
                frame = self.next_down(downward) => Event::FromAgent(frame),
            };
            match event {
                Event::End(end) => {
                    self.tell_agent(&payload::channel_closed(&self.session.id, "")).await;
                    return match end {
                        End::Terminated => String::new(),
                        // As users quote it (amazon-ssm-agent, issue 261).
                        End::Idle => "Your session timed out due to inactivity and has been terminated.".to_owned(),
                    };
                }
                Event::Joined(client) => self.join(*client).await,
                Event::Lost => {
                    self.client = None;
                    self.publish(Kind::PausePublication).await;
                }
                Event::Pause(true) => self.publish(Kind::PausePublication).await,
                Event::Pause(false) => self.publish(Kind::StartPublication).await,
                Event::FromAgent(Some(bytes)) => self.pass_down(bytes).await,
                // The agent has ended, and everything that it said has been passed on.
                Event::FromAgent(None) => {
                    self.await_first(joining).await;
                    return ended.await.unwrap_or_default();
                }
            }
        }
    }

    /// Who has not come yet is still told how a session ended that was over at once.
    async fn await_first(&mut self, joining: &mut mpsc::Receiver<Client>) {
        if self.was_joined {
            return;
        }
        tokio::select! {
            Some(client) = joining.recv() => self.join(client).await,
            () = self.session.terminated.cancelled() => {}
            () = sleep(LAST_WORDS) => {}
        }
    }

    /// The agent's next frame, taken when there is room for it at the client's, if there is one.
    async fn next_down(&self, downward: &mut mpsc::Receiver<Bytes>) -> Option<Bytes> {
        if let Some(client) = &self.client
            && client.out.reserve().await.is_err()
        {
            // Its loss is noticed by others.
            return std::future::pending().await;
        }
        downward.recv().await
    }

    async fn pass_down(&mut self, bytes: Bytes) {
        let kind = Frame::decode(&bytes).map_or(Kind::Unknown, |frame| frame.kind);
        if kind == Kind::AgentSessionState {
            return;
        }
        if kind == Kind::OutputStreamData {
            self.passed.send_replace(Instant::now());
        }
        let size = u64::try_from(bytes.len()).unwrap_or_default();
        match &self.client {
            // There is room: that was waited for.
            Some(client) if client.out.try_send(bytes).is_ok() => {
                self.session.see(|seen| seen.sent = (seen.sent.0 + 1, seen.sent.1 + size));
            }
            Some(_) => {}
            // Nobody listens: the frame is lost, and the agent is stopped.
            None => self.publish(Kind::PausePublication).await,
        }
    }

    async fn join(&mut self, client: Client) {
        self.was_joined = true;
        let (sink, stream) = client.socket.split();
        let (out, queue) = mpsc::channel(QUEUE);
        let gone = CancellationToken::new();
        let passed = Passed {
            session: Arc::clone(&self.session),
            upward: self.upward.clone(),
            passed: self.passed.clone(),
            cut_after: self.impairment.cut_after_bytes,
            bytes: Arc::new(AtomicU64::new(0)),
            gone: gone.clone(),
        };
        // Before anything of the agent's.
        let start = payload::publication(&self.session.id, Kind::StartPublication).encode();
        let _ = out.try_send(start);
        self.tasks.spawn(write(sink, queue, passed.clone()));
        self.tasks.spawn(read(stream, passed));
        while self.tasks.try_join_next().is_some() {}
        if let Some(before) =
            self.client.replace(Connected { out, gone, cuts: self.session.cuts.subscribe(), since: Instant::now() })
        {
            before.gone.cancel();
        }
        self.session.see(|seen| seen.connections += 1);
        self.publish(Kind::StartPublication).await;
    }

    async fn publish(&self, kind: Kind) {
        self.tell_agent(&payload::publication(&self.session.id, kind)).await;
    }

    async fn tell_agent(&self, frame: &Frame) {
        // An agent that does not take what it has is told when it does; one that is gone needs not be told.
        let _ = tokio::time::timeout(LAST_WORDS, self.to_agent.send(frame.encode())).await;
    }

    /// Ends when the client's connection has, or when it is to be cut; for ever while there is none.
    async fn lost(&self) {
        let Some(client) = &self.client else { return std::future::pending().await };
        let mut cuts = client.cuts.clone();
        let cut = async {
            match self.impairment.cut_after {
                Some(after) => tokio::time::sleep_until(client.since + after).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = client.gone.cancelled() => {}
            () = cut => {}
            // A clone knows of those that came while nobody looked.
            _ = cuts.changed() => {}
        }
        client.gone.cancel();
    }

    /// Ends when nothing has passed for too long.
    async fn idle(&self) {
        let Some(limit) = self.impairment.idle_close else { return std::future::pending().await };
        let passed = self.passed.subscribe();
        loop {
            let until = *passed.borrow() + limit;
            if until <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(until).await;
        }
    }

    /// Tells the client that the session is over, and closes its connection.
    async fn close(&mut self, output: &str) {
        if let Some(client) = self.client.take() {
            let last = payload::channel_closed(&self.session.id, output).encode();
            let said = async {
                // One that is gone cannot be told.
                let _ = client.out.send(last).await;
                drop(client);
                while self.tasks.join_next().await.is_some() {}
            };
            let _ = tokio::time::timeout(LAST_WORDS, said).await;
        }
    }
}

/// What both tasks of a connection know.
#[derive(Clone)]
struct Passed {
    session: Arc<Session>,
    upward: mpsc::Sender<Bytes>,
    passed: watch::Sender<Instant>,
    cut_after: Option<u64>,
    bytes: Arc<AtomicU64>,
    gone: CancellationToken,
}

impl Passed {
    fn count(&self, bytes: usize) {
        let bytes = u64::try_from(bytes).unwrap_or_default();
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if self.cut_after.is_some_and(|limit| all > limit) {
            self.gone.cancel();
        }
    }
}

async fn write(mut sink: SplitSink<Socket, Message>, mut queue: mpsc::Receiver<Bytes>, passed: Passed) {
    let writing = async {
        while let Some(bytes) = queue.recv().await {
            passed.count(bytes.len());
            if sink.send(Message::Binary(bytes)).await.is_err() {
                return;
            }
        }
        // Fails on a connection that is gone.
        let _ = sink.close().await;
    };
    tokio::select! {
        () = writing => {}
        () = passed.gone.cancelled() => {}
    }
    passed.gone.cancel();
}

async fn read(mut stream: SplitStream<Socket>, passed: Passed) {
    let reading = async {
        while let Some(Ok(message)) = stream.next().await {
            let bytes = match message {
                Message::Binary(bytes) => bytes,
                Message::Text(_) => {
                    passed.session.irregular("a text message after the first");
                    continue;
                }
                Message::Close(_) => return,
                _ => continue,
            };
            passed.count(bytes.len());
            inspect(&bytes, &passed);
            if passed.upward.send(bytes).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = reading => {}
        () = passed.gone.cancelled() => {}
    }
    passed.gone.cancel();
}

/// Notes what comes from a client, and what is wrong with it.
fn inspect(bytes: &Bytes, passed: &Passed) {
    let size = u64::try_from(bytes.len()).unwrap_or_default();
    passed.session.see(|seen| seen.received = (seen.received.0 + 1, seen.received.1 + size));
    match Frame::decode(bytes) {
        Err(error) => passed.session.irregular(&format!("an illegible message: {error}")),
        Ok(read) => {
            for what in frame::irregularities(bytes, &read) {
                passed.session.irregular(what);
            }
            match read.kind {
                Kind::InputStreamData => {
                    passed.passed.send_replace(Instant::now());
                }
                Kind::Acknowledge => {}
                other => passed.session.irregular(&format!("a message that no client sends: {other:?}")),
            }
        }
    }
}

/// When the agent is stopped and let go on, on request.
struct Pauses {
    every: Option<Duration>,
    next: Instant,
    is_paused: bool,
}

impl Pauses {
    /// Of each period, so much is pause.
    const PART: u32 = 10;

    fn new(every: Option<Duration>) -> Self {
        Self { every, next: Instant::now() + every.unwrap_or_default(), is_paused: false }
    }

    /// Cancel-safe: nothing changes before the time has come.
    async fn next(&mut self) -> bool {
        let Some(every) = self.every else { return std::future::pending().await };
        tokio::time::sleep_until(self.next).await;
        self.is_paused = !self.is_paused;
        let pause = every / Self::PART;
        self.next += if self.is_paused { pause } else { every.saturating_sub(pause) };
        self.is_paused
    }
}

//! The other end of a data channel: the gateway's door, and the agent's ordering, acknowledging and resending behind it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::select;
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::{Message, http};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async};
use uuid::Uuid;

use super::super::frame::{Frame, Kind};
use super::super::payload::PayloadType;

type Line = WebSocketStream<TcpStream>;

/// What the way to and from the peer does to messages, by their count; 0 is never. A message is lost only the first time.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) lose: u64,
    pub(super) double: u64,
    pub(super) swap: u64,
}

/// What the peer is told to do.
#[derive(Debug)]
pub(super) enum Say {
    Stream(PayloadType, Bytes),
    /// A frame as it is, neither numbered nor resent.
    Raw(Bytes),
    /// `channel_closed` with these words.
    Close(String),
    /// The connection breaks.
    Cut,
    /// Answers the next connections with this status.
    Refuse(u16, u32),
}

/// A connection that was opened: its first message and its request's headers.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) message: Value,
    pub(super) authorization: Option<String>,
}

/// A gateway with an agent behind it. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct Peer {
    pub(super) url: String,
    pub(super) say: mpsc::Sender<Say>,
    heard: mpsc::Receiver<(PayloadType, Bytes)>,
    pub(super) opened: mpsc::Receiver<Opened>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Peer {
    pub(super) async fn start(faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (say, orders) = mpsc::channel(16);
        // More than any test types: who is told to speak must not have to be listened to first.
        let (report, heard) = mpsc::channel(1 << 14);
        let (door, opened) = mpsc::channel(16);
        let agent = Agent { faults, orders, report, door, ..Agent::new() };
        let task = tokio::spawn(agent.work(listener));
        let url = format!("ws://{address}/v1/data-channel/me-0a1b?role=publish_subscribe");
        Self { url, say, heard, opened, task }
    }

    pub(super) async fn stream(&self, payload_type: PayloadType, payload: impl Into<Bytes>) {
        self.say.send(Say::Stream(payload_type, payload.into())).await.expect("a peer");
    }

    pub(super) async fn say(&self, what: Say) {
        self.say.send(what).await.expect("a peer");
    }

    /// The next stream data in order.
    pub(super) async fn heard_any(&mut self) -> (PayloadType, Bytes) {
        self.heard.recv().await.expect("a peer")
    }

    /// The same but for the terminal's size.
    pub(super) async fn heard(&mut self) -> (PayloadType, Bytes) {
        loop {
            let heard = self.heard_any().await;
            if heard.0 != PayloadType::Size {
                return heard;
            }
        }
    }

    /// What is typed next, of at least `length` bytes.
    pub(super) async fn heard_input(&mut self, length: usize) -> Vec<u8> {
        let mut input = Vec::new();
        while input.len() < length {
            let (payload_type, payload) = self.heard().await;
            assert_eq!(payload_type, PayloadType::Output);
            assert!(!payload.is_empty() && payload.len() <= 1024 + 28, "{} bytes", payload.len());
            input.extend_from_slice(&payload);
        }
        input
    }

    /// The handshake of a port session, up to and with its end. Yields the client's answer.
    pub(super) async fn shake_hands(&mut self, request: Value) -> Value {
        self.stream(PayloadType::HandshakeRequest, request.to_string()).await;
        let (payload_type, payload) = self.heard().await;
        assert_eq!(payload_type, PayloadType::HandshakeResponse);
        serde_json::from_slice(&payload).expect("JSON")
    }

    pub(super) async fn complete(&self, greeting: &str) {
        let complete = json!({"HandshakeTimeToComplete": 1, "CustomerMessage": greeting});
        self.stream(PayloadType::HandshakeComplete, complete.to_string()).await;
    }
}

struct Agent {
    faults: Faults,
    orders: mpsc::Receiver<Say>,
    report: mpsc::Sender<(PayloadType, Bytes)>,
    door: mpsc::Sender<Opened>,
    next: i64,
    unacknowledged: BTreeMap<i64, (Bytes, Instant)>,
    expected: i64,
    early: BTreeMap<i64, Frame>,
    sent: u64,
    taken: u64,
    held_back: Option<Bytes>,
    refuse: Option<(u16, u32)>,
}

impl Agent {
    fn new() -> Self {
        // Replaced by those of the peer.
        let (orders, report, door) = (mpsc::channel(1).1, mpsc::channel(1).0, mpsc::channel(1).0);
        let (unacknowledged, early) = (BTreeMap::new(), BTreeMap::new());
        Self {
            faults: Faults::default(),
            orders,
            report,
            door,
            next: 0,
            unacknowledged,
            expected: 0,
            early,
            sent: 0,
            taken: 0,
            held_back: None,
            refuse: None,
        }
    }

    /// One connection after another, the counters going on.
    async fn work(mut self, listener: TcpListener) {
        loop {
            let tcp = select! {
                accepted = listener.accept() => accepted.expect("a connection").0,
                Some(order) = self.orders.recv() => {
                    match order {
                        Say::Refuse(status, times) => self.refuse = Some((status, times)),
                        Say::Stream(payload_type, payload) => drop(self.number(payload_type, payload)),
                        Say::Cut => {}
                        other => panic!("{other:?} without a connection"),
                    }
                    continue;
                }
            };
            tcp.set_nodelay(true).expect("a socket");
            if let Some(mut line) = self.admit(tcp).await {
                for wire in self.unacknowledged.values().map(|(wire, _)| wire.clone()).collect::<Vec<_>>() {
                    let _ = line.feed(Message::Binary(wire)).await;
                }
                let _ = line.flush().await;
                // `None`: the connection is gone, by whomever.
                let _ = self.serve(&mut line).await;
            }
        }
    }

    async fn admit(&mut self, tcp: TcpStream) -> Option<Line> {
        let refusal = match &mut self.refuse {
            Some((status, times)) if *times > 0 => {
                *times -= 1;
                Some(*status)
            }
            _ => None,
        };
        let mut authorization = None;
        // The library's own form of a callback.
        #[allow(clippy::result_large_err)]
        let callback = |request: &Request, response: Response| match refusal {
            Some(status) => {
                let mut refused = ErrorResponse::new(Some("not you".to_owned()));
                *refused.status_mut() = http::StatusCode::from_u16(status).expect("a status");
                Err(refused)
            }
            None => {
                let header = request.headers().get("authorization");
                authorization = header.map(|value| value.to_str().expect("text").to_owned());
                Ok(response)
            }
        };
        let mut line = accept_hdr_async(tcp, callback).await.ok()?;
        let first = loop {
            match line.next().await?.ok()? {
                Message::Text(text) => break text,
                Message::Ping(_) => {}
                other => panic!("{other:?} before the channel was opened"),
            }
        };
        let message = serde_json::from_str(&first).expect("JSON");
        let _ = self.door.send(Opened { message, authorization }).await;
        Some(line)
    }

    async fn serve(&mut self, line: &mut Line) -> Option<()> {
        let mut ticks = interval(Duration::from_millis(50));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let room = self.unacknowledged.len() < 1000;
            select! {
                message = line.next() => match message?.ok()? {
                    Message::Binary(wire) => self.take(Frame::decode(wire).expect("a message"), line).await?,
                    Message::Close(_) => return None,
                    _ => {}
                },
                order = self.orders.recv(), if room => match order? {
                    Say::Stream(payload_type, payload) => {
                        let wire = self.number(payload_type, payload);
                        self.send(wire, line).await?;
                    }
                    Say::Raw(wire) => line.send(Message::Binary(wire)).await.ok()?,
                    Say::Cut => return None,
                    Say::Refuse(status, times) => self.refuse = Some((status, times)),
                    Say::Close(words) => {
                        let closed = json!({"MessageType": "channel_closed", "SessionId": "me-0a1b", "Output": words});
                        let wire = frame(Kind::ChannelClosed, 0, PayloadType::None, closed.to_string().into());
                        line.send(Message::Binary(wire)).await.ok()?;
                    }
                },
                _ = ticks.tick() => self.resend(line).await?,
            }
        }
    }

    fn number(&mut self, payload_type: PayloadType, payload: Bytes) -> Bytes {
        let wire = frame(Kind::Output, self.next, payload_type, payload);
        self.unacknowledged.insert(self.next, (wire.clone(), Instant::now()));
        self.next += 1;
        wire
    }

    /// Sends for the first time, when messages may be lost, doubled or overtaken.
    async fn send(&mut self, wire: Bytes, line: &mut Line) -> Option<()> {
        self.sent += 1;
        let every = |count: u64| count > 0 && self.sent.is_multiple_of(count);
        let (lose, double, swap) = (every(self.faults.lose), every(self.faults.double), every(self.faults.swap));
        if lose {
            return Some(());
        }
        if swap && self.held_back.is_none() {
            self.held_back = Some(wire);
            return Some(());
        }
        line.send(Message::Binary(wire.clone())).await.ok()?;
        for again in self.held_back.take().into_iter().chain(double.then_some(wire)) {
            line.send(Message::Binary(again)).await.ok()?;
        }
        Some(())
    }

    async fn resend(&mut self, line: &mut Line) -> Option<()> {
        let Some((wire, last)) = self.unacknowledged.values_mut().next() else { return Some(()) };
        if last.elapsed() >= Duration::from_millis(100) {
            *last = Instant::now();
            let wire = wire.clone();
            line.send(Message::Binary(wire)).await.ok()?;
        }
        Some(())
    }

    async fn take(&mut self, frame: Frame, line: &mut Line) -> Option<()> {
        match frame.kind {
            Kind::Acknowledge => {
                let content: Value = serde_json::from_slice(&frame.payload).expect("JSON");
                assert_eq!(content["AcknowledgedMessageType"], "output_stream_data");
                let sequence = content["AcknowledgedMessageSequenceNumber"].as_i64().expect("a number");
                self.unacknowledged.remove(&sequence);
            }
            Kind::Input => {
                self.taken += 1;
                // Once: what is resent has another count.
                if self.faults.lose > 0 && self.taken.is_multiple_of(self.faults.lose) {
                    return Some(());
                }
                let content = json!({
                    "AcknowledgedMessageType": "input_stream_data",
                    "AcknowledgedMessageId": frame.id.to_string(),
                    "AcknowledgedMessageSequenceNumber": frame.sequence,
                    "IsSequentialMessage": true,
                });
                let wire = super::peer::frame(Kind::Acknowledge, 0, PayloadType::None, content.to_string().into());
                line.send(Message::Binary(wire)).await.ok()?;
                if frame.sequence >= self.expected {
                    self.early.insert(frame.sequence, frame);
                }
                while let Some(frame) = self.early.remove(&self.expected) {
                    self.expected += 1;
                    let _ = self.report.send((frame.payload_type, frame.payload)).await;
                }
            }
            other => panic!("{other:?} from a client"),
        }
        Some(())
    }
}

fn frame(kind: Kind, sequence: i64, payload_type: PayloadType, payload: Bytes) -> Bytes {
    let (created_ms, flags, id) = (1_763_700_000_000, 0, Uuid::new_v4());
    Frame { kind, created_ms, sequence, flags, id, payload_type, payload }.encode()
}

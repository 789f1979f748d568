//! A client of the data channel, as small as it can be: frames packed by hand, acknowledged, and sent again until they are.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::api::{PATIENCE, authorization};

/// A version that need not sign, but that multiplexes and wants no keepalive.
pub(crate) const UNSIGNED: &str = "1.2.677.0";
/// How long an answer is waited for before everything unacknowledged is sent again.
const RESEND: Duration = Duration::from_millis(200);

/// One connection, with what survives it.
pub(crate) struct Peer {
    socket: WebSocketStream<TcpStream>,
    next: i64,
    unacknowledged: VecDeque<(i64, Vec<u8>)>,
    expected: i64,
    early: BTreeMap<i64, (u32, Vec<u8>)>,
}

/// What comes next.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// Stream data in order: its type and what is in it.
    Data(u32, Vec<u8>),
    /// The end of the session, and what the user is told.
    Closed(String),
    /// The end of the connection.
    Lost,
}

impl Peer {
    /// Opens the channel of a session that StartSession, ResumeSession or ExecuteCommand answered.
    pub(crate) async fn open(session: &Value) -> Self {
        Self::connect(session, UNSIGNED, None).await.expect("a connection")
    }

    /// Opens it as a client of this version, signed for a service if for any.
    pub(crate) async fn connect(session: &Value, version: &str, signed: Option<&str>) -> Result<Self, String> {
        let text = |pascal: &str, camel: &str| {
            session[pascal].as_str().or_else(|| session[camel].as_str()).unwrap_or_default().to_owned()
        };
        let url = text("StreamUrl", "streamUrl");
        let mut request = url.as_str().into_client_request().expect("a URL");
        if let Some(service) = signed {
            request.headers_mut().insert("authorization", authorization(service).parse().expect("a header"));
        }
        let host = request.uri().authority().expect("a host").to_string();
        let stream = TcpStream::connect(host).await.expect("the stand-in listens");
        let connected = tokio_tungstenite::client_async(request, stream).await;
        let (mut socket, _) = connected.map_err(|error| error.to_string())?;
        let open = json!({
            "MessageSchemaVersion": "1.0",
            "RequestId": "6e4c4b4e-6ac1-4cf1-8a8e-5ad4a5c0a5f1",
            "TokenValue": text("TokenValue", "tokenValue"),
            "ClientId": "0f6b0cb6-67d2-4d59-9b6b-3c1f4c1a2f10",
            "ClientVersion": version,
        });
        socket.send(Message::text(open.to_string())).await.map_err(|error| error.to_string())?;
        Ok(Self { socket, next: 0, unacknowledged: VecDeque::new(), expected: 0, early: BTreeMap::new() })
    }

    /// Goes on over a new connection: numbers and what is unacknowledged stay.
    pub(crate) async fn resume(self, session: &Value) -> Self {
        let fresh = Self::open(session).await;
        let mut peer = Self { socket: fresh.socket, ..self };
        peer.send_again().await;
        peer
    }

    /// Sends stream data.
    pub(crate) async fn send(&mut self, payload_type: u32, payload: &[u8]) {
        let bytes = frame("input_stream_data", self.next, 0, payload_type, payload);
        self.unacknowledged.push_back((self.next, bytes.clone()));
        self.next += 1;
        // A connection that is lost is noticed by hearing.
        let _ = self.socket.send(Message::binary(bytes)).await;
    }

    /// Sends any bytes.
    pub(crate) async fn send_raw(&mut self, bytes: Vec<u8>) {
        self.socket.send(Message::binary(bytes)).await.expect("a connection");
    }

    async fn send_again(&mut self) {
        for (_, bytes) in &self.unacknowledged {
            let _ = self.socket.feed(Message::binary(bytes.clone())).await;
        }
        let _ = self.socket.flush().await;
    }

    /// Whether the agent has everything.
    pub(crate) fn is_acknowledged(&self) -> bool {
        self.unacknowledged.is_empty()
    }

    /// Hears until the agent has everything.
    pub(crate) async fn until_acknowledged(&mut self) {
        while !self.is_acknowledged() {
            let heard = self.step().await;
            assert_eq!(heard, None);
        }
    }

    /// What comes next.
    pub(crate) async fn hear(&mut self) -> Heard {
        let heard = async {
            loop {
                if let Some(heard) = self.step().await {
                    return heard;
                }
            }
        };
        tokio::time::timeout(PATIENCE, heard).await.expect("nothing is heard any more")
    }

    /// One message, or the lack of one; `None` if it was none that matters.
    async fn step(&mut self) -> Option<Heard> {
        if let Some((payload_type, payload)) = self.early.remove(&self.expected) {
            self.expected += 1;
            return Some(Heard::Data(payload_type, payload));
        }
        let message = match tokio::time::timeout(RESEND, self.socket.next()).await {
            Err(_) => {
                self.send_again().await;
                return None;
            }
            Ok(None | Some(Err(_) | Ok(Message::Close(_)))) => return Some(Heard::Lost),
            Ok(Some(Ok(Message::Binary(message)))) => message.to_vec(),
            Ok(Some(Ok(_))) => return None,
        };
        let kind = String::from_utf8_lossy(&message[4..36]).trim_end().to_owned();
        let sequence = i64::from_be_bytes(message[48..56].try_into().expect("8 bytes"));
        let payload_type = u32::from_be_bytes(message[112..116].try_into().expect("4 bytes"));
        let payload = message[120..].to_vec();
        assert_eq!(message[80..112], *Sha256::digest(&payload), "the digest of {kind}");
        match kind.as_str() {
            "output_stream_data" => {
                if sequence >= self.expected {
                    self.early.insert(sequence, (payload_type, payload));
                }
                let id = uuid::Uuid::from_slice(&[&message[72..80], &message[64..72]].concat()).expect("16 bytes");
                let content = json!({
                    "AcknowledgedMessageType": kind,
                    "AcknowledgedMessageId": id.to_string(),
                    "AcknowledgedMessageSequenceNumber": sequence,
                    "IsSequentialMessage": true,
                });
                let answer = frame("acknowledge", 0, 3, 0, content.to_string().as_bytes());
                let _ = self.socket.send(Message::binary(answer)).await;
                None
            }
            "acknowledge" => {
                let content: Value = serde_json::from_slice(&payload).expect("JSON");
                let number = content["AcknowledgedMessageSequenceNumber"].as_i64().expect("a number");
                self.unacknowledged.retain(|(known, _)| *known != number);
                None
            }
            "channel_closed" => {
                let content: Value = serde_json::from_slice(&payload).expect("JSON");
                Some(Heard::Closed(content["Output"].as_str().expect("a text").to_owned()))
            }
            other => {
                assert!(matches!(other, "start_publication" | "pause_publication"), "a client is told {other}");
                None
            }
        }
    }

    /// What comes next, which has to be stream data of this type.
    pub(crate) async fn data(&mut self, payload_type: u32) -> Vec<u8> {
        let heard = self.hear().await;
        let is_right = matches!(&heard, Heard::Data(known, _) if *known == payload_type);
        assert!(is_right, "{heard:?} instead of type {payload_type}");
        if let Heard::Data(_, data) = heard { data } else { Vec::new() }
    }

    /// Hears output, and nothing else, until it contains these words.
    pub(crate) async fn expect(&mut self, words: &str) -> String {
        let mut all = String::new();
        while !all.contains(words) {
            all.push_str(&String::from_utf8_lossy(&self.data(1).await));
        }
        all
    }

    /// Shakes hands as a client of this version; answers what the agent asked for.
    pub(crate) async fn shake(&mut self, version: &str) -> Value {
        let request: Value = serde_json::from_slice(&self.data(5).await).expect("JSON");
        let done = json!([{"ActionType": "SessionType", "ActionStatus": 1, "ActionResult": null, "Error": ""}]);
        let response = json!({"ClientVersion": version, "ProcessedClientActions": done, "Errors": null});
        self.send(6, response.to_string().as_bytes()).await;
        let complete: Value = serde_json::from_slice(&self.data(7).await).expect("JSON");
        assert!(complete["HandshakeTimeToComplete"].is_u64(), "{complete}");
        request
    }
}

/// A frame, packed by hand.
pub(crate) fn frame(kind: &str, sequence: i64, flags: u64, payload_type: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = 116_u32.to_be_bytes().to_vec();
    bytes.extend(format!("{kind:32}").as_bytes());
    bytes.extend(1_u32.to_be_bytes());
    bytes.extend(1_700_000_000_000_u64.to_be_bytes());
    bytes.extend(sequence.to_be_bytes());
    bytes.extend(flags.to_be_bytes());
    bytes.extend(uuid::Uuid::new_v4().as_bytes());
    bytes.extend(Sha256::digest(payload));
    bytes.extend(payload_type.to_be_bytes());
    bytes.extend(u32::try_from(payload.len()).expect("a length").to_be_bytes());
    bytes.extend(payload);
    bytes
}

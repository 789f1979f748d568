//! A driver over a connection in memory, while the clock stands still unless everybody waits for it.

use std::sync::{Arc, Mutex};

use futures_util::future::BoxFuture;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use uuid::Uuid;

use super::super::super::session::{DataKeyRequest, DataKeys, Resume, Session, Token};
use super::super::Services;
use super::*;
use crate::aws::ServiceError;

/// AWS that keeps count, and holds every session for over.
#[derive(Debug, Default)]
struct Gone {
    calls: Mutex<Vec<&'static str>>,
}

impl Resume for Gone {
    fn resume<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<Option<Token>, ServiceError>> {
        self.calls.lock().expect("no panic").push("resume");
        Box::pin(std::future::ready(Ok(None)))
    }

    fn terminate<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), ServiceError>> {
        self.calls.lock().expect("no panic").push("terminate");
        Box::pin(std::future::ready(Ok(())))
    }
}

impl DataKeys for Gone {
    fn data_key<'a>(&'a self, _: &'a DataKeyRequest) -> BoxFuture<'a, Result<DataKey, ServiceError>> {
        panic!("nothing is encrypted here");
    }
}

struct Rig {
    aws: Arc<Gone>,
    outbound: mpsc::Sender<Outbound>,
    events: mpsc::Receiver<Event>,
    ending: JoinHandle<Result<(), SsmError>>,
    gateway: WebSocketStream<DuplexStream>,
}

async fn rig(size: Option<(u32, u32)>) -> Rig {
    let aws = Arc::new(Gone::default());
    let services = Services { signer: None, resume: Arc::<Gone>::clone(&aws), keys: Arc::<Gone>::clone(&aws) };
    let session = Session {
        id: "me-0a1b".to_owned(),
        stream_url: "wss://gateway.invalid/v1/data-channel/me-0a1b".to_owned(),
        token: Token::new("t"),
        target: "ecs:shop_1_2".to_owned(),
    };
    let (near, far) = tokio::io::duplex(1 << 16);
    let socket = Socket::over(Box::new(near)).await;
    let gateway = WebSocketStream::from_raw_socket(far, Role::Server, None).await;
    let (outbound, from_user) = mpsc::channel(8);
    let (to_user, events) = mpsc::channel(8);
    let driver = Driver::new(Line::new(session, services).expect("an address"), size, from_user, to_user);
    let ending = tokio::spawn(driver.run(socket));
    Rig { aws, outbound, events, ending, gateway }
}

fn output(sequence: i64, content: &'static str) -> Message {
    let frame = Frame {
        kind: Kind::Output,
        created_ms: 1,
        sequence,
        flags: 0,
        id: Uuid::new_v4(),
        payload_type: PayloadType::Output,
        payload: content.into(),
    };
    Message::Binary(frame.encode())
}

/// Answers pings and nothing else; counts the messages by kind and sequence.
fn deaf(mut gateway: WebSocketStream<DuplexStream>) -> JoinHandle<Vec<(Kind, i64)>> {
    tokio::spawn(async move {
        let mut heard = Vec::new();
        while let Some(Ok(message)) = gateway.next().await {
            if let Message::Binary(wire) = message {
                let frame = Frame::decode(wire).expect("a message");
                heard.push((frame.kind, frame.sequence));
            }
        }
        heard
    })
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_never_comes_is_waited_for_a_minute() {
    let rig = rig(None).await;
    let start = Instant::now();
    let gateway = deaf(rig.gateway);
    assert_eq!(rig.ending.await.expect("no panic"), Err(SsmError::Silent { after: START_TIMEOUT }));
    assert_eq!(start.elapsed(), START_TIMEOUT);
    assert_eq!(*rig.aws.calls.lock().expect("no panic"), ["terminate"]);
    assert_eq!(gateway.await.expect("no panic"), []);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_nobody_acknowledges_is_sent_again_for_five_minutes() {
    let mut rig = rig(None).await;
    rig.gateway.send(output(0, "$")).await.expect("sent");
    assert!(matches!(rig.events.recv().await, Some(Event::Ready(_))));
    rig.outbound.send(Outbound::Input("lost".into())).await.expect("typed");
    rig.outbound.send(Outbound::Input("behind".into())).await.expect("typed");
    let gateway = deaf(rig.gateway);
    let ended = rig.ending.await.expect("no panic");
    assert_eq!(ended, Err(SsmError::Unacknowledged { after: Duration::from_secs(300) }));
    assert_eq!(*rig.aws.calls.lock().expect("no panic"), ["terminate"]);
    let heard = gateway.await.expect("no panic");
    let count = |sequence| heard.iter().filter(|message| **message == (Kind::Input, sequence)).count();
    // One each 200 ms, the first included; only the oldest is sent again.
    assert_eq!((count(0), count(1)), (1500, 1));
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_dead_is_given_up_and_the_session_resumed() {
    let mut rig = rig(None).await;
    rig.gateway.send(output(0, "$")).await.expect("sent");
    assert!(matches!(rig.events.recv().await, Some(Event::Ready(_))));
    assert!(matches!(rig.events.recv().await, Some(Event::Output(_))));
    let start = Instant::now();
    // Kept, and never read: no ping is answered, no close is heard.
    let _gateway = rig.gateway;
    assert_eq!(rig.ending.await.expect("no panic"), Err(SsmError::OverMeanwhile));
    assert_eq!(*rig.aws.calls.lock().expect("no panic"), ["resume"]);
    assert_eq!(start.elapsed(), Duration::from_secs(45), "half a minute of silence, and a question in vain");
}

#[tokio::test(start_paused = true)]
async fn who_does_not_take_what_is_printed_is_not_taken_for_a_dead_connection() {
    let mut rig = rig(None).await;
    for sequence in 0..32 {
        rig.gateway.send(output(sequence, "much")).await.expect("sent");
    }
    let gateway = deaf(rig.gateway);
    tokio::time::advance(Duration::from_secs(600)).await;
    for _ in 0..33 {
        assert!(rig.events.recv().await.is_some());
    }
    assert!(!rig.ending.is_finished());
    assert!(rig.aws.calls.lock().expect("no panic").is_empty());
    rig.ending.abort();
    let heard = gateway.await.expect("no panic");
    assert_eq!(heard.len(), 32, "each is acknowledged once");
}

#[tokio::test(start_paused = true)]
async fn a_program_that_prints_nothing_is_waited_for_once_it_runs() {
    let mut rig = rig(Some((80, 24))).await;
    let mut gateway = rig.gateway;
    let size = loop {
        if let Some(Ok(Message::Binary(wire))) = gateway.next().await {
            break Frame::decode(wire).expect("a message");
        }
    };
    assert_eq!((size.payload_type, size.sequence), (PayloadType::Size, 0));
    let acknowledged = br#"{"AcknowledgedMessageType":"input_stream_data","AcknowledgedMessageId":"x","AcknowledgedMessageSequenceNumber":0}"#;
    let acknowledgement = Frame::acknowledge(Bytes::from_static(acknowledged));
    gateway.send(Message::Binary(acknowledgement.encode())).await.expect("sent");
    let gateway = deaf(gateway);
    tokio::time::sleep(START_TIMEOUT * 10).await;
    assert!(!rig.ending.is_finished() && rig.events.try_recv().is_err());
    rig.ending.abort();
    assert_eq!(gateway.await.expect("no panic"), [], "what is acknowledged is not sent again");
}

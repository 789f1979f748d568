//! Connections through Systems Manager: each has sessions of its own, since an agent paces each session by itself. Sessions are ended
//! with their connection, and what is left of them with the run.

mod hello;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::bundle::Bundled;
use super::dial::{DialFailure, IDENTIFICATION_TIMEOUT};
use super::stream::{HungUp, Link, Stream};
use crate::aws::start_session::{StartSessionRequest, start_session};
use crate::aws::terminate_session::terminate_session;
use crate::aws::{Aws, ServiceError};
use crate::checkpoint::checkpoint;
use crate::ssm::port::Ports;
use crate::ssm::{Services, Session, SsmError};
pub(super) use hello::{Hello, Said};

/// A session of this goes to a port of the container itself and nowhere else, and carries one connection.
const DOCUMENT: &str = "AWS-StartSSHSession";
/// Its only parameter.
const PORT: &str = "portNumber";
/// The service says nothing when somebody ends a session, and neither does the agent whose port hangs up.
const UNEXPLAINED: &str = "somebody has terminated it, or its port hung up";
/// How long the ends of all sessions may take when the run ends: whatever is left ends with the task.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// The sessions of one run. Clones are the same.
#[derive(Clone, Debug)]
pub struct Sessions(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    aws: Aws,
    /// For CloudTrail.
    reason: String,
    /// The user's wish to stop; for checkpoints.
    stop: CancellationToken,
    closing: CancellationToken,
    keepers: TaskTracker,
    /// How the sessions of the last connection ended that we did not end.
    last: Mutex<Option<(Dial, Vec<Ended>)>>,
    /// Sessions that stand until their task has ended.
    left: Mutex<Vec<(String, ServiceError)>>,
}

/// How a session ended, and whether somebody still used it.
type Ended = (HungUp, Result<(), SsmError>);

/// What the sessions of one connection have in common. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Dial(Arc<()>);

/// A port of a container, as Systems Manager reaches it.
#[derive(Clone, Debug)]
pub struct Port {
    /// `ecs:<cluster>_<task>_<runtime id>`.
    pub target: String,
    /// TCP port that listens on the container's loopback interface.
    pub port: u16,
    /// Sessions that one connection may have.
    pub most: u8,
    /// Where its sessions are kept.
    pub sessions: Sessions,
}

/// Two are equal if they lead to the same place.
impl PartialEq for Port {
    fn eq(&self, other: &Self) -> bool {
        (&self.target, self.port) == (&other.target, other.port)
    }
}

impl Eq for Port {}

impl Sessions {
    /// None yet. `run` is what CloudTrail shall know them by.
    #[must_use]
    pub fn new(aws: Aws, run: &str, stop: CancellationToken) -> Self {
        Self(Arc::new(Inner {
            aws,
            reason: format!("fargate-login run {run}"),
            stop,
            closing: CancellationToken::new(),
            keepers: TaskTracker::new(),
            last: Mutex::default(),
            left: Mutex::default(),
        }))
    }

    /// Runs something beside the sessions until they are closed.
    pub(super) fn spawn(&self, work: impl Future<Output = ()> + Send + 'static) {
        let closing = self.0.closing.clone();
        self.0.keepers.spawn(async move { closing.run_until_cancelled_owned(work).await });
    }

    /// Ends those that there are. Answers how many are not known to have ended, with a reason where there is one, and how the last one
    /// broke that nobody had wanted to end.
    pub async fn close(&self) -> Closed {
        let inner = &self.0;
        inner.closing.cancel();
        inner.keepers.close();
        let is_late = tokio::time::timeout(CLOSE_TIMEOUT, inner.keepers.wait()).await.is_err();
        let left = std::mem::take(&mut *inner.left.lock().unwrap_or_else(PoisonError::into_inner));
        let last = inner.last.lock().unwrap_or_else(PoisonError::into_inner).take();
        let unexplained = || SsmError::Ended { words: UNEXPLAINED.to_owned() };
        // Only now is it known who was first: whoever used it has gone. One that broke has taken the others of its connection along.
        let broken = last.and_then(|(_, ended)| ended.into_iter().find(|(hung_up, _)| hung_up.is_so()));
        let broken = broken.map(|(_, ended)| ended.err().unwrap_or_else(unexplained));
        Closed { left, late: if is_late { inner.keepers.len() } else { 0 }, broken }
    }
}

/// What is to be said of a run's sessions at its end.
#[derive(Debug, Default)]
pub struct Closed {
    /// Ids of sessions that AWS did not end, and why.
    pub left: Vec<(String, ServiceError)>,
    /// How many were not known to have ended in time.
    pub late: usize,
    /// How the last connection broke, if one did.
    pub broken: Option<SsmError>,
}

impl Port {
    /// A connection over a new session, once something at its end says `SSH-`; over more sessions later, where both ends know of that and
    /// it is of use. The sessions end when the stream is dropped.
    ///
    /// # Errors
    /// [`DialFailure`]; then the session is ended as well. Cancel-safe in the same way.
    pub async fn dial(&self) -> Result<Stream, DialFailure> {
        let dial = Dial::default();
        match self.open(dial.clone(), Hello::First).await? {
            (link, Said::Greeting { links, identification }) => {
                let most = links.min(self.most);
                Ok(Stream::Bundle(Bundled::begin(self, dial, link, identification, most).await?))
            }
            (link, Said::Nothing) => Ok(Stream::Ssm(link)),
        }
    }

    /// A new session for this connection.
    pub(super) async fn open(&self, dial: Dial, hello: Hello) -> Result<(Link, Said), DialFailure> {
        let (handed, opened) = oneshot::channel();
        self.sessions.0.keepers.spawn(keep(self.clone(), dial, hello, handed));
        // A keeper is gone without a word only when the runtime ends.
        opened.await.unwrap_or(Err(DialFailure::Silent))
    }
}

/// What whoever asked for a session gets.
type Handed = Result<(Link, Said), DialFailure>;

/// Starts a session, hands a connection over, and sees to the session's end.
async fn keep(port: Port, dial: Dial, hello: Hello, mut handed: oneshot::Sender<Handed>) {
    let inner = Arc::clone(&port.sessions.0);
    let request = StartSessionRequest {
        target: port.target.clone(),
        document: Some(DOCUMENT.to_owned()),
        parameters: vec![(PORT.to_owned(), port.port.to_string())],
        reason: Some(inner.reason.clone()),
    };
    // Not a cancellation point: a request that was dropped half-way may leave a session that nobody knows.
    let session = match start_session(&inner.aws, &request).await {
        Ok(session) => session,
        Err(error) => return answer(handed, Err(refused(error))),
    };
    let id = session.id.clone();
    tracing::info!(session = id, target = port.target, "a session");
    checkpoint("after-start-session", &inner.stop).await;
    let hung_up = HungUp::default();
    let opened = tokio::select! {
        biased;
        () = inner.closing.cancelled() => return end(&inner, &id).await,
        () = handed.closed() => return end(&inner, &id).await,
        opened = open(session, Services::of(&inner.aws), &hello, hung_up.clone()) => opened,
    };
    let (ports, link) = match opened {
        Ok(opened) => opened,
        Err(failure) => {
            answer(handed, Err(failure));
            return end(&inner, &id).await;
        }
    };
    answer(handed, Ok(link));
    let ended = tokio::select! {
        biased;
        ended = ports.ended() => ended,
        () = inner.closing.cancelled() => {
            // Whoever used it may have met its end before we hear of it.
            let was_over = hung_up.is_so();
            match ports.terminate().await {
                Err(SsmError::NotTerminated(error)) => return inner.note_left(id, error),
                ended if was_over => ended,
                _ => return,
            }
        }
    };
    tracing::info!(session = id, ?ended, "the session has ended");
    inner.note(&dial, (hung_up, ended));
}

impl Inner {
    fn note(&self, dial: &Dial, ended: Ended) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *last {
            Some((of, all)) if Arc::ptr_eq(&of.0, &dial.0) => all.push(ended),
            last => *last = Some((dial.clone(), vec![ended])),
        }
    }

    fn note_left(&self, id: String, error: ServiceError) {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).push((id, error));
    }
}

fn answer(handed: oneshot::Sender<Handed>, opened: Handed) {
    // Whoever waits no more has no use for it: a stream that is dropped ends its session.
    let _ = handed.send(opened);
}

/// Ends a session that never carried anything.
async fn end(inner: &Inner, id: &str) {
    if let Err(error) = terminate_session(&inner.aws, id).await {
        inner.note_left(id.to_owned(), error);
    }
}

async fn open(
    session: Session,
    services: Services,
    hello: &Hello,
    hung_up: HungUp,
) -> Result<(Ports, (Link, Said)), DialFailure> {
    let ports = Ports::start(session, services).await.map_err(failed)?;
    if let Some(words) = ports.greeting() {
        tracing::info!(words, "the session's owner says");
    }
    let stream = ports.open().await.map_err(failed)?;
    let said = tokio::time::timeout(IDENTIFICATION_TIMEOUT, hello.exchange(stream, hung_up)).await;
    Ok((ports, said.map_err(|_| DialFailure::Silent)??))
}

fn refused(error: ServiceError) -> DialFailure {
    if error.is_not_connected() { DialFailure::NotConnected } else { DialFailure::Service(error) }
}

fn failed(error: SsmError) -> DialFailure {
    match error {
        SsmError::PortRefused { .. } => DialFailure::Refused,
        error => DialFailure::Session(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::aws::canned::{Asked, answering};

    fn port(answer: impl Fn(&str) -> (u16, Value) + Send + Sync + 'static) -> (Port, Asked) {
        let (aws, asked) = answering(move |operation, _| answer(operation));
        let sessions = Sessions::new(aws, "6a1f", CancellationToken::new());
        (Port { target: "ecs:shop_1_2".to_owned(), port: 22, most: 1, sessions }, asked)
    }

    #[tokio::test]
    async fn an_agent_that_is_not_there_yet_is_told_from_a_refusal() {
        let refusing = |code: &'static str| port(move |_| (400, json!({"__type": code, "message": "no"}))).0;
        let failure = refusing("TargetNotConnected").dial().await.expect_err("no agent");
        assert_eq!((&failure, failure.is_final()), (&DialFailure::NotConnected, false));
        let failure = refusing("AccessDeniedException").dial().await.expect_err("no right");
        assert!(failure.is_final() && failure.hint().contains("ssm:StartSession"), "{failure:?}");
        let failure = refusing("ThrottlingException").dial().await.expect_err("too many");
        assert!(!failure.is_final(), "{failure:?}");
    }

    #[tokio::test]
    async fn a_session_that_came_to_nothing_is_ended() {
        let (port, asked) = port(|operation| match operation {
            "StartSession" => {
                (200, json!({"SessionId": "me-0a", "StreamUrl": "https://gateway/x", "TokenValue": "hush"}))
            }
            _ => (200, json!({"SessionId": "me-0a"})),
        });
        let failure = port.dial().await.expect_err("no address for a token");
        assert!(failure.is_final(), "{failure:?}");
        let Closed { left, late, broken } = port.sessions.close().await;
        assert!(left.is_empty() && late == 0 && broken.is_none());
        let request = json!({
            "Target": "ecs:shop_1_2",
            "DocumentName": "AWS-StartSSHSession",
            "Reason": "fargate-login run 6a1f",
            "Parameters": {"portNumber": ["22"]},
        });
        let terminated = ("TerminateSession".to_owned(), json!({"SessionId": "me-0a"}));
        assert_eq!(asked.all(), [("StartSession".to_owned(), request), terminated]);
    }

    #[tokio::test]
    async fn a_session_that_aws_does_not_end_is_told() {
        let (port, _) = port(|operation| match operation {
            "StartSession" => {
                (200, json!({"SessionId": "me-0a", "StreamUrl": "https://gateway/x", "TokenValue": "hush"}))
            }
            _ => (400, json!({"__type": "AccessDeniedException", "message": "no"})),
        });
        port.dial().await.expect_err("no address for a token");
        let left = port.sessions.close().await.left;
        assert_eq!(left.len(), 1);
        assert_eq!((left[0].0.as_str(), left[0].1.action), ("me-0a", "ssm:TerminateSession"));
    }
}

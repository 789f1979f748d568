//! Dialling until something says `SSH-`: the port may be open before the server is there, and closed before the task is.

use std::fmt;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::Seen;
use super::stream::Stream;
use crate::aws::ServiceError;
use crate::error::Advice as _;
use crate::ssm::SsmError;

/// First and longest pause between two dials: what the user waits at most after the server listens.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(50);
/// A server that took the connection has this long to say who it is (its image may be starting).
pub(super) const IDENTIFICATION_TIMEOUT: Duration = Duration::from_secs(5);
/// What every SSH server says first (RFC 4253, section 4.2).
pub(super) const IDENTIFICATION: &[u8] = b"SSH-";

/// What an agent has to have before Systems Manager knows it (ECS developer guide, "ECS Exec").
pub(super) const AGENT_NEEDS: &str = "the task role needs the four `ssmmessages:` rights (task-definitions/iam/task-ssm.json), and a subnet \
     without a public address a NAT gateway or an interface endpoint for ssmmessages";

/// Why one dial did not reach an SSH server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DialFailure {
    /// No answer to the connection request.
    TimedOut,
    /// Nothing listens on the port.
    Refused,
    /// Something listens and says nothing, or hangs up.
    Silent,
    /// Something else listens.
    NotSsh,
    /// The network says no.
    Unreachable(ErrorKind),
    /// Systems Manager does not know the container's agent.
    NotConnected,
    /// Systems Manager starts no session.
    Service(ServiceError),
    /// The session came to nothing.
    Session(Box<SsmError>),
}

/// Dials every address until one shows an identification string; returns its stream, unread.
pub async fn until_identified(addresses: &[SocketAddr], timeout: Duration, seen_tx: &watch::Sender<Seen>) -> Stream {
    let mut dials = JoinSet::new();
    for address in addresses {
        dials.spawn(until_address_identified(*address, timeout, seen_tx.clone()));
    }
    // A dial ends only with a stream; a route has at least one address.
    loop {
        match dials.join_next().await {
            Some(Ok(stream)) => return Stream::Tcp(stream),
            Some(Err(error)) => tracing::warn!(%error, "a dial broke off"),
            None => std::future::pending().await,
        }
    }
}

async fn until_address_identified(address: SocketAddr, timeout: Duration, seen_tx: watch::Sender<Seen>) -> TcpStream {
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(PAUSE_MIN)
        .with_max_delay(PAUSE_MAX)
        .with_factor(1.5)
        .without_max_times()
        .build();
    loop {
        match dial(address, timeout).await {
            Ok(stream) => return stream,
            Err(failure) => {
                tracing::trace!(%address, %failure, "dialled");
                seen_tx.send_modify(|seen| seen.dial = Some(failure));
            }
        }
        tokio::time::sleep(pauses.next().unwrap_or(PAUSE_MAX)).await;
    }
}

/// Dials every address at once; the first that shows an identification string is taken.
///
/// # Errors
/// The last [`DialFailure`].
pub async fn dial_any(addresses: &[SocketAddr], timeout: Duration) -> Result<Stream, DialFailure> {
    let mut dials: JoinSet<_> = addresses.iter().map(|address| dial(*address, timeout)).collect();
    let mut failed = DialFailure::TimedOut;
    while let Some(dialled) = dials.join_next().await {
        match dialled {
            Ok(Ok(stream)) => return Ok(Stream::Tcp(stream)),
            Ok(Err(failure)) => failed = failure,
            Err(error) => tracing::warn!(%error, "a dial broke off"),
        }
    }
    Err(failed)
}

/// One attempt.
///
/// # Errors
/// [`DialFailure`].
pub async fn dial(address: SocketAddr, timeout: Duration) -> Result<TcpStream, DialFailure> {
    let connected = tokio::time::timeout(timeout, TcpStream::connect(address)).await;
    let stream = connected.map_err(|_| DialFailure::TimedOut)?.map_err(|error| failure(error.kind()))?;
    stream.set_nodelay(true).map_err(|error| failure(error.kind()))?;
    let identified = tokio::time::timeout(IDENTIFICATION_TIMEOUT, identify(&stream)).await;
    identified.map_err(|_| DialFailure::Silent)??;
    Ok(stream)
}

async fn identify(stream: &TcpStream) -> Result<(), DialFailure> {
    let mut first = [0; IDENTIFICATION.len()];
    loop {
        let arrived = stream.peek(&mut first).await.map_err(|_| DialFailure::Silent)?;
        let said = first.get(..arrived).unwrap_or_default();
        match said {
            [] => return Err(DialFailure::Silent),
            _ if said == IDENTIFICATION => return Ok(()),
            _ if !IDENTIFICATION.starts_with(said) => return Err(DialFailure::NotSsh),
            // A part of the four bytes: `peek` returns at once until the rest comes, so give it a moment.
            _ => tokio::time::sleep(PAUSE_MIN).await,
        }
    }
}

fn failure(kind: ErrorKind) -> DialFailure {
    match kind {
        ErrorKind::ConnectionRefused => DialFailure::Refused,
        ErrorKind::TimedOut => DialFailure::TimedOut,
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::NotConnected => DialFailure::Silent,
        other => DialFailure::Unreachable(other),
    }
}

impl DialFailure {
    /// What to do about it.
    #[must_use]
    pub fn hint(&self) -> String {
        let hint = match self {
            Self::TimedOut => {
                "let the security group take TCP on this port from your address, and check that the subnet can be reached from here; or \
                 use `--via ssm`"
            }
            Self::Refused => "nothing listens there: is this a fargate-login image, and is `--port` its port?",
            Self::Silent => "the server takes connections but says nothing: look at the container's log",
            Self::NotSsh => "something else than SSH answers there: check `--port`",
            Self::Unreachable(_) => "check the network between here and the task; or use `--via ssm`",
            Self::NotConnected => AGENT_NEEDS,
            Self::Service(error) => return error.hints().into_iter().next().unwrap_or_default(),
            Self::Session(error) => return error.hints().into_iter().next().unwrap_or_default(),
        };
        hint.to_owned()
    }

    /// Whether it will be the same however often it is tried.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            Self::Service(error) => !error.is_transient(),
            Self::Session(error) => match **error {
                SsmError::Refused { status, .. } => matches!(status, 400..=499),
                SsmError::Address { .. } | SsmError::Unsigned { .. } | SsmError::WrongKind { .. } => true,
                _ => false,
            },
            _ => false,
        }
    }
}

impl fmt::Display for DialFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TimedOut => f.write_str("no answer"),
            Self::Refused => f.write_str("connection refused"),
            Self::Silent => f.write_str("no identification string"),
            Self::NotSsh => f.write_str("not an SSH server"),
            Self::Unreachable(kind) => write!(f, "{kind}"),
            Self::NotConnected => f.write_str("its agent is not connected to Systems Manager"),
            Self::Service(error) => write!(f, "{error}"),
            Self::Session(error) => write!(f, "{error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn ready_is_the_identification_string_and_it_stays_unread() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move {
            // The first visitor is turned away, the second meets another protocol, the third the server, in two parts.
            drop(listener.accept().await.expect("first"));
            listener.accept().await.expect("second").0.write_all(b"220 smtp\r\n").await.expect("sent");
            let (mut third, _) = listener.accept().await.expect("third");
            third.set_nodelay(true).expect("nodelay");
            third.write_all(b"SS").await.expect("sent");
            third.write_all(b"H-2.0-test\r\n").await.expect("sent");
            third
        });
        assert_eq!(dial(address, TIMEOUT).await.expect_err("hung up"), DialFailure::Silent);
        assert_eq!(dial(address, TIMEOUT).await.expect_err("smtp"), DialFailure::NotSsh);
        let mut stream = dial(address, TIMEOUT).await.expect("SSH");
        let mut first = [0; 4];
        stream.read_exact(&mut first).await.expect("still there");
        assert_eq!(&first, IDENTIFICATION);
        drop(server.await.expect("served"));
    }

    #[tokio::test]
    async fn a_closed_port_is_dialled_until_it_opens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        assert_eq!(dial(address, TIMEOUT).await.expect_err("closed"), DialFailure::Refused);
        let (seen_tx, mut seen_rx) = watch::channel(Seen::default());
        let dialling = tokio::spawn(async move { until_identified(&[address], TIMEOUT, &seen_tx).await });
        seen_rx.wait_for(|seen| seen.dial == Some(DialFailure::Refused)).await.expect("dialled");
        let listener = TcpListener::bind(address).await.expect("the same port");
        let (mut server, _) = listener.accept().await.expect("dialled again");
        server.write_all(b"SSH-2.0-test\r\n").await.expect("sent");
        dialling.await.expect("identified");
    }
}

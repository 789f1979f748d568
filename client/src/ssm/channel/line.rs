//! How a channel gets its connection: a few attempts at the first, and the session resumed for every further one.

use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use uuid::Uuid;

use super::super::address::Address;
use super::super::error::SsmError;
use super::super::message;
use super::super::session::{Session, Token};
use super::super::socket::Socket;
use super::Services;

/// Pauses between attempts double from here; as AWS's own client.
const PAUSE_MIN: Duration = Duration::from_millis(150);
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// Attempts after the first at the first connection.
const RETRIES_FIRST: usize = 4;
/// The same at a lost one: some 40 seconds, in which a laptop has found another network.
const RETRIES_LOST: usize = 12;
/// Connections in a row that may be cut before a message was heard over them.
const FRUITLESS_MAX: u32 = 5;
/// One that stands for so long is not counted, though a quiet session may have had nothing to say.
const FRUITFUL: Duration = Duration::from_secs(10);

/// A session, and the way to it.
pub(super) struct Line {
    pub(super) session: Session,
    pub(super) services: Services,
    address: Address,
    client_id: Uuid,
    fruitless: u32,
    connected: Instant,
}

impl Line {
    /// # Errors
    /// [`SsmError::Address`].
    pub(super) fn new(session: Session, services: Services) -> Result<Self, SsmError> {
        let address = Address::parse(&session.stream_url)?;
        Ok(Self { session, services, address, client_id: Uuid::new_v4(), fruitless: 0, connected: Instant::now() })
    }

    /// The first connection.
    pub(super) async fn connect(&self) -> Result<Socket, SsmError> {
        (|| self.dial(&self.session.token))
            .retry(pauses(RETRIES_FIRST))
            .when(may_pass)
            .notify(|error, pause| tracing::debug!(%error, ?pause, "no data channel yet"))
            .await
    }

    /// Another connection in place of one that was cut: a new token, and the address as before.
    pub(super) async fn resume(&mut self, cause: &str) -> Result<Socket, SsmError> {
        tracing::debug!(cause, "the data channel was cut");
        if self.connected.elapsed() >= FRUITFUL {
            self.fruitless = 0;
        }
        self.fruitless += 1;
        if self.fruitless > FRUITLESS_MAX {
            return Err(SsmError::Lost { cause: cause.to_owned() });
        }
        let resumed = (|| self.resume_once())
            .retry(pauses(RETRIES_LOST))
            .when(may_pass)
            .notify(|error, pause| tracing::debug!(%error, ?pause, "the data channel is not back yet"))
            .await;
        self.connected = Instant::now();
        resumed.map_err(|error| match error {
            SsmError::Unreachable { cause, .. } => SsmError::Lost { cause },
            other => other,
        })
    }

    /// A message came over the present connection.
    pub(super) const fn heard(&mut self) {
        self.fruitless = 0;
    }

    async fn resume_once(&self) -> Result<Socket, SsmError> {
        let resumed = self.services.resume.resume(&self.session.id).await.map_err(SsmError::NotResumed)?;
        self.dial(&resumed.ok_or(SsmError::OverMeanwhile)?).await
    }

    async fn dial(&self, token: &Token) -> Result<Socket, SsmError> {
        let mut socket = Socket::dial(&self.address, self.services.signer.as_ref()).await?;
        socket.queue(Message::text(message::open(token, self.client_id).as_str()));
        Ok(socket)
    }
}

fn pauses(retries: usize) -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(PAUSE_MIN)
        .with_max_delay(PAUSE_MAX)
        .with_max_times(retries)
        .with_jitter()
}

/// Whether the same may succeed a moment later.
fn may_pass(error: &SsmError) -> bool {
    match error {
        SsmError::Unreachable { .. } => true,
        SsmError::Refused { status, .. } => *status == 429 || *status >= 500,
        SsmError::NotResumed(error) => error.is_transient(),
        _ => false,
    }
}

//! A session that stands, from its start to its end.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;

use super::document;
use super::error::ViaError;
use super::targets::Targets;
use crate::aws::Aws;
use crate::aws::start_session::start_session;
use crate::forward::spec::Target;
use crate::ssm::port::{PortOpener, Ports};
use crate::ssm::{Services, SsmError};

/// For the end of a session that did not come to anything: nobody waits for it longer.
const FAREWELL: Duration = Duration::from_secs(5);

/// AWS, as sessions need it.
#[derive(Clone, Debug)]
pub(super) struct Cloud {
    pub(super) aws: Aws,
    pub(super) services: Services,
}

/// A session that stands.
#[derive(Debug)]
pub(super) struct Held {
    id: String,
    pub(super) target: String,
    pub(super) since: Instant,
    ports: Ports,
}

/// A session that could not be ended.
#[derive(Debug)]
pub(super) struct Left {
    pub(super) id: String,
    pub(super) why: SsmError,
}

impl Cloud {
    /// Starts a session to `to` and waits until it takes connections. One that was granted when the run is to end is ended again.
    ///
    /// # Errors
    /// [`ViaError`].
    pub(super) async fn start(
        &self,
        targets: &Targets,
        to: &Target,
        ended: &CancellationToken,
    ) -> Result<Held, ViaError> {
        let picked = ended.run_until_cancelled(targets.pick(Instant::now())).await;
        let target = picked.ok_or(ViaError::Stopped)??;
        // Usage has been checked: sockets are refused there.
        let request = document::request(&target, to).ok_or(ViaError::Stopped)?;
        // Not a cancellation point: a request that was dropped half-way may leave a session that nobody knows.
        let session = start_session(&self.aws, &request).await?;
        let id = session.id.clone();
        let started = ended.run_until_cancelled(Ports::start(session, self.services.clone())).await;
        match started {
            Some(Ok(ports)) => Ok(Held { id, target, since: Instant::now(), ports }),
            other => {
                let terminated = timeout(FAREWELL, self.services.resume.terminate(&id)).await;
                tracing::debug!(?terminated, id, "the session did not start");
                Err(other.map_or(ViaError::Stopped, |failed| match failed {
                    Ok(_) => ViaError::Stopped,
                    Err(cause) => ViaError::Session { target, cause },
                }))
            }
        }
    }

    /// Ends a session: by AWS, which needs no agent for it, or else by the agent.
    pub(super) async fn end(&self, held: Held) -> Result<(), Left> {
        let Held { id, ports, .. } = held;
        match self.services.resume.terminate(&id).await {
            Ok(()) => Ok(()),
            Err(error) => {
                tracing::debug!(%error, id, "the agent is asked");
                match ports.terminate().await {
                    Err(why @ SsmError::NotTerminated(_)) => Err(Left { id, why }),
                    _ => Ok(()),
                }
            }
        }
    }
}

impl Held {
    /// Who opens its connections.
    pub(super) fn opener(&self) -> PortOpener {
        self.ports.opener()
    }

    /// Whether connections may be open side by side.
    pub(super) const fn is_multiplexed(&self) -> bool {
        self.ports.is_multiplexed()
    }

    /// Words that the session's owner wants to be shown.
    pub(super) fn greeting(&self) -> Option<&str> {
        self.ports.greeting()
    }

    /// Waits until it has ended by itself, and says why.
    pub(super) async fn ended(&self) -> Result<(), SsmError> {
        self.ports.ended().await
    }
}

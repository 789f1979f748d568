//! From an address to a host that can be verified: it is dialled until it answers, and beside that the key that it has to show is
//! read in its log, where that is where it stands.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::route::{self, Route};
use super::{Reached, ReadyError, Seen, Wait, dial};
use crate::announcement::{Place, announced_key};
use crate::aws::describe_tasks::TaskState;
use crate::plan::host_key::ExpectedKey;
use crate::ssh::host_key::HostKey;
use crate::timings::Owner;

/// The phase in which the task answers and its log does not yet say by which key it is known.
pub(super) const LOG_PHASE: &str = "host key in the log";
/// The init gives a connection 20 s to authenticate. One that has waited longer than this for the log is made anew.
const FRESH: Duration = Duration::from_secs(5);

/// Finds the task's address, dials it until it answers, and knows which key it has to show.
///
/// # Errors
/// [`ReadyError::NoPublicAddress`], or [`ReadyError::Service`] when EC2 or CloudWatch Logs refuses.
pub(super) async fn reach(
    wait: Wait<'_>,
    states_rx: watch::Receiver<TaskState>,
    seen_tx: &watch::Sender<Seen>,
) -> Result<Reached, ReadyError> {
    let route = route::find(wait, states_rx).await?;
    seen_tx.send_modify(|seen| seen.route = Some(route.clone()));
    if let Some(mismatch) = wait.plan.ingress.as_ref().and_then(|ingress| ingress.mismatch(&route)) {
        wait.ui.warn(&mismatch);
    }
    wait.ui.phase(&format!("waiting for SSH at {route}"));
    let (stream, host_key) = match &wait.plan.host_key {
        ExpectedKey::Known(host_key) => (dial(wait, &route, seen_tx).await, host_key.clone()),
        ExpectedKey::Logged(place) => read_beside(wait, &route, place, seen_tx).await?,
    };
    Ok(Reached { stream, route, host_key })
}

async fn read_beside(
    wait: Wait<'_>,
    route: &Route,
    place: &Place,
    seen_tx: &watch::Sender<Seen>,
) -> Result<(TcpStream, HostKey), ReadyError> {
    let log = place.stream(wait.task.id());
    let answered = async {
        let stream = dial(wait, route, seen_tx).await;
        wait.timings.begin(LOG_PHASE, Owner::Aws);
        wait.ui.phase(&format!("waiting for the host key in the log: {}", log.group));
        seen_tx.send_modify(|seen| seen.silent_log = Some(format!("{} in {}", log.stream, log.group)));
        Ok((stream, Instant::now()))
    };
    // The SDK's future is large: boxed, it does not travel through every caller's.
    let announced = Box::pin(announced_key(wait.aws, &log, &wait.plan.run));
    let ((stream, since), key) = tokio::try_join!(answered, announced)?;
    let stream = if since.elapsed() < FRESH { stream } else { dial(wait, route, seen_tx).await };
    Ok((stream, HostKey::Announced(key)))
}

async fn dial(wait: Wait<'_>, route: &Route, seen_tx: &watch::Sender<Seen>) -> TcpStream {
    dial::until_identified(route, wait.plan.connect_timeout, seen_tx).await
}

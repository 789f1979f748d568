//! From an address to a host that can be verified: it is dialled until it answers, and beside that the key that it has to show is
//! read in its log, where that is where it stands.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::sync::watch;
use tokio::time::Instant;

use super::route::{self, Route};
use super::stream::Stream;
use super::{Reached, ReadyError, Seen, Wait, agent, dial};
use crate::announcement::{Place, announced_key};
use crate::aws::describe_tasks::TaskState;
use crate::plan::host_key::ExpectedKey;
use crate::ssh::host_key::HostKey;
use crate::timings::Owner;

/// The phase in which the task answers and its log does not yet say by which key it is known.
pub(super) const LOG_PHASE: &str = "host key in the log";
/// The init gives a connection 20 s to authenticate. One that has waited longer than this for the log is made anew.
const FRESH: Duration = Duration::from_secs(5);
/// First and longest pause between two sessions that came to nothing; they double. Agents are known to Systems Manager seconds after ECS
/// says that they run, and StartSession is limited to some calls a second for the whole account.
const SESSION_PAUSE_MIN: Duration = Duration::from_millis(250);
const SESSION_PAUSE_MAX: Duration = Duration::from_secs(5);

/// Finds the way to the task, dials it until it answers, and knows which key it has to show.
///
/// # Errors
/// [`ReadyError::NoPublicAddress`], [`ReadyError::AgentStopped`], or [`ReadyError::Service`] when EC2, CloudWatch Logs or Systems Manager
/// refuses.
pub(super) async fn reach(
    wait: Wait<'_>,
    states_rx: watch::Receiver<TaskState>,
    seen_tx: &watch::Sender<Seen>,
) -> Result<Reached, ReadyError> {
    let route = if wait.plan.via.is_ssm() {
        Route::Ssm(agent::find(wait, states_rx, seen_tx).await?)
    } else {
        route::find(wait, states_rx).await?
    };
    seen_tx.send_modify(|seen| seen.route = Some(route.clone()));
    if let Some(mismatch) = wait.plan.ingress.as_ref().and_then(|ingress| ingress.mismatch(&route)) {
        wait.ui.warn(&mismatch);
    }
    wait.ui.phase(&format!("waiting for SSH at {route}"));
    let (stream, host_key) = match &wait.plan.host_key {
        ExpectedKey::Known(host_key) => (dial(wait, &route, seen_tx).await?, host_key.clone()),
        ExpectedKey::Logged(place) => read_beside(wait, &route, place, seen_tx).await?,
    };
    Ok(Reached { stream, route, host_key })
}

async fn read_beside(
    wait: Wait<'_>,
    route: &Route,
    place: &Place,
    seen_tx: &watch::Sender<Seen>,
) -> Result<(Stream, HostKey), ReadyError> {
    let log = place.stream(wait.task.id());
    let answered = async {
        let stream = dial(wait, route, seen_tx).await?;
        wait.timings.begin(LOG_PHASE, Owner::Aws);
        wait.ui.phase(&format!("waiting for the host key in the log: {}", log.group));
        seen_tx.send_modify(|seen| seen.silent_log = Some(format!("{} in {}", log.stream, log.group)));
        Ok::<_, ReadyError>((stream, Instant::now()))
    };
    // The SDK's future is large: boxed, it does not travel through every caller's.
    let announced = Box::pin(async { Ok(announced_key(wait.aws, &log, &wait.plan.run).await?) });
    let ((stream, since), key) = tokio::try_join!(answered, announced)?;
    let stream = if since.elapsed() < FRESH { stream } else { dial(wait, route, seen_tx).await? };
    Ok((stream, HostKey::Announced(key)))
}

async fn dial(wait: Wait<'_>, route: &Route, seen_tx: &watch::Sender<Seen>) -> Result<Stream, ReadyError> {
    let Route::Ssm(port) = route else {
        return Ok(dial::until_identified(route.addresses(), wait.plan.connect_timeout, seen_tx).await);
    };
    let backoff = ExponentialBuilder::default().with_min_delay(SESSION_PAUSE_MIN).with_max_delay(SESSION_PAUSE_MAX);
    let mut pauses = backoff.with_jitter().without_max_times().build();
    loop {
        let failure = match port.dial().await {
            Ok(stream) => return Ok(stream),
            Err(failure) if failure.is_final() => return Err(failure.into()),
            Err(failure) => failure,
        };
        tracing::debug!(%failure, "no session yet");
        seen_tx.send_modify(|seen| seen.dial = Some(failure));
        tokio::time::sleep(pauses.next().unwrap_or(SESSION_PAUSE_MAX)).await;
    }
}

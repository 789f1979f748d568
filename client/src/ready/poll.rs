//! Polling DescribeTasks: about once a second, gentler as it drags on, patient with a task that ECS does not know yet.

use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::watch;
use tokio::time::Instant;

use super::reach::LOG_PHASE;
use super::{ReadyError, Stopped, Wait, agent};
use crate::aws::ServiceError;
use crate::aws::describe_tasks::{TaskState, describe_task};
use crate::timings::Owner;

/// ECS is eventually consistent: a new task may be MISSING for some seconds, in bad hours for most of a minute.
const MISSING_GRACE: Duration = Duration::from_secs(60);
/// A stopping task shows its reason late; after this we say what we have.
const REASON_GRACE: Duration = Duration::from_secs(15);
/// The phase in which the container runs and the agent beside it does not.
const AGENT_PHASE: &str = "ExecuteCommandAgent";
/// Share of a pause that is drawn at random, so that many clients do not poll in step.
const JITTER: f64 = 0.2;

/// Follows the task until it ends; never returns while it may still come up.
pub async fn watch_task(wait: Wait<'_>, states_tx: &watch::Sender<TaskState>) -> ReadyError {
    let began = Instant::now();
    let mut refusals = 0;
    let mut ending_since = None;
    show(wait, &wait.task.state);
    loop {
        tokio::time::sleep(jittered(pause(began.elapsed(), refusals))).await;
        let looked = describe_task(wait.aws, &wait.task.cluster, &wait.task.arn, &wait.plan.container).await;
        let state = match looked {
            Err(error) if error.is_transient() => {
                refusals += 1;
                note_refusal(&error, refusals);
                continue;
            }
            Err(error) => return ReadyError::Service(error),
            Ok(None) if began.elapsed() < MISSING_GRACE => continue,
            Ok(None) => return ReadyError::Gone,
            Ok(Some(state)) => state,
        };
        refusals = 0;
        if state.is_ending() {
            let since = *ending_since.get_or_insert_with(Instant::now);
            let told = state.last_status == "STOPPED" || state.stopped_reason.is_some();
            if told || since.elapsed() > REASON_GRACE {
                return ReadyError::Stopped(Stopped::of(&state));
            }
        }
        show(wait, &state);
        states_tx.send_replace(state);
    }
}

impl Stopped {
    /// What ECS says about the end.
    #[must_use]
    pub fn of(state: &TaskState) -> Self {
        let before = state.failed_before.as_ref();
        let container = before.map_or(&state.container, |(_, container)| container);
        Self {
            code: state.stop_code.clone(),
            reason: state.stopped_reason.clone(),
            other_container: before.map(|(name, _)| name.clone()),
            container_reason: container.reason.clone(),
            exit_code: container.exit_code,
        }
    }
}

/// Fractions of a second for the first looks, then one second; two after a minute, three after three; refused calls wait
/// longer each time, because the read bucket is shared by the whole account (20 a second).
fn pause(waited: Duration, refusals: u32) -> Duration {
    let base = match waited.as_secs_f64() {
        ..0.1 => 0.1,
        ..0.5 => 0.25,
        ..1.5 => 0.5,
        ..60.0 => 1.0,
        ..180.0 => 2.0,
        _ => 3.0,
    };
    Duration::from_secs_f64((base * f64::from(1_u32 << refusals.min(4))).min(15.0))
}

fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(rand::rng().random_range(1.0 - JITTER..=1.0 + JITTER))
}

fn note_refusal(error: &ServiceError, refusals: u32) {
    tracing::debug!(%error, refusals, "asking again later");
}

fn show(wait: Wait<'_>, state: &TaskState) {
    let before = wait.timings.phases().pop().map(|(name, ..)| name);
    if before.as_deref() == Some(LOG_PHASE) {
        // It has answered: what ECS knows of it lags behind.
        return;
    }
    let text = match state.phase() {
        "PROVISIONING" => "PROVISIONING: network interface",
        "PENDING" => "PENDING: waiting for the host",
        "PULLING" => "PENDING: pulling the image",
        "STARTING" => "PENDING: starting the container",
        // The dial says the rest, with the address.
        "RUNNING" if !wait.plan.via.is_ssm() || state.is_agent_running() => {
            return wait.timings.begin("RUNNING, no SSH yet", Owner::Client);
        }
        "RUNNING" if before.as_deref() == Some(AGENT_PHASE) => return,
        "RUNNING" => {
            wait.timings.begin(AGENT_PHASE, Owner::Aws);
            return wait.ui.phase(agent::PHASE);
        }
        other => other,
    };
    if before.as_deref() != Some(state.phase()) {
        wait.timings.begin(state.phase(), Owner::Aws);
        wait.ui.phase(text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polling_gets_gentler_with_time_and_with_refusals() {
        let at = |seconds, refusals| pause(Duration::from_secs(seconds), refusals).as_secs_f64();
        assert_eq!([at(0, 0), at(1, 0), at(2, 0), at(59, 0), at(60, 0), at(180, 0)], [0.1, 0.5, 1.0, 1.0, 2.0, 3.0]);
        assert_eq!([at(2, 1), at(2, 2), at(2, 4), at(200, 9)], [2.0, 4.0, 15.0, 15.0]);
    }

    #[test]
    fn jitter_stays_near_the_pause() {
        for _ in 0..1000 {
            let pause = jittered(Duration::from_secs(1)).as_secs_f64();
            assert!((0.8..=1.2).contains(&pause), "{pause}");
        }
    }
}

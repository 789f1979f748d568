//! The task that we launched: it exists from a successful RunTask until [`Task::stop`], which consumes it.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use backon::{ExponentialBuilder, Retryable as _};

use crate::aws::describe_tasks::TaskState;
use crate::aws::run_task::run_task;
use crate::aws::stop_task::stop_task;
use crate::aws::{Aws, ServiceError, advice, last_part};
use crate::error::Advice;
use crate::plan::Plan;

/// Time that stopping may take before the user is told to do it: the init ends by itself anyway.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(20);
/// First pause before a refused StopTask or a throttled RunTask is tried again; doubles, with jitter.
const RETRY_MIN: Duration = Duration::from_millis(500);
const RETRY_MAX: Duration = Duration::from_secs(5);
/// RunTask is repeated only when ECS says that EC2 throttled it: a handful is enough.
const RUN_ATTEMPTS: usize = 5;

/// A running task of ours.
#[derive(Debug)]
pub struct Task {
    /// Its ARN.
    pub arn: String,
    /// Cluster it runs in, as the user named it.
    pub cluster: String,
    /// Region it runs in.
    pub region: String,
    /// What RunTask showed of it.
    pub state: TaskState,
    launched: Instant,
    stopped: bool,
}

/// Why nothing was launched.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LaunchError {
    /// The service refused or could not be reached.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// HTTP 200, and no task.
    #[error("no task was started: {}", .0.join("; "))]
    Failures(Vec<String>),
}

impl Advice for LaunchError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Service(error) => error.hints(),
            Self::Failures(reasons) => reasons.iter().flat_map(|reason| advice::for_reason(reason)).collect(),
        }
    }
}

/// Why the task could not be stopped; it goes on costing money until the init ends it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the task could not be stopped: {reason}")]
pub struct StopError {
    /// What stood in the way.
    pub reason: String,
    /// The command that stops it.
    pub command: String,
}

impl Advice for StopError {
    fn hints(&self) -> Vec<String> {
        vec![
            format!("stop it yourself: {}", self.command),
            "without that, the container ends by its own limits".to_owned(),
        ]
    }
}

impl Task {
    /// Launches the plan's task. Not a cancellation point: the caller runs this to its end.
    ///
    /// # Errors
    /// [`LaunchError`]; then there is no task.
    pub async fn run(plan: &Plan, aws: &Aws) -> Result<Self, LaunchError> {
        let launched = Instant::now();
        let call = || run_task(aws, &plan.request);
        let backoff = backoff().with_max_times(RUN_ATTEMPTS);
        let wrapped = |error: &ServiceError| error.message().contains("ErrorCode: RequestLimitExceeded");
        let reply = call.retry(backoff).when(wrapped).await?;
        let (arn, state) = reply.task.ok_or(LaunchError::Failures(reply.failures))?;
        let cluster = plan.request.cluster.clone();
        Ok(Self { arn, cluster, region: aws.region.clone(), state, launched, stopped: false })
    }

    /// Time since RunTask was sent.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.launched.elapsed()
    }

    /// The part of the ARN that people read.
    #[must_use]
    pub fn id(&self) -> &str {
        last_part(&self.arn)
    }

    /// The exact command that stops this task.
    #[must_use]
    pub fn stop_command(&self) -> String {
        stop_command(&self.region, &self.cluster, &self.arn)
    }

    /// Stops the task, within [`STOP_TIMEOUT`]. Does not wait for STOPPED, which lags the process by half a minute.
    ///
    /// # Errors
    /// [`StopError`] with the command that is left to the user.
    pub async fn stop(mut self, aws: &Aws, reason: &str) -> Result<(), StopError> {
        self.stopped = true;
        stop(aws, &self.cluster, &self.arn, reason).await
    }

    /// Gives the task up without stopping it; the caller has told the user.
    pub fn abandon(mut self) {
        self.stopped = true;
    }
}

/// Stops any task, within [`STOP_TIMEOUT`]: what may pass is waited for. Does not wait for STOPPED.
///
/// # Errors
/// [`StopError`] with the command that is left to the user.
pub async fn stop(aws: &Aws, cluster: &str, arn: &str, reason: &str) -> Result<(), StopError> {
    let last = Mutex::new(None);
    let call = || stop_task(aws, cluster, arn, reason);
    let keep =
        |error: &ServiceError, _: Duration| *last.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.clone());
    let stopping = call.retry(backoff().without_max_times()).when(ServiceError::is_transient).notify(keep);
    let reason = match tokio::time::timeout(STOP_TIMEOUT, stopping).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error.to_string(),
        Err(_) => {
            let last = last.into_inner().unwrap_or_else(PoisonError::into_inner);
            let seen = last.map(|error| format!(": {error}")).unwrap_or_default();
            format!("no success within {} s{seen}", STOP_TIMEOUT.as_secs())
        }
    };
    Err(StopError { reason, command: stop_command(&aws.region, cluster, arn) })
}

fn stop_command(region: &str, cluster: &str, arn: &str) -> String {
    format!("aws ecs stop-task --region {region} --cluster {cluster} --task {arn}")
}

impl Drop for Task {
    fn drop(&mut self) {
        if !self.stopped {
            tracing::error!(task = %self.arn, "left running; stop it with: {}", self.stop_command());
        }
    }
}

fn backoff() -> ExponentialBuilder {
    ExponentialBuilder::default().with_min_delay(RETRY_MIN).with_max_delay(RETRY_MAX).with_jitter()
}

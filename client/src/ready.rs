//! From a launched task to bytes that answer: polls ECS, finds the address and dials it, all at once. "Ready" means that the
//! SSH identification string arrived, not that ECS says RUNNING, and that it is known which key the host has to show.

mod agent;
mod bundle;
pub mod dial;
pub mod poll;
mod reach;
pub mod route;
pub mod sessions;
pub mod stream;

use std::time::Duration;

use tokio::sync::watch;

use crate::aws::{Aws, ServiceError, advice};
use crate::error::Advice;
use crate::plan::Plan;
use crate::ssh::host_key::HostKey;
use crate::task::Task;
use crate::timings::Timings;
use crate::ui::Ui;

use dial::{AGENT_NEEDS, DialFailure};
use route::Route;
use sessions::Sessions;
use stream::Stream;

/// What the stages of a wait share.
#[derive(Clone, Copy, Debug)]
pub struct Wait<'a> {
    /// The task that is waited for.
    pub task: &'a Task,
    /// The plan it was launched by.
    pub plan: &'a Plan,
    /// The services.
    pub aws: &'a Aws,
    /// Where phases are shown.
    pub ui: &'a Ui,
    /// Where phases are timed.
    pub timings: &'a Timings,
    /// Where sessions of Systems Manager are kept.
    pub sessions: &'a Sessions,
}

/// A task that answers.
#[derive(Debug)]
pub struct Reached {
    /// The connection; its identification string is still unread.
    pub stream: Stream,
    /// How it was reached.
    pub route: Route,
    /// The key that it has to show.
    pub host_key: HostKey,
}

/// Why the task never answered.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ReadyError {
    /// It ended first.
    #[error("the task stopped before it could be reached: {}", .0.describe())]
    Stopped(Stopped),
    /// ECS has not known it for a minute.
    #[error("ECS does not know the task any more")]
    Gone,
    /// A call that is needed was refused.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The interface has no address that we could dial.
    #[error("the task has no public address")]
    NoPublicAddress,
    /// The agent behind ECS Exec does not run.
    #[error("the task's ExecuteCommandAgent stopped{}", .reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    AgentStopped {
        /// ECS's words.
        reason: Option<String>,
    },
    /// No session that is tried again would be another.
    #[error("the task cannot be reached through Systems Manager: {0}")]
    Unreachable(DialFailure),
    /// Time is up.
    #[error("the task {} within {} s: {}", .seen.failure(), .after.as_secs(), .seen.describe())]
    Timeout {
        /// How long we waited.
        after: Duration,
        /// How far it got.
        seen: Box<Seen>,
    },
}

/// How a task ended, in ECS's words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stopped {
    /// `stopCode`.
    pub code: Option<String>,
    /// `stoppedReason`.
    pub reason: Option<String>,
    /// Name of the container that failed, when it is not the one that was to be reached.
    pub other_container: Option<String>,
    /// The container's own reason.
    pub container_reason: Option<String>,
    /// The container's exit code.
    pub exit_code: Option<i32>,
}

/// How far a wait got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Last phase that ECS reported.
    pub phase: String,
    /// Where we dialled, if anywhere.
    pub route: Option<Route>,
    /// Why the last dial failed.
    pub dial: Option<DialFailure>,
    /// Last state of the agent behind ECS Exec, where it is waited for.
    pub agent: Option<String>,
    /// The log that does not name the host's key, once all else is there.
    pub silent_log: Option<String>,
}

/// Waits until the task answers SSH.
///
/// # Errors
/// [`ReadyError`]. Cancel-safe: nothing is left behind when the future is dropped.
pub async fn wait_until_ready(wait: Wait<'_>) -> Result<Reached, ReadyError> {
    let (states_tx, states_rx) = watch::channel(wait.task.state.clone());
    let (seen_tx, seen_rx) = watch::channel(Seen::default());
    let outcome = tokio::select! {
        outcome = reach::reach(wait, states_rx.clone(), &seen_tx) => outcome,
        error = poll::watch_task(wait, &states_tx) => Err(error),
        () = tokio::time::sleep(wait.plan.start_timeout) => {
            let seen = Seen { phase: states_rx.borrow().phase().to_owned(), ..seen_rx.borrow().clone() };
            Err(ReadyError::Timeout { after: wait.plan.start_timeout, seen: Box::new(seen) })
        }
    };
    outcome
}

impl From<DialFailure> for ReadyError {
    fn from(failure: DialFailure) -> Self {
        match failure {
            DialFailure::Service(error) => Self::Service(error),
            failure => Self::Unreachable(failure),
        }
    }
}

impl Stopped {
    /// One line for the user.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut text = match (&self.reason, &self.code) {
            (Some(reason), Some(code)) => format!("{reason} ({code})"),
            (Some(reason), None) => reason.clone(),
            (None, Some(code)) => code.clone(),
            (None, None) => "no reason given".to_owned(),
        };
        if let Some(name) = &self.other_container {
            text.push_str(&format!("; container {name}"));
        }
        if let Some(code) = self.exit_code {
            text.push_str(&format!("; exit code {code}"));
        }
        // ECS often says the same of the task and of its container.
        if let Some(reason) = self.container_reason.as_ref().filter(|reason| self.reason.as_ref() != Some(*reason)) {
            text.push_str(&format!("; {reason}"));
        }
        text
    }

    /// What to do about it.
    #[must_use]
    pub fn hints(&self) -> Vec<String> {
        let reasons = [&self.container_reason, &self.reason];
        let hints: Vec<_> = reasons.into_iter().flatten().flat_map(|reason| advice::for_reason(reason)).collect();
        match self.exit_code {
            Some(code) if hints.is_empty() => advice::for_exit_code(code),
            _ => hints.into_iter().take(1).collect(),
        }
    }
}

impl Seen {
    const fn failure(&self) -> &'static str {
        if self.silent_log.is_some() { "did not announce its host key" } else { "did not answer SSH" }
    }

    fn describe(&self) -> String {
        let phase = if self.phase.is_empty() { "unknown" } else { &self.phase };
        if let (Some(route), Some(log)) = (&self.route, &self.silent_log) {
            return format!("it is {phase}, and {route} answers, but no host key is in log stream {log}");
        }
        match (&self.route, &self.dial) {
            (Some(route), Some(failure)) => format!("it is {phase}, and {route}: {failure}"),
            (Some(route), None) => format!("it is {phase}, and {route} says nothing"),
            (None, _) => match &self.agent {
                Some(agent) if self.is_running() => format!("it is {phase}, and its ExecuteCommandAgent is {agent}"),
                Some(_) => format!("it is {phase}"),
                None => format!("it is {phase} and has no address yet"),
            },
        }
    }

    /// Whether only the agent was missing.
    fn is_running(&self) -> bool {
        self.phase == "RUNNING"
    }

    /// What to do about a task that got no further.
    fn hint(&self) -> String {
        let hint = match self {
            Self { silent_log: Some(_), .. } => {
                "look at that log: the init writes a `listen` line when it starts, and CloudWatch Logs shows it some seconds later; an image \
                 with an sshd of its own writes none"
            }
            Self { dial: Some(failure), .. } => return failure.hint(),
            Self { route: Some(_), .. } => return DialFailure::TimedOut.hint(),
            Self { agent: Some(_), .. } if self.is_running() => AGENT_NEEDS,
            _ => "raise `--start-timeout` for a large image",
        };
        hint.to_owned()
    }
}

impl Advice for ReadyError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Stopped(stopped) => return stopped.hints(),
            Self::Service(error) => return error.hints(),
            Self::Gone => "it may have been stopped by somebody else; CloudTrail's StopTask events tell by whom",
            Self::NoPublicAddress => {
                "use a public subnet, or `-public=false` if its private addresses can be reached from here"
            }
            Self::Timeout { seen, .. } => return vec![seen.hint()],
            Self::Unreachable(failure) => return vec![failure.hint()],
            Self::AgentStopped { .. } => AGENT_NEEDS,
        };
        vec![hint.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_containers_own_reason_is_what_is_advised_on() {
        let stopped = Stopped {
            code: Some("EssentialContainerExited".to_owned()),
            reason: Some("Essential container in task exited".to_owned()),
            other_container: None,
            container_reason: Some("OutOfMemoryError: Container killed due to memory usage".to_owned()),
            exit_code: Some(137),
        };
        let error = ReadyError::Stopped(stopped);
        assert_eq!(
            error.to_string(),
            "the task stopped before it could be reached: Essential container in task exited \
             (EssentialContainerExited); exit code 137; OutOfMemoryError: Container killed due to memory usage"
        );
        assert_eq!(error.hints().len(), 1);
        assert!(error.hints()[0].contains("--memory"), "{:?}", error.hints());
    }
}

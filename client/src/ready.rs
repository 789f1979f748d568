//! From a launched task to bytes that answer: polls ECS, finds the address and dials it, all at once. "Ready" means that the
//! SSH identification string arrived, not that ECS says RUNNING, and that it is known which key the host has to show.

pub mod dial;
pub mod poll;
mod reach;
pub mod route;

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::aws::{Aws, ServiceError, advice};
use crate::error::Advice;
use crate::plan::Plan;
use crate::ssh::host_key::HostKey;
use crate::task::Task;
use crate::timings::Timings;
use crate::ui::Ui;

use dial::DialFailure;
use route::Route;

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
}

/// A task that answers.
#[derive(Debug)]
pub struct Reached {
    /// The connection; its identification string is still unread.
    pub stream: TcpStream,
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
    /// Time is up.
    #[error("the task {} within {} s: {}", .seen.failure(), .after.as_secs(), .seen.describe())]
    Timeout {
        /// How long we waited.
        after: Duration,
        /// How far it got.
        seen: Seen,
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
            Err(ReadyError::Timeout { after: wait.plan.start_timeout, seen })
        }
    };
    outcome
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
            (None, _) => format!("it is {phase} and has no address yet"),
        }
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
            Self::Timeout { seen: Seen { silent_log: Some(_), .. }, .. } => {
                "look at that log: the init writes a `listen` line when it starts, and CloudWatch Logs shows it some seconds later; an image \
                 with an sshd of its own writes none"
            }
            Self::Timeout { seen: Seen { dial: Some(failure), .. }, .. } => failure.hint(),
            Self::Timeout { seen: Seen { route: Some(_), .. }, .. } => DialFailure::TimedOut.hint(),
            Self::Timeout { .. } => "raise `--start-timeout` for a large image",
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

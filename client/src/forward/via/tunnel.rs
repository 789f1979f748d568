//! One forward: its session, another one when that has ended and somebody connects, and the connections in it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::TunnelError;
use super::error::ViaError;
use super::held::{Cloud, Held, Left};
use super::relay::{End, relay};
use super::targets::Targets;
use crate::error::Advice as _;
use crate::forward::spec::Target;
use crate::forward::stream::Stream;
use crate::ssm::SsmError;
use crate::ssm::port::{PortOpener, PortStream};
use crate::ui::Ui;

/// Pauses before another session, where the one before was none or did not last, double from the first to the second of these.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_secs(30);
/// A session that stood for so long lasted.
const LASTED: Duration = Duration::from_secs(60);
/// How long connections wait while sessions do not start for reasons that may pass.
const PATIENCE: Duration = Duration::from_secs(30);

/// What all forwards of a run have in common.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) cloud: Cloud,
    pub(super) targets: Targets,
    pub(super) ui: Ui,
    /// Cancelled when the run is to end.
    pub(super) ended: CancellationToken,
    /// Whether the run goes on without a forward.
    pub(super) keep_going: bool,
    /// Where a forward is told of that the run does not go on without; the first is enough.
    pub(super) given_up: mpsc::Sender<TunnelError>,
}

impl Common {
    /// A forward for which no further session is started.
    pub(super) fn give_up(&self, label: &str, cause: ViaError) {
        let error = TunnelError::One { label: label.to_owned(), cause };
        if self.keep_going {
            self.ui.warn(&error.to_string());
        } else {
            // Where one is told of already, the run ends.
            let _ = self.given_up.try_send(error);
        }
    }
}

/// One forward.
#[derive(Debug)]
pub(super) struct Tunnel {
    common: Arc<Common>,
    to: Target,
    /// `forward from 127.0.0.1:5432 to db:5432`.
    label: String,
    seen: watch::Sender<Seen>,
    /// Connections that wait for a session.
    waiting: watch::Sender<usize>,
}

/// How it stands.
#[derive(Clone, Debug, Default)]
struct Seen {
    ready: Option<Ready>,
    /// How often those who waited were disappointed.
    failures: u64,
    /// Nobody starts sessions any more.
    is_given_up: bool,
}

#[derive(Clone, Debug)]
struct Ready {
    opener: PortOpener,
    target: String,
    is_multiplexed: bool,
}

/// Why nobody keeps a forward's sessions any more, before the run has ended or because it has.
#[derive(Debug)]
pub(super) enum GivenUp {
    /// The last session could not be ended.
    Left(Left),
    /// The agent does not forward to that host, and no other session's agent would.
    Forbidden {
        /// What the session went to.
        target: String,
        /// The agent's words.
        cause: SsmError,
    },
}

/// Why a session is no longer there.
enum Loss {
    Ended(Result<(), SsmError>),
    TargetLeft,
}

impl Tunnel {
    pub(super) fn new(common: Arc<Common>, to: Target, label: String) -> Self {
        let (seen, waiting) = (watch::channel(Seen::default()).0, watch::channel(0).0);
        Self { common, to, label, seen, waiting }
    }

    /// What it is called in what we say.
    pub(super) fn label(&self) -> &str {
        &self.label
    }

    /// Starts a session.
    ///
    /// # Errors
    /// [`ViaError`].
    pub(super) async fn start(&self) -> Result<Held, ViaError> {
        self.common.cloud.start(&self.common.targets, &self.to, &self.common.ended).await
    }

    /// Keeps a session until the run ends, and ends it then.
    ///
    /// # Errors
    /// [`GivenUp`].
    pub(super) async fn keep(&self, mut held: Held) -> Result<(), GivenUp> {
        let Common { cloud, targets, ended, ui, .. } = &*self.common;
        let mut pause = Duration::ZERO;
        loop {
            let ready =
                Ready { opener: held.opener(), target: held.target.clone(), is_multiplexed: held.is_multiplexed() };
            self.seen.send_modify(|seen| seen.ready = Some(ready));
            let loss = tokio::select! {
                () = ended.cancelled() => return cloud.end(held).await.map_err(GivenUp::Left),
                end = held.ended() => Loss::Ended(end),
                () = targets.left(&held.target) => Loss::TargetLeft,
            };
            if let Loss::Ended(Err(cause @ SsmError::HostForbidden { .. })) = loss {
                self.seen.send_modify(|seen| (seen.ready, seen.is_given_up) = (None, true));
                return Err(GivenUp::Forbidden { target: held.target, cause });
            }
            self.seen.send_modify(|seen| seen.ready = None);
            ui.note(&format!("{}: {}; the next connection starts another", self.label, loss.why()));
            pause = if held.since.elapsed() >= LASTED { Duration::ZERO } else { longer(pause) };
            if matches!(loss, Loss::TargetLeft) {
                // It goes nowhere, and would stand until its idle limit.
                if let Err(left) = cloud.end(held).await {
                    ui.warn(&left.told());
                }
            }
            match self.next(&mut pause).await {
                Some(next) => held = next,
                None => return Ok(()),
            }
        }
    }

    /// Another session, when somebody waits for one; `None` when the run ends.
    async fn next(&self, pause: &mut Duration) -> Option<Held> {
        let Common { ended, ui, .. } = &*self.common;
        let mut waiting = self.waiting.subscribe();
        let mut began = None;
        loop {
            let wanted = async {
                // The sender is ours.
                let _ = waiting.wait_for(|count| *count > 0).await;
                sleep(*pause).await;
            };
            ended.run_until_cancelled(wanted).await?;
            let began_at = *began.get_or_insert_with(Instant::now);
            match self.start().await {
                Ok(held) => return Some(held),
                Err(ViaError::Stopped) => return None,
                Err(error) => {
                    *pause = longer(*pause);
                    if error.may_pass() && began_at.elapsed() < PATIENCE {
                        tracing::debug!(%error, ?pause, "no session yet");
                        continue;
                    }
                    began = None;
                    let hints: String = error.hints().iter().map(|hint| format!("; {hint}")).collect();
                    ui.warn(&format!("{}: {error}{hints}", self.label));
                    self.seen.send_modify(|seen| seen.failures += 1);
                }
            }
        }
    }

    /// Carries a connection from its first byte to its last; one that is open when the run ends is reset.
    pub(super) async fn carry(&self, stream: Stream) {
        let ended = &self.common.ended;
        let Some((port, is_multiplexed)) = ended.run_until_cancelled(self.open()).await.flatten() else {
            return stream.abort();
        };
        let end = relay(stream, port, ended).await;
        // In other sessions the agent says why itself, and the session has ended by that.
        if end == End::Refused && is_multiplexed {
            let why = "the agent cannot connect there: nothing listens, the name has no address, or the task's security group is \
                       not let in";
            self.common.ui.note(&format!("{}: {why}", self.label));
        }
    }

    /// A connection to the far port, in whichever session takes it; `None` when none could be started.
    async fn open(&self) -> Option<(PortStream, bool)> {
        let targets = &self.common.targets;
        targets.look().await;
        let mut seen = self.seen.subscribe();
        let failures = seen.borrow().failures;
        let _waiting = Waiting::new(&self.waiting);
        loop {
            let ready = {
                let seen = seen.borrow_and_update();
                if seen.failures > failures || seen.is_given_up {
                    return None;
                }
                seen.ready.clone()
            };
            if let Some(Ready { opener, target, is_multiplexed }) = ready
                && !targets.has_left(&target)
                && let Ok(port) = opener.open().await
            {
                return Some((port, is_multiplexed));
            }
            // Whoever keeps the session tells of its end.
            seen.changed().await.ok()?;
        }
    }
}

/// Counts as waiting until it is dropped.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn new(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

impl Loss {
    fn why(&self) -> String {
        match self {
            Self::Ended(Ok(())) => {
                "the session was ended, and nobody says why; an administrator's end looks so".to_owned()
            }
            Self::Ended(Err(error)) => error.to_string(),
            Self::TargetLeft => "the task that the session went to is gone".to_owned(),
        }
    }
}

impl Left {
    /// For people.
    pub(super) fn told(&self) -> String {
        format!(
            "{}; the session {} stays until it is idle for as long as the account's preferences say (20 min, unless changed)",
            self.why, self.id
        )
    }
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).clamp(PAUSE_MIN, PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_half_a_minute() {
        let mut pause = Duration::ZERO;
        let seconds: Vec<u64> = std::iter::repeat_with(|| {
            pause = longer(pause);
            pause.as_secs()
        })
        .take(7)
        .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
    }
}

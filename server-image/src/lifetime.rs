//! Why and when the container ends: nobody came, nobody typed, its time is up, everybody left, or it was told to stop.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fargate_contract::Grant;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::notice;

/// How long each phase of the container's life may last.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until the first login.
    pub login: Duration,
    /// Without a byte in any session after the first login; `None` is for ever.
    pub idle: Option<Duration>,
    /// Altogether.
    pub max: Duration,
    /// After the notice of an end from outside, while somebody is logged in; `None` ends at once.
    pub notice: Option<Duration>,
}

impl From<&Grant> for Limits {
    fn from(grant: &Grant) -> Self {
        Self {
            login: grant.login_timeout,
            idle: grant.idle_timeout,
            max: grant.max_lifetime,
            notice: notice::time(grant),
        }
    }
}

/// What happens to a container.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A connection authenticated.
    LoggedIn,
    /// An authenticated connection is gone.
    Disconnected,
    /// An authenticated connection is gone, and the idle limit ended it: where the engine keeps that limit itself.
    LeftIdle,
    /// A session began that outlives its connection: it keeps the container as a connection does.
    Held,
    /// Such a session has ended.
    Released,
    /// Such a session has ended because its client did not come back.
    GivenUp,
    /// A signal asks the container to stop, and whoever is logged in may use the time until it is killed.
    Noticed,
    /// A signal asks the container to stop.
    Told,
}

/// Why a container ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Nobody logged in before the deadline.
    NoLogin,
    /// No byte moved for the idle limit.
    Idle,
    /// The maximum lifetime is over.
    MaxLifetime,
    /// The last authenticated connection closed.
    Disconnected,
    /// The connection was lost, and nobody resumed the session in time.
    NotResumed,
    /// A signal told us to stop: ECS stops the task, or who started us is gone.
    Told,
}

impl Ending {
    /// The container's exit code. [`Ending::Disconnected`] hands on that of the last session (0 when there was none); the
    /// others are above what programs use and below 126, where the shell's own codes begin, but [`Ending::Told`], which is
    /// 128 + SIGTERM as everywhere.
    #[must_use]
    pub const fn code(self, last_session: Option<u8>) -> u8 {
        match self {
            Self::NotResumed => 121,
            Self::Idle => 122,
            Self::MaxLifetime => 123,
            Self::NoLogin => 124,
            Self::Told => 143,
            Self::Disconnected => match last_session {
                Some(code) => code,
                None => 0,
            },
        }
    }

    /// The reason in words, for the log.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::NoLogin => "nobody logged in in time",
            Self::Idle => "no byte moved for the idle limit",
            Self::MaxLifetime => "the maximum lifetime is over",
            Self::Disconnected => "the last connection closed",
            Self::NotResumed => "the connection was lost, and nobody resumed the session in time",
            Self::Told => "told to stop by a signal",
        }
    }
}

/// When a byte last moved. Clones are the same clock; touching it costs one store.
#[derive(Clone, Debug)]
pub struct Activity {
    origin: Instant,
    /// Milliseconds after `origin`.
    last: Arc<AtomicU64>,
}

impl Activity {
    /// A clock that starts now.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now(), last: Arc::default() }
    }

    /// A byte moved.
    pub fn touch(&self) {
        let elapsed = self.origin.elapsed().as_millis();
        self.last.store(u64::try_from(elapsed).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.origin + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

impl Default for Activity {
    fn default() -> Self {
        Self::new()
    }
}

/// The state machine: pure, told the time.
#[derive(Debug)]
struct Lifetime {
    limits: Limits,
    started: Instant,
    /// Authenticated connections, and sessions that outlive theirs; `None` before the first.
    connections: Option<usize>,
    /// When the time after a notice is over.
    noticed_until: Option<Instant>,
}

impl Lifetime {
    fn after(&mut self, happening: Happening, now: Instant) -> Option<Ending> {
        match happening {
            Happening::Told => Some(Ending::Told),
            Happening::Noticed => {
                self.noticed_until = self.limits.notice.filter(|_| self.connections > Some(0)).map(|time| now + time);
                self.noticed_until.is_none().then_some(Ending::Told)
            }
            Happening::LoggedIn | Happening::Held => {
                self.connections = Some(self.connections.unwrap_or(0) + 1);
                None
            }
            Happening::Disconnected | Happening::Released => self.left(Ending::Disconnected),
            Happening::LeftIdle => self.left(Ending::Idle),
            Happening::GivenUp => self.left(Ending::NotResumed),
        }
    }

    /// One fewer; the last one's reason is the container's.
    fn left(&mut self, ending: Ending) -> Option<Ending> {
        let left = self.connections.unwrap_or(0).saturating_sub(1);
        self.connections = Some(left);
        (left == 0).then_some(ending)
    }

    /// What ends the container if nothing happens, and when.
    fn deadline(&self, last_activity: Instant) -> (Instant, Ending) {
        let mut max = (self.started + self.limits.max, Ending::MaxLifetime);
        if let Some(until) = self.noticed_until.filter(|until| *until < max.0) {
            max = (until, Ending::Told);
        }
        let other = match (self.connections, self.limits.idle) {
            (None, _) => (self.started + self.limits.login, Ending::NoLogin),
            (Some(_), Some(idle)) => (last_activity + idle, Ending::Idle),
            (Some(_), None) => return max,
        };
        if other.0 < max.0 { other } else { max }
    }
}

/// Waits for the container's end. The sender's being gone counts as being told.
pub async fn ending(limits: Limits, happenings: &mut mpsc::Receiver<Happening>, activity: &Activity) -> Ending {
    let mut lifetime = Lifetime { limits, started: Instant::now(), connections: None, noticed_until: None };
    loop {
        let (deadline, reason) = lifetime.deadline(activity.last());
        let happening = tokio::select! {
            happening = happenings.recv() => Some(happening.unwrap_or(Happening::Told)),
            () = sleep_until(deadline) => None,
        };
        match happening {
            Some(Happening::LoggedIn) => {
                activity.touch();
                lifetime.after(Happening::LoggedIn, Instant::now());
            }
            Some(happening) => {
                if let Some(ending) = lifetime.after(happening, Instant::now()) {
                    return ending;
                }
            }
            // Bytes may have moved while we slept: then the deadline has moved too.
            None if lifetime.deadline(activity.last()).0 > Instant::now() => {}
            None => return reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    const LIMITS: Limits = Limits {
        login: Duration::from_secs(60),
        idle: Some(Duration::from_secs(100)),
        max: Duration::from_secs(1000),
        notice: None,
    };

    /// The ending under a script of happenings, and the second in which it came.
    async fn lived(limits: Limits, script: &[(u64, Option<Happening>)]) -> (Ending, u64) {
        let (sender, mut receiver) = mpsc::channel(4);
        let activity = Activity::new();
        let (origin, touched, script) = (Instant::now(), activity.clone(), script.to_vec());
        let story = tokio::spawn(async move {
            for (second, happening) in script {
                tokio::time::sleep_until(origin + Duration::from_secs(second)).await;
                match happening {
                    Some(happening) => sender.send(happening).await.expect("a listener"),
                    None => touched.touch(),
                }
            }
            sleep(Duration::from_secs(1_000_000)).await;
        });
        let ending = ending(limits, &mut receiver, &activity).await;
        story.abort();
        (ending, origin.elapsed().as_secs())
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_comes() {
        assert_eq!(lived(LIMITS, &[]).await, (Ending::NoLogin, 60));
        assert_eq!(lived(LIMITS, &[(10, None), (50, None)]).await, (Ending::NoLogin, 60));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_types() {
        let login = Some(Happening::LoggedIn);
        assert_eq!(lived(LIMITS, &[(30, login)]).await, (Ending::Idle, 130));
        assert_eq!(lived(LIMITS, &[(30, login), (120, None), (200, None)]).await, (Ending::Idle, 300));
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_is_up() {
        let never_idle = Limits { idle: None, ..LIMITS };
        assert_eq!(lived(never_idle, &[(1, Some(Happening::LoggedIn))]).await, (Ending::MaxLifetime, 1000));
        let short = Limits { max: Duration::from_secs(5), ..LIMITS };
        assert_eq!(lived(short, &[]).await, (Ending::MaxLifetime, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_leaves() {
        let (login, gone) = (Some(Happening::LoggedIn), Some(Happening::Disconnected));
        assert_eq!(lived(LIMITS, &[(1, login), (9, gone)]).await, (Ending::Disconnected, 9));
        assert_eq!(
            lived(LIMITS, &[(1, login), (2, login), (9, gone), (50, gone)]).await,
            (Ending::Disconnected, 50),
            "the second connection holds it"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn everybody_leaves_for_being_idle() {
        let (login, gone, idle) = (Happening::LoggedIn, Happening::Disconnected, Happening::LeftIdle);
        let script = |first, second| [(1, Some(login)), (2, Some(login)), (9, Some(first)), (50, Some(second))];
        assert_eq!(lived(LIMITS, &script(gone, idle)).await, (Ending::Idle, 50));
        assert_eq!(lived(LIMITS, &script(idle, gone)).await, (Ending::Disconnected, 50), "the last one's reason");
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_waits_for_its_client_holds_the_container() {
        use Happening::{Disconnected, GivenUp, Held, LoggedIn, Released};
        let script = |last: &[(u64, Happening)]| -> Vec<(u64, Option<Happening>)> {
            let begun = [(1, LoggedIn), (2, Held), (9, Disconnected)];
            begun.into_iter().chain(last.iter().copied()).map(|(at, happening)| (at, Some(happening))).collect()
        };
        assert_eq!(lived(LIMITS, &script(&[(69, GivenUp)])).await, (Ending::NotResumed, 69));
        let back = [(40, LoggedIn), (60, Released), (61, Disconnected)];
        assert_eq!(lived(LIMITS, &script(&back)).await, (Ending::Disconnected, 61));
        assert_eq!(lived(LIMITS, &script(&[])).await, (Ending::Idle, 101), "waiting moves no byte");
        let short = Limits { max: Duration::from_secs(20), ..LIMITS };
        assert_eq!(lived(short, &script(&[(69, GivenUp)])).await, (Ending::MaxLifetime, 20));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_told() {
        assert_eq!(lived(LIMITS, &[(3, Some(Happening::Told))]).await, (Ending::Told, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_notice_leaves_those_who_are_there_their_time() {
        let limits = Limits { notice: Some(Duration::from_secs(20)), ..LIMITS };
        let (login, noticed) = (Some(Happening::LoggedIn), Some(Happening::Noticed));
        assert_eq!(lived(limits, &[(1, login), (5, noticed)]).await, (Ending::Told, 25));
        let gone = Some(Happening::Disconnected);
        assert_eq!(lived(limits, &[(1, login), (5, noticed), (7, gone)]).await, (Ending::Disconnected, 7));
        let told = Some(Happening::Told);
        assert_eq!(lived(limits, &[(1, login), (5, noticed), (8, told)]).await, (Ending::Told, 8), "somebody insists");
        let short = Limits { max: Duration::from_secs(10), ..limits };
        assert_eq!(lived(short, &[(1, login), (5, noticed)]).await, (Ending::MaxLifetime, 10));
    }

    #[tokio::test(start_paused = true)]
    async fn a_notice_to_nobody_ends_it_at_once() {
        let limits = Limits { notice: Some(Duration::from_secs(20)), ..LIMITS };
        assert_eq!(lived(limits, &[(3, Some(Happening::Noticed))]).await, (Ending::Told, 3));
        assert_eq!(
            lived(LIMITS, &[(1, Some(Happening::LoggedIn)), (3, Some(Happening::Noticed))]).await,
            (Ending::Told, 3)
        );
    }

    #[test]
    fn codes_tell_endings_apart() {
        let all = [Ending::NoLogin, Ending::NotResumed, Ending::Idle, Ending::MaxLifetime, Ending::Told];
        let mut codes: Vec<u8> = all.iter().map(|ending| ending.code(Some(7))).collect();
        assert_eq!((Ending::Disconnected.code(Some(7)), Ending::Disconnected.code(None)), (7, 0));
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), all.len());
    }
}

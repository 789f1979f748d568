//! Why and when the container ends: nobody came, nobody typed, its time is up, everybody left, or it was told to stop.

mod activity;

use std::time::Duration;

use fargate_contract::{Connections, Grant, exit_code};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use crate::notice;
pub use activity::Activity;

/// How long each phase of the container's life may last.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Until the first login.
    pub login: Duration,
    /// Without a byte in any session after the first login; `None` is for ever.
    pub idle: Option<Duration>,
    /// Altogether.
    pub max: Duration,
    /// Without a connection, after the last one has closed; `None` ends it with the last.
    pub empty: Option<Duration>,
    /// After the notice of an end from outside, while somebody is logged in; `None` ends at once.
    pub notice: Option<Duration>,
    /// For another login once the last connection was lost, where there may be one; `None` ends with it.
    pub lost: Option<Duration>,
}

impl From<&Grant> for Limits {
    fn from(grant: &Grant) -> Self {
        Self {
            login: grant.login_timeout,
            idle: grant.idle_timeout,
            max: grant.max_lifetime,
            empty: grant.empty_timeout,
            notice: notice::time(grant),
            lost: Some(grant.reconnect_grace)
                .filter(|grace| grant.connections == Connections::Many && !grace.is_zero()),
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
    /// An authenticated connection is gone without a goodbye: its client may be on its way back.
    Lost,
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
    /// The container's exit code. [`Ending::Disconnected`] hands on that of the last session (0 when there was none).
    #[must_use]
    pub const fn code(self, last_session: Option<u8>) -> u8 {
        match self {
            Self::NotResumed => exit_code::NOT_RESUMED,
            Self::Idle => exit_code::IDLE,
            Self::MaxLifetime => exit_code::MAX_LIFETIME,
            Self::NoLogin => exit_code::NO_LOGIN,
            Self::Told => exit_code::TOLD,
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

/// The state machine: pure, told the time.
#[derive(Debug)]
struct Lifetime {
    limits: Limits,
    started: Instant,
    /// Authenticated connections, and sessions that outlive theirs; `None` before the first.
    connections: Option<usize>,
    /// While nobody is connected any more: until when the next connection is waited for, and what else ends the container.
    empty_until: Option<(Instant, Ending)>,
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
                self.empty_until = None;
                None
            }
            Happening::Disconnected | Happening::Released => self.left(Ending::Disconnected, self.limits.empty, now),
            // Who may connect as often as they like is waited for anyhow.
            Happening::Lost => match (self.limits.empty, self.limits.lost) {
                (None, Some(grace)) => self.left(Ending::NotResumed, Some(grace), now),
                (empty, _) => self.left(Ending::Disconnected, empty, now),
            },
            Happening::LeftIdle => self.left(Ending::Idle, self.limits.empty, now),
            Happening::GivenUp => self.left(Ending::NotResumed, self.limits.empty, now),
        }
    }

    /// One fewer; the last one's reason is the container's, at once or after the time in which another may come.
    fn left(&mut self, ending: Ending, wait: Option<Duration>, now: Instant) -> Option<Ending> {
        let left = self.connections.unwrap_or(0).saturating_sub(1);
        self.connections = Some(left);
        if left > 0 {
            return None;
        }
        self.empty_until = wait.map(|time| (now + time, ending));
        self.empty_until.is_none().then_some(ending)
    }

    /// What ends the container if nothing happens, and when.
    fn deadline(&self, last_activity: Instant) -> (Instant, Ending) {
        let mut max = (self.started + self.limits.max, Ending::MaxLifetime);
        if let Some(until) = self.noticed_until.filter(|until| *until < max.0) {
            max = (until, Ending::Told);
        }
        let other = match (self.connections, self.limits.idle) {
            (None, _) => Some((self.started + self.limits.login, Ending::NoLogin)),
            (Some(_), idle) => idle.map(|idle| (last_activity + idle, Ending::Idle)),
        };
        let earlier =
            |first: (Instant, Ending), other: (Instant, Ending)| if other.0 < first.0 { other } else { first };
        other.into_iter().chain(self.empty_until).fold(max, earlier)
    }
}

/// Waits for the container's end. The sender's being gone counts as being told.
pub async fn ending(limits: Limits, happenings: &mut mpsc::Receiver<Happening>, activity: &Activity) -> Ending {
    let mut lifetime =
        Lifetime { limits, started: Instant::now(), connections: None, empty_until: None, noticed_until: None };
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
        empty: None,
        notice: None,
        lost: None,
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
    async fn the_next_connection_is_waited_for_where_granted() {
        let limits = Limits { empty: Some(Duration::from_secs(20)), ..LIMITS };
        let (login, gone, idle) = (Some(Happening::LoggedIn), Some(Happening::Disconnected), Some(Happening::LeftIdle));
        assert_eq!(lived(limits, &[(1, login), (9, gone)]).await, (Ending::Disconnected, 29));
        assert_eq!(lived(limits, &[(1, login), (9, idle)]).await, (Ending::Idle, 29), "the last one's reason");
        let again = [(1, login), (9, gone), (20, login), (40, gone), (59, login), (70, gone)];
        assert_eq!(lived(limits, &again).await, (Ending::Disconnected, 90));
        assert_eq!(lived(limits, &[(1, login), (2, login), (9, gone)]).await, (Ending::Idle, 102), "one is left");
        assert_eq!(lived(limits, &[]).await, (Ending::NoLogin, 60), "the first one has its own time");
        let short = Limits { max: Duration::from_secs(15), ..limits };
        assert_eq!(lived(short, &[(1, login), (9, gone)]).await, (Ending::MaxLifetime, 15));
        let noticed = Limits { notice: Some(Duration::from_secs(90)), ..limits };
        let script = [(1, login), (9, gone), (12, Some(Happening::Noticed))];
        assert_eq!(lived(noticed, &script).await, (Ending::Told, 12), "nobody is there to use the time");
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
    async fn a_lost_client_may_come_back_in_time() {
        use Happening::{Disconnected, LoggedIn, Lost};
        let script = |all: &[(u64, Happening)]| -> Vec<(u64, Option<Happening>)> {
            all.iter().map(|(at, happening)| (*at, Some(*happening))).collect()
        };
        let limits = Limits { lost: Some(Duration::from_secs(30)), idle: None, ..LIMITS };
        assert_eq!(lived(limits, &script(&[(1, LoggedIn), (9, Lost)])).await, (Ending::NotResumed, 39));
        let back = script(&[(1, LoggedIn), (9, Lost), (30, LoggedIn), (90, Disconnected)]);
        assert_eq!(lived(limits, &back).await, (Ending::Disconnected, 90));
        let early = script(&[(1, LoggedIn), (5, LoggedIn), (9, Lost), (50, Disconnected)]);
        assert_eq!(lived(limits, &early).await, (Ending::Disconnected, 50), "the next connection holds it");
        let short = Limits { max: Duration::from_secs(20), ..limits };
        assert_eq!(lived(short, &script(&[(1, LoggedIn), (9, Lost)])).await, (Ending::MaxLifetime, 20));
        assert_eq!(lived(LIMITS, &script(&[(1, LoggedIn), (9, Lost)])).await, (Ending::Disconnected, 9), "not granted");
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

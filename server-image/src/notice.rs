//! Notice of an end that is sure to come: where the grant says so, SIGTERM leaves sessions the time until shortly before the
//! container is killed, and they are told how much that is.
//!
//! Fargate takes a Spot task back with a SIGTERM two minutes ahead, and SIGKILL after the container's `stopTimeout`, 120 s at most
//! (ECS developer guide, "Fargate Spot termination notices").

use std::time::Duration;

use bytes::Bytes;
use fargate_contract::{Grant, limits};
use russh::server::Msg;
use ssh_flow::ChannelSender;
use tokio_util::sync::CancellationToken;

use crate::log::{Event, Log};
use crate::session::say;

/// Part of the time until SIGKILL that sessions do not get: their own end, the goodbye, and a second for the log.
const RESERVE: Duration = limits::TERM_GRACE.saturating_add(Duration::from_secs(1));
/// From here on, minutes are as exact as anybody needs.
const IN_MINUTES: Duration = Duration::from_secs(100);
/// The terminal remembers its title, and shows another one (xterm control sequences, XTWINOPS 22 and OSC 2).
const TITLE: (&str, &str) = ("\x1b[22;2t\x1b]2;", "\x07");
/// It shows the one it remembers (XTWINOPS 23).
const TITLE_BACK: &str = "\x1b[23;2t";

/// A notice that may be given once.
#[derive(Debug)]
pub(crate) struct Notice {
    time: Option<Duration>,
    given: CancellationToken,
}

/// What is left of a time until SIGKILL for sessions to go on in; `None` if it is not worth it.
pub(crate) fn time(grant: &Grant) -> Option<Duration> {
    grant.stop_notice?.checked_sub(RESERVE).filter(|time| !time.is_zero())
}

impl Notice {
    /// One that is not given yet.
    pub(crate) fn new(grant: &Grant) -> Self {
        Self { time: time(grant), given: CancellationToken::new() }
    }

    /// Gives it, if this container has time to give. Whether it has.
    pub(crate) fn give(&self, log: &Log) -> bool {
        let Some(time) = self.time else { return false };
        log.write(&Event::Notice { seconds: time.as_secs() });
        self.given.cancel();
        true
    }

    /// Tells a session that ends with its channel when the notice is given: with a line, and on a terminal with its title. Never
    /// returns.
    pub(crate) async fn tell(&self, sender: &ChannelSender<Msg>, has_terminal: bool) {
        let (title, line) = self.given().await;
        if has_terminal {
            // Nobody to show it to is no reason to stop.
            let _ = sender.data(Bytes::from(title)).await;
        }
        say(sender, has_terminal, &line).await;
        std::future::pending().await
    }

    /// Waits for the notice, and answers what a terminal shows of it: the title, and the line.
    pub(crate) async fn shown(&self) -> String {
        let (title, line) = self.given().await;
        format!("{title}{line}\r\n")
    }

    /// Gives a terminal its title back, if it was told.
    pub(crate) async fn take_back(&self, sender: &ChannelSender<Msg>, has_terminal: bool) {
        if let Some(back) = self.shown_back().filter(|_| has_terminal) {
            let _ = sender.data(Bytes::from_static(back.as_bytes())).await;
        }
    }

    /// What gives a terminal its title back, if it was told.
    pub(crate) fn shown_back(&self) -> Option<&'static str> {
        self.given.is_cancelled().then_some(TITLE_BACK)
    }

    /// Waits for the notice, and answers its title and its line.
    async fn given(&self) -> (String, String) {
        self.given.cancelled().await;
        let time = in_words(self.time.unwrap_or_default());
        let title = format!("{}ends in {time}{}", TITLE.0, TITLE.1);
        (title, format!("fargate-login: the container is being stopped; this session ends in {time}"))
    }
}

/// `2 minutes`, `24 s`: whole minutes, rounded up, where there are some.
fn in_words(time: Duration) -> String {
    if time >= IN_MINUTES {
        format!("{} minutes", time.as_secs().div_ceil(60))
    } else {
        format!("{} s", time.as_secs())
    }
}

#[cfg(test)]
mod tests {
    use fargate_contract::HostSeed;

    use super::*;

    fn granted(seconds: Option<u64>) -> Grant {
        Grant { stop_notice: seconds.map(Duration::from_secs), ..Grant::new(HostSeed::new([1; 32]).public_key()) }
    }

    #[test]
    fn sessions_get_what_the_end_does_not_need() {
        let told = |seconds| time(&granted(seconds)).map(in_words);
        assert_eq!(told(Some(120)).as_deref(), Some("2 minutes"));
        assert_eq!(told(Some(30)).as_deref(), Some("24 s"));
        assert_eq!([told(Some(6)), told(Some(2)), told(None)], [None, None, None]);
    }

    #[test]
    fn a_container_without_time_gives_no_notice() {
        let (without, with) = (Notice::new(&granted(None)), Notice::new(&granted(Some(30))));
        let log = Log::new(None, Box::new(std::io::sink()));
        assert_eq!((without.give(&log), with.give(&log)), (false, true));
        assert!(!without.given.is_cancelled() && with.given.is_cancelled());
    }
}

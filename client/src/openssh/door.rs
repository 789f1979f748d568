//! The door of a run: whether there is a task to be let through to, who is there, and when everybody has left.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::audience::Audience;
use crate::options::Host;
use crate::ready::dial::DialFailure;
use crate::ready::route::Route;
use crate::ready::stream::Stream;

/// A keeper whose first proxy does not come, or that is told to linger shorter, waits this long: its proxy is on its way.
const FIRST: Duration = Duration::from_secs(5);

/// A stream that nobody has logged in on is used for this long: a quarter of what the init gives a login (`LOGIN_GRACE`).
const FRESH: Duration = Duration::from_secs(5);

/// Visitors whose doubts wait: more find them answered.
const DOUBTS: usize = 64;

/// Where the task is for those who want in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is on its way.
    Starting,
    /// It answers.
    Open(Way),
    /// The run is over.
    Over {
        /// The exit status for those who are there.
        code: u8,
        /// Whether it had begun: whoever comes too late for it is not told why it ended, but may start another.
        had_begun: bool,
    },
}

/// How to reach the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// Its addresses, or its place in Systems Manager.
    pub route: Route,
    /// Time for one TCP connection.
    pub connect_timeout: Duration,
}

/// Why a visitor doubts that the task lives.
#[derive(Debug)]
pub struct Doubt {
    /// How the dial failed; `None` when it was only hung up.
    pub failure: Option<DialFailure>,
    /// Who wants to know that it lives.
    pub lives: oneshot::Sender<()>,
}

/// One run's door. Clones are the same door.
#[derive(Clone, Debug)]
pub struct Door(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    host: Host,
    audience: Audience,
    state: watch::Sender<State>,
    attendance: watch::Sender<Attendance>,
    /// The stream that showed that the task answers, and when: the first visitor's.
    first: Mutex<Option<(Stream, Instant)>>,
    doubts_tx: mpsc::Sender<Doubt>,
    doubts_rx: tokio::sync::Mutex<mpsc::Receiver<Doubt>>,
    closed: CancellationToken,
}

/// Who is there.
#[derive(Clone, Copy, Debug)]
struct Attendance {
    present: usize,
    /// When somebody came or went last.
    since: Instant,
    /// Whether anybody ever came.
    came: bool,
}

/// Two doors are equal if they are the same.
impl PartialEq for Door {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Door {}

/// Somebody is there for as long as this is.
#[derive(Debug)]
pub struct Presence(Door);

impl Drop for Presence {
    fn drop(&mut self) {
        self.0.0.attendance.send_modify(|attendance| {
            attendance.present -= 1;
            attendance.since = Instant::now();
        });
    }
}

impl Door {
    /// A door behind which nothing is yet.
    #[must_use]
    pub fn new(host: Host, audience: Audience) -> Self {
        let (doubts_tx, doubts_rx) = mpsc::channel(DOUBTS);
        Self(Arc::new(Inner {
            host,
            audience,
            state: watch::Sender::new(State::Starting),
            attendance: watch::Sender::new(Attendance { present: 0, since: Instant::now(), came: false }),
            first: Mutex::new(None),
            doubts_tx,
            doubts_rx: tokio::sync::Mutex::new(doubts_rx),
            closed: CancellationToken::new(),
        }))
    }

    /// The host that it is the door of.
    #[must_use]
    pub fn host(&self) -> &Host {
        &self.0.host
    }

    /// Who hears what is said.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.0.audience
    }

    /// Somebody comes.
    #[must_use]
    pub fn enter(&self) -> Presence {
        self.0.attendance.send_modify(|attendance| {
            attendance.present += 1;
            attendance.since = Instant::now();
            attendance.came = true;
        });
        Presence(self.clone())
    }

    /// The task answers, by this way and over this stream.
    pub fn open(&self, way: Way, first: Stream) {
        *self.0.first.lock().unwrap_or_else(PoisonError::into_inner) = Some((first, Instant::now()));
        self.0.state.send_replace(State::Open(way));
    }

    /// The run is over.
    pub fn over(&self, code: u8) {
        self.0.state.send_modify(|state| *state = State::Over { code, had_begun: matches!(state, State::Open(_)) });
    }

    /// The state, and its changes.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<State> {
        self.0.state.subscribe()
    }

    /// The stream that showed that the task answers, once, as long as the task surely waits for a login on it.
    #[must_use]
    pub fn take_first(&self) -> Option<Stream> {
        let first = self.0.first.lock().unwrap_or_else(PoisonError::into_inner).take();
        first.filter(|(_, since)| since.elapsed() < FRESH).map(|(stream, _)| stream)
    }

    /// The task does not answer a visitor, or has hung up on it (`None`): waits until it has been looked at. Answers whether the run
    /// goes on.
    pub async fn doubt(&self, failure: Option<DialFailure>) -> bool {
        let (lives, answer) = oneshot::channel();
        let mut state = self.state();
        let judged = async {
            // The receiver is the door's own.
            let _ = self.0.doubts_tx.send(Doubt { failure, lives }).await;
            // Without an answer, the run ends: that is heard below.
            if answer.await.is_err() {
                std::future::pending().await
            }
        };
        tokio::select! {
            biased;
            () = is_over(&mut state) => false,
            () = judged => true,
        }
    }

    /// Waits for a visitor's doubt.
    pub async fn doubted(&self) -> Doubt {
        match self.0.doubts_rx.lock().await.recv().await {
            Some(doubt) => doubt,
            // The sender is the door's own.
            None => std::future::pending().await,
        }
    }

    /// Nobody is let in any more, because nobody came.
    pub fn close(&self) {
        self.0.closed.cancel();
    }

    /// Waits for [`Door::close`].
    pub async fn closed(&self) {
        self.0.closed.cancelled().await;
    }

    /// Waits until nobody has been there for as long as the host lingers. Cancel-safe.
    pub async fn deserted(&self) {
        let mut attendance = self.0.attendance.subscribe();
        let linger = self.0.host.linger;
        loop {
            let Attendance { present, since, came } = *attendance.borrow_and_update();
            let until = since + if came { linger } else { FIRST.max(linger) };
            let is_deserted = tokio::select! {
                // The sender is the door's own.
                _ = attendance.changed() => false,
                () = sleep_until(until), if present == 0 => true,
            };
            if is_deserted {
                return;
            }
        }
    }
}

/// Waits for the end of the run.
pub async fn is_over(state: &mut watch::Receiver<State>) {
    // A door that is gone has no run either.
    let _ = state.wait_for(|state| matches!(state, State::Over { .. })).await;
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    fn door(linger: u64) -> Door {
        let host = Host { name: "dev".to_owned(), directory: "/nowhere".into(), linger: Duration::from_secs(linger) };
        Door::new(host, Audience::default())
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_deserted_when_nobody_has_been_there_for_the_time() {
        let (door, began) = (door(30), Instant::now());
        let visits = async {
            let first = door.enter();
            sleep(Duration::from_secs(100)).await;
            let second = door.enter();
            drop(first);
            sleep(Duration::from_secs(100)).await;
            drop(second);
            sleep(Duration::from_secs(29)).await;
            drop(door.enter());
        };
        tokio::join!(visits, door.deserted());
        assert_eq!(began.elapsed().as_secs(), 259);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_visitor_is_waited_for_even_without_lingering() {
        let (nobody, began) = (door(0), Instant::now());
        nobody.deserted().await;
        assert_eq!(began.elapsed(), FIRST);
        let (one, began) = (door(0), Instant::now());
        let visit = async {
            let here = one.enter();
            sleep(Duration::from_secs(60)).await;
            drop(here);
        };
        tokio::join!(visit, one.deserted());
        assert_eq!(began.elapsed().as_secs(), 60);
    }
}

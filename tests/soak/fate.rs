//! What a run does and what becomes of its client, drawn.

use std::time::Duration;

use nix::sys::signal::Signal;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};

/// Signals that end the client, or ask it to end.
const SIGNALS: [Signal; 5] = [Signal::SIGKILL, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT];
/// What is run at the remote: short ones, one that fails, one with much output, one that never ends.
const COMMANDS: [&[&str]; 5] = [
    &["--", "true"],
    &["--shell-command", "exit 7"],
    &["--shell-command", "head -c 300000 /dev/zero"],
    &["-tt", "--shell-command", "sleep 0.3; exit 3"],
    &["--shell-command", "sleep 1000"],
];
/// A client that is left alone has ended long before; so kills come before, during and after the session.
const LATEST: u64 = 2_500;

/// What becomes of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Nothing.
    LeftAlone,
    /// One signal.
    Signal(Signal),
    /// Two of them, the second for those who cannot wait.
    Twice(Signal),
    /// It stands still for a while.
    Frozen(Duration),
    /// It stands still, and never goes on.
    FrozenAndKilled(Duration),
    /// Its terminal is closed.
    Closed,
}

/// One run.
#[derive(Clone, Debug)]
pub(crate) struct Draw {
    pub(crate) command: &'static [&'static str],
    pub(crate) spot: bool,
    pub(crate) fate: Fate,
    /// From the start of the client.
    pub(crate) after: Duration,
}

impl Draw {
    pub(crate) fn new(seed: u64, number: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
        let signal = *SIGNALS.choose(&mut random).unwrap_or(&Signal::SIGKILL);
        let pause = Duration::from_millis(random.random_range(100..4_000));
        let fate = match random.random_range(0..20) {
            0..7 => Fate::LeftAlone,
            7..13 => Fate::Signal(signal),
            13 => Fate::Twice(signal),
            14..16 => Fate::Frozen(pause),
            16 => Fate::FrozenAndKilled(pause),
            _ => Fate::Closed,
        };
        Self {
            command: COMMANDS.choose(&mut random).copied().unwrap_or_default(),
            spot: random.random_ratio(1, 5),
            fate,
            after: Duration::from_millis(random.random_range(0..LATEST)),
        }
    }
}

impl Fate {
    /// Its kind, for counting.
    pub(crate) fn kind(self) -> String {
        match self {
            Self::LeftAlone => "left alone".to_owned(),
            Self::Signal(signal) => signal.to_string(),
            Self::Twice(signal) => format!("{signal} twice"),
            Self::Frozen(_) => "frozen and continued".to_owned(),
            Self::FrozenAndKilled(_) => "frozen and killed".to_owned(),
            Self::Closed => "terminal closed".to_owned(),
        }
    }
}

//! Lines that strangers cause are few and short: whoever knocks a million times must not fill the log, which costs by the byte. Nor
//! must a client whose program tries a target without end.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::Event;

/// Lines at once: more than a scan of one port makes.
const BURST: u32 = 100;

/// Time after which another line may be written. Ten in a minute are less than 3 MB in a day.
const PAUSE: Duration = Duration::from_secs(6);

/// Longest name of a user that is repeated in the log: useradd(8) takes 32 characters.
const NAME_MAX: usize = 32;

/// Stands for a name that no account has.
const NO_NAME: &str = "(no name of an account)";

/// Events that were not written, each kind by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(serde::Deserialize))]
pub struct Withheld {
    /// `accept` lines.
    pub accept: u64,
    /// `dropped` lines.
    pub dropped: u64,
    /// `auth_refused` lines.
    pub auth_refused: u64,
    /// `sshd` lines before a login.
    pub sshd: u64,
    /// `forward_refused` lines.
    pub forward_refused: u64,
}

/// How many such lines may still be written.
#[derive(Debug)]
pub(super) struct Quota {
    strangers: Allowance,
    /// Apart, so that strangers cannot hide what a client tries.
    refused_forwards: Allowance,
    withheld: Withheld,
}

#[derive(Debug)]
struct Allowance {
    left: u32,
    /// When `left` was last added to.
    since: Instant,
}

impl Allowance {
    const fn new(now: Instant) -> Self {
        Self { left: BURST, since: now }
    }

    /// Whether there is a line left, which is taken.
    fn take(&mut self, now: Instant) -> bool {
        let pauses = u32::try_from(now.duration_since(self.since).as_millis() / PAUSE.as_millis()).unwrap_or(BURST);
        if pauses > 0 {
            self.since = now;
            self.left = self.left.saturating_add(pauses).min(BURST);
        }
        let some = self.left > 0;
        self.left = self.left.saturating_sub(1);
        some
    }
}

impl Quota {
    pub(super) const fn new(now: Instant) -> Self {
        let withheld = Withheld { accept: 0, dropped: 0, auth_refused: 0, sshd: 0, forward_refused: 0 };
        Self { strangers: Allowance::new(now), refused_forwards: Allowance::new(now), withheld }
    }

    /// Whether an event may be written; if not, it is counted.
    pub(super) fn admits(&mut self, event: &Event<'_>, now: Instant) -> bool {
        let (allowance, count) = match event {
            Event::Accept { .. } => (&mut self.strangers, &mut self.withheld.accept),
            Event::Dropped { .. } => (&mut self.strangers, &mut self.withheld.dropped),
            Event::AuthRefused { .. } => (&mut self.strangers, &mut self.withheld.auth_refused),
            Event::Sshd { authenticated: false, .. } => (&mut self.strangers, &mut self.withheld.sshd),
            Event::ForwardRefused { .. } => (&mut self.refused_forwards, &mut self.withheld.forward_refused),
            _ => return true,
        };
        let admitted = allowance.take(now);
        *count += u64::from(!admitted);
        admitted
    }

    /// What was counted since the last time, if anything.
    pub(super) fn withheld(&mut self) -> Option<Withheld> {
        let withheld = std::mem::take(&mut self.withheld);
        (withheld != Withheld::default()).then_some(withheld)
    }
}

/// A user's name as the log repeats it. A stranger may send anything in its place, of any length: other people's passwords, text
/// for whoever reads the log.
#[must_use]
pub fn name_of_account(name: &str) -> &str {
    let portable = |byte: u8| byte.is_ascii_alphanumeric() || b"._-$@+".contains(&byte);
    if !name.is_empty() && name.len() <= NAME_MAX && name.bytes().all(portable) { name } else { NO_NAME }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_costs_a_line_in_a_while_and_is_counted() {
        let peer = "192.0.2.1:4".parse().expect("an address");
        let accept = Event::Accept { peer };
        let dropped = Event::Dropped { peer, reason: "x" };
        let began = Instant::now();
        let mut quota = Quota::new(began);
        assert!((0..BURST).all(|_| quota.admits(&accept, began)));
        assert_eq!(quota.withheld(), None);
        assert!(!quota.admits(&accept, began) && !quota.admits(&dropped, began) && !quota.admits(&dropped, began));
        assert!(
            quota.admits(&Event::Disconnect { peer, duration_ms: 1, reason: "x" }, began),
            "what a user does is always told"
        );
        let refused = Event::ForwardRefused { kind: "agent", target: "", peer, reason: "x" };
        assert!((0..BURST).all(|_| quota.admits(&refused, began)) && !quota.admits(&refused, began));
        assert_eq!(
            quota.withheld(),
            Some(Withheld { accept: 1, dropped: 2, forward_refused: 1, ..Withheld::default() })
        );
        assert_eq!(quota.withheld(), None);
        assert!(quota.admits(&accept, began + PAUSE) && !quota.admits(&accept, began + PAUSE));
        let late = began + 10_000 * PAUSE;
        assert_eq!((0..2 * BURST).filter(|_| quota.admits(&accept, late)).count(), BURST as usize);
    }

    #[test]
    fn only_names_that_accounts_have_are_repeated() {
        for name in ["root", "ec2-user", "first.last@example.com", "machine$"] {
            assert_eq!(name_of_account(name), name);
        }
        for other in ["", "correct horse", "ä", "x\n{\"event\":\"auth_ok\"}", &"x".repeat(NAME_MAX + 1)] {
            assert_eq!(name_of_account(other), NO_NAME, "{other}");
        }
    }
}

//! Credit: how many bytes the other end may send on a channel before its reader has taken some.
//!
//! It travels on the channel itself, as extended data of a private-use type code (RFC 4254, section 5.2, leaves 0xFE000000 and
//! above to such) that holds a 4-byte big-endian count. A data message costs its length plus [`MESSAGE_COST`].

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::settings::{CREDIT_STEPS, MESSAGE_COST};

/// Extended data of this code is credit. Only a peer that announced it is ever sent any: sshd drops a connection on it.
pub(crate) const CREDIT_CODE: u32 = 0xFE00_0001;

/// A channel takes at most this part of what the connection has left, so that the last channel still finds some.
const SHARE: u64 = 8;

/// By how much the limit grows in a round trip in which the reader keeps up: from the initial credit to the most in three. TCP's slow
/// start doubles, and so is never held up by a channel that begins with its connection.
const GROWTH: u64 = 4;

/// What a data message of `len` bytes costs.
pub(crate) const fn cost(len: usize) -> u64 {
    len as u64 + MESSAGE_COST
}

/// A credit message's data.
pub(crate) fn encode(count: u32) -> Bytes {
    Bytes::copy_from_slice(&count.to_be_bytes())
}

/// The count in a credit message's data; `None` when it is not one.
pub(crate) fn decode(data: &[u8]) -> Option<u32> {
    data.try_into().ok().map(u32::from_be_bytes)
}

/// Credit beyond the initial one that a connection can still grant.
#[derive(Debug)]
pub(crate) struct Budget {
    free: Mutex<u64>,
}

impl Budget {
    pub(crate) const fn new(bytes: u64) -> Self {
        Self { free: Mutex::new(bytes) }
    }

    /// Changes a reservation of `held` bytes towards `wanted`, as far as a fair share of what is free allows, but not below
    /// `floor` (at most `held`: it was granted and cannot be taken back). Answers the new reservation.
    fn resize(&self, held: u64, wanted: u64, floor: u64) -> u64 {
        let mut free = self.free.lock().unwrap_or_else(PoisonError::into_inner);
        *free += held;
        let reserved = wanted.min(*free / SHARE).max(floor.min(held));
        *free -= reserved;
        reserved
    }

    /// What is not reserved, in bytes.
    #[cfg(any(test, fuzzing))]
    pub(crate) fn free(&self) -> u64 {
        *self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one channel's peer was granted, has used and may be granted.
#[derive(Debug)]
pub(crate) struct Ledger {
    initial: u64,
    most: u64,
    /// All that the peer may hold and have waiting at us together: `initial` plus what the budget reserves for us.
    limit: u64,
    /// Granted and not used.
    open: u64,
    /// Used, and not taken by the reader.
    waiting: u64,
}

impl Ledger {
    pub(crate) fn new(initial: u64, most: u64) -> Self {
        Self { initial, most: most.max(initial), limit: initial, open: initial, waiting: 0 }
    }

    /// Books a message that arrived. Answers by how much it exceeds the credit, which is an offence.
    pub(crate) fn arrive(&mut self, cost: u64) -> Result<(), u64> {
        self.open = self.open.checked_sub(cost).ok_or_else(|| cost - self.open)?;
        self.waiting += cost;
        Ok(())
    }

    /// Books what the reader took. Answers whether credit is due.
    pub(crate) fn take(&mut self, cost: u64) -> bool {
        self.waiting = self.waiting.saturating_sub(cost);
        self.due()
    }

    /// Grants what is due, if anything. The limit grows with what was taken since the last grant, [`GROWTH`] times per round trip
    /// while the reader keeps up, and shrinks when other channels need the budget.
    pub(crate) fn grant(&mut self, budget: &Budget) -> Option<u32> {
        if !self.due() {
            return None;
        }
        let outstanding = self.open + self.waiting;
        let taken = self.limit - outstanding;
        let wanted = (self.limit + (GROWTH - 1) * taken).min(self.most) - self.initial;
        let floor = outstanding.saturating_sub(self.initial);
        self.limit = self.initial + budget.resize(self.limit - self.initial, wanted, floor);
        let amount = u32::try_from(self.limit - outstanding).unwrap_or(u32::MAX);
        if u64::from(amount) < self.step() {
            return None;
        }
        self.open += u64::from(amount);
        Some(amount)
    }

    /// Gives the channel's share of the budget back; the channel has ended.
    pub(crate) fn release(&mut self, budget: &Budget) {
        budget.resize(self.limit - self.initial, 0, 0);
        self.limit = self.initial;
    }

    fn due(&self) -> bool {
        self.limit.saturating_sub(self.open + self.waiting) >= self.step()
    }

    const fn step(&self) -> u64 {
        self.limit / CREDIT_STEPS
    }

    /// What the budget holds for this channel, in bytes.
    #[cfg(any(test, fuzzing))]
    pub(crate) const fn reserved(&self) -> u64 {
        self.limit - self.initial
    }

    #[cfg(any(test, fuzzing))]
    pub(crate) fn assert_holds(&self) {
        assert!((self.initial..=self.most).contains(&self.limit), "{self:?}");
        assert!(self.open <= self.limit, "{self:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INITIAL: u64 = 64 * 1024;
    const MOST: u64 = 4 * 1024 * 1024;
    const ALL: u64 = 32 * 1024 * 1024;

    /// Uses up all open credit and takes it, again and again.
    fn run(ledger: &mut Ledger, budget: &Budget, rounds: usize) {
        for _ in 0..rounds {
            let open = ledger.open;
            ledger.arrive(open).expect("within the credit");
            ledger.take(open);
            let _ = ledger.grant(budget);
        }
    }

    #[test]
    fn a_busy_channel_grows_up_to_the_most_and_an_idle_one_stays_small() {
        let budget = Budget::new(ALL);
        let (mut busy, idle) = (Ledger::new(INITIAL, MOST), Ledger::new(INITIAL, MOST));
        run(&mut busy, &budget, 1);
        assert_eq!(busy.limit, GROWTH * INITIAL);
        run(&mut busy, &budget, 10);
        assert_eq!((busy.limit, busy.open, idle.limit), (MOST, MOST, INITIAL));
        busy.release(&budget);
        assert_eq!(*budget.free.lock().expect("not poisoned"), ALL);
    }

    #[test]
    fn many_channels_share_the_budget_and_the_last_one_finds_some() {
        let budget = Budget::new(ALL);
        let mut ledgers: Vec<Ledger> = (0..200).map(|_| Ledger::new(INITIAL, MOST)).collect();
        for _ in 0..100 {
            ledgers.iter_mut().for_each(|ledger| run(ledger, &budget, 1));
        }
        let reserved: u64 = ledgers.iter().map(|ledger| ledger.limit - INITIAL).sum();
        assert!(reserved <= ALL, "{reserved}");
        assert!(ledgers.iter().all(|ledger| ledger.limit > INITIAL && ledger.limit < MOST));
        ledgers.iter_mut().for_each(|ledger| ledger.release(&budget));
        assert_eq!(*budget.free.lock().expect("not poisoned"), ALL);
    }

    #[test]
    fn stalled_channels_leave_the_initial_credit_to_others() {
        let budget = Budget::new(0);
        let mut ledger = Ledger::new(INITIAL, MOST);
        run(&mut ledger, &budget, 3);
        assert_eq!((ledger.limit, ledger.open), (INITIAL, INITIAL));
    }

    #[test]
    fn an_overrun_is_told_by_how_much() {
        let mut ledger = Ledger::new(INITIAL, MOST);
        assert_eq!(ledger.arrive(INITIAL - 1), Ok(()));
        assert_eq!(ledger.arrive(cost(1)), Err(cost(0)));
    }

    #[test]
    fn only_four_bytes_are_a_count() {
        assert_eq!(decode(&encode(70_000)), Some(70_000));
        assert_eq!((decode(&[0; 3]), decode(&[0; 5])), (None, None));
    }
}

//! What the fuzz targets `identification`, `credit` and `bundle` and the test over their seeds hold this crate's parsers to. Compiled for
//! these alone.

use crate::bundle::frame::{BadFrame, FRAME_MAX, Incoming};
use crate::credit::{self, Budget, Ledger};
use crate::identification::{Search, announced_credit};
use crate::settings::{CREDIT, CREDIT_BUDGET, INITIAL_CREDIT, LARGEST_CREDIT, SMALLEST_CREDIT};

/// Reads the first byte as the length of pieces and the rest as what a peer sends first.
///
/// # Panics
/// When the search finds something else in pieces than in one, finds twice, or announces credit out of range.
pub fn identification(data: &[u8]) {
    let Some((piece, sent)) = data.split_first() else { return };
    let whole = Search::default().observe(sent);
    let mut search = Search::default();
    let found: Vec<String> =
        sent.chunks(usize::from(*piece).max(1)).filter_map(|piece| search.observe(piece)).collect();
    assert_eq!(whole.as_slice(), found.as_slice(), "pieces of {piece}");
    if let Some(line) = whole {
        assert!(line.starts_with("SSH-") && !line.contains('\n'), "{line:?}");
        let credit = announced_credit(&line);
        assert!(credit.is_none_or(|credit| (SMALLEST_CREDIT..=LARGEST_CREDIT).contains(&credit)), "{credit:?}");
    }
}

/// Reads pairs of a word and a number as what two channels that share a budget go through: data arrives, the reader takes, credit
/// is granted or comes from the peer, a channel ends.
///
/// # Panics
/// When a channel's peer may have more waiting and open than its limit, or the budget gains or loses a byte.
pub fn credit(data: &[u8]) {
    let budget = Budget::new(CREDIT_BUDGET);
    let fresh = || [Ledger::new(INITIAL_CREDIT, CREDIT), Ledger::new(SMALLEST_CREDIT, CREDIT)];
    let mut ledgers = fresh();
    for step in data.chunks_exact(5) {
        let (word, rest) = (step[0], &step[1..]);
        // Four bytes were cut off.
        let number = credit::decode(rest).expect("four bytes are a count");
        let ledger = &mut ledgers[usize::from(word & 1)];
        match word >> 1 & 3 {
            0 => drop(ledger.arrive(credit::cost(number as usize))),
            1 => drop(ledger.take(u64::from(number))),
            2 => drop(ledger.grant(&budget)),
            _ => {
                // An ended channel's books are closed; another takes its place.
                ledger.release(&budget);
                let [first, second] = fresh();
                *ledger = if word & 1 == 0 { first } else { second };
            }
        }
        for ledger in &ledgers {
            ledger.assert_holds();
        }
        let reserved: u64 = ledgers.iter().map(Ledger::reserved).sum();
        assert_eq!(budget.free() + reserved, CREDIT_BUDGET, "the budget");
    }
    assert_eq!(credit::decode(data).is_some(), data.len() == 4);
}

/// Reads the first byte as the length of pieces and the rest as what a peer sends on one link of a bundle.
///
/// # Panics
/// When other frames are read in pieces than at once, or more is taken in than a frame holds.
pub fn bundle(data: &[u8]) {
    let Some((piece, sent)) = data.split_first() else { return };
    assert_eq!(frames(sent, usize::from(*piece).max(1)), frames(sent, FRAME_MAX), "pieces of {piece}");
}

/// The payloads of what comes in pieces of this length, up to the first frame that is refused.
fn frames(mut sent: &[u8], piece: usize) -> (Vec<u8>, Option<BadFrame>) {
    let (mut incoming, mut payloads) = (Incoming::new(), Vec::new());
    loop {
        if let Err(bad) = incoming.head() {
            return (payloads, Some(bad));
        }
        let payload = incoming.payload();
        if payload.is_empty() {
            let room = incoming.room();
            assert!(room.len() <= FRAME_MAX);
            let length = sent.len().min(piece).min(room.len());
            if length == 0 {
                return (payloads, None);
            }
            let (arrived, rest) = sent.split_at(length);
            room[..length].copy_from_slice(arrived);
            incoming.arrived(length);
            sent = rest;
        } else {
            let length = payload.len().min(piece);
            payloads.extend_from_slice(&payload[..length]);
            incoming.take(length);
        }
    }
}

#[cfg(test)]
mod tests {
    fn each_seed(target: &str, holds: fn(&[u8])) {
        let seeds = format!("{}/../../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for seed in std::fs::read_dir(seeds).expect("the seeds").flatten() {
            holds(&std::fs::read(seed.path()).expect("a seed"));
            count += 1;
        }
        assert!(count >= 3, "{count} seeds of {target}");
    }

    #[test]
    fn every_seed_holds() {
        each_seed("identification", super::identification);
        each_seed("credit", super::credit);
        each_seed("bundle", super::bundle);
    }
}

//! Places for connections that have not authenticated yet. There are few, and nobody can hold them against newcomers: when all
//! are taken, whoever waited longest at the address that holds most gives way.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fargate_contract::limits::MAX_STARTUPS;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

/// Connections that gave way and have not gone yet, at most: until then they cost what they cost.
const LEAVING: usize = MAX_STARTUPS;

/// Leading bits of an IPv6 address that one customer has (RFC 6177): the rest is his to choose.
const IPV6_PREFIX: u32 = 64;

/// The places of one server. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Startups(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    table: Mutex<Table>,
    /// Somebody has gone.
    gone: Notify,
}

#[derive(Debug, Default)]
struct Table {
    /// The oldest first.
    held: Vec<Held>,
    next: u64,
}

#[derive(Debug)]
struct Held {
    number: u64,
    source: Ipv6Addr,
    lost: CancellationToken,
}

/// A place, given back when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    startups: Startups,
    number: u64,
    lost: CancellationToken,
}

impl Startups {
    /// A place for a connection from this address. Waits while too many that have to give way are not gone yet, which is soon;
    /// newcomers wait in the listener's queue meanwhile. One task at a time may ask.
    pub(crate) async fn take(&self, peer: IpAddr) -> Place {
        loop {
            if let Some(place) = self.try_take(peer) {
                return place;
            }
            self.0.gone.notified().await;
        }
    }

    fn try_take(&self, peer: IpAddr) -> Option<Place> {
        let mut table = self.table();
        let waiting = table.held.iter().filter(|held| !held.lost.is_cancelled()).count();
        if waiting >= MAX_STARTUPS {
            if table.held.len() - waiting >= LEAVING {
                return None;
            }
            if let Some(held) = table.who_gives_way() {
                held.lost.cancel();
            }
        }
        let (number, lost) = (table.next, CancellationToken::new());
        table.next += 1;
        table.held.push(Held { number, source: source(peer), lost: lost.clone() });
        Some(Place { startups: self.clone(), number, lost })
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn who_gives_way(&self) -> Option<&Held> {
        let waiting = || self.held.iter().filter(|held| !held.lost.is_cancelled());
        let count = |source: Ipv6Addr| waiting().filter(|held| held.source == source).count();
        let most = waiting().map(|held| count(held.source)).max()?;
        waiting().find(|held| count(held.source) == most)
    }
}

impl Place {
    /// Waits until the place is another's.
    pub(crate) async fn lost(&self) {
        self.lost.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.startups.table().held.retain(|held| held.number != self.number);
        self.startups.0.gone.notify_one();
    }
}

/// What counts as one address.
fn source(peer: IpAddr) -> Ipv6Addr {
    match peer.to_canonical() {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & u128::MAX << (u128::BITS - IPV6_PREFIX)),
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn lost(places: &[Option<Place>]) -> Vec<usize> {
        let lost = |place: &Option<Place>| place.as_ref().is_none_or(|place| place.lost.is_cancelled());
        places.iter().enumerate().filter(|(_, place)| lost(place)).map(|(index, _)| index).collect()
    }

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_newcomer_takes_the_oldest_place_of_the_address_that_holds_most() {
        let startups = Startups::default();
        let user = startups.try_take(address("192.0.2.1"));
        let mut places: Vec<_> = (1..MAX_STARTUPS).map(|_| startups.try_take(address("198.51.100.7"))).collect();
        assert_eq!(lost(&places), Vec::<usize>::new());
        places.push(startups.try_take(address("192.0.2.2")));
        places.push(startups.try_take(address("198.51.100.7")));
        assert_eq!(lost(&places), [0, 1], "the user waits longest, and keeps the place");
        assert!(!user.expect("a place").lost.is_cancelled());
    }

    #[test]
    fn places_come_back() {
        let startups = Startups::default();
        for _ in 0..3 {
            let places: Vec<_> = (0..MAX_STARTUPS).map(|_| startups.try_take(address("::1"))).collect();
            assert_eq!(lost(&places), Vec::<usize>::new());
        }
    }

    #[test]
    fn a_newcomer_waits_for_those_that_do_not_go() {
        let startups = Startups::default();
        let mut places: Vec<_> = (0..2 * MAX_STARTUPS).map(|_| startups.try_take(address("::1"))).collect();
        assert!(places.iter().all(Option::is_some) && startups.try_take(address("::1")).is_none());
        let mut waiting = pin!(startups.take(address("::1")));
        let mut context = Context::from_waker(Waker::noop());
        assert!(waiting.as_mut().poll(&mut context).is_pending());
        drop(places.remove(0));
        assert!(waiting.as_mut().poll(&mut context).is_ready());
    }

    #[test]
    fn a_customers_ipv6_addresses_are_one() {
        assert_eq!(source(address("2001:db8::1")), source(address("2001:db8::2:0:0:9")));
        assert_ne!(source(address("2001:db8::1")), source(address("2001:db8:0:1::1")));
        assert_eq!(source(address("::ffff:192.0.2.1")), source(address("192.0.2.1")));
    }
}

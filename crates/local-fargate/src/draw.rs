//! Everything that AWS would choose, drawn from the seed: the n-th task of a seed gets the same ids, address and delays,
//! however often anybody asked in between.

use std::net::Ipv4Addr;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

/// Keeps the streams of neighbouring tasks apart: the odd number next to 2^64 divided by the golden ratio.
const STRIDE: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of random choices.
#[derive(Debug)]
pub(crate) struct Draw(StdRng);

impl Draw {
    /// The stream of the `index`-th thing of this seed.
    pub(crate) fn new(seed: u64, index: u64) -> Self {
        Self(StdRng::seed_from_u64(seed.wrapping_add(index.wrapping_mul(STRIDE))))
    }

    /// Lower-case hexadecimal digits.
    pub(crate) fn hex(&mut self, digits: usize) -> String {
        (0..digits).map(|_| char::from_digit(self.0.random_range(0..16), 16).unwrap_or('0')).collect()
    }

    /// Decimal digits.
    pub(crate) fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from_digit(self.0.random_range(0..10), 10).unwrap_or('0')).collect()
    }

    /// A UUID, in AWS's form.
    pub(crate) fn uuid(&mut self) -> String {
        uuid::Builder::from_random_bytes(self.0.random()).into_uuid().to_string()
    }

    /// A locally administered MAC address.
    pub(crate) fn mac(&mut self) -> String {
        let octets: [u8; 5] = self.0.random();
        octets.iter().fold("0a".to_owned(), |text, octet| format!("{text}:{octet:02x}"))
    }

    /// Seed of streams that depend on this one.
    pub(crate) fn seed(&mut self) -> u64 {
        self.0.random()
    }

    /// Whether something happens that does so many times in a thousand.
    pub(crate) fn happens(&mut self, per_mille: u32) -> bool {
        self.0.random_range(0..1000) < per_mille
    }

    /// Bytes that a token is made of.
    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        self.0.random()
    }

    /// A duration between two numbers of seconds.
    pub(crate) fn seconds(&mut self, from: f64, to: f64) -> Duration {
        Duration::from_secs_f64(self.0.random_range(from..=to))
    }

    /// A loopback address that nobody has; never in 127.0.0.0/16, which machines use themselves.
    pub(crate) fn address(&mut self, is_taken: impl Fn(Ipv4Addr) -> bool) -> Ipv4Addr {
        loop {
            let (b, c, d) = (self.0.random_range(1..=254), self.0.random(), self.0.random_range(1..=254));
            let address = Ipv4Addr::new(127, b, c, d);
            if !is_taken(address) {
                return address;
            }
        }
    }
}

/// Addresses that some process of this machine listens on, from `/proc/net/tcp`; none where there is no such file.
pub(crate) fn listened_on() -> Vec<Ipv4Addr> {
    parse_listeners(&std::fs::read_to_string("/proc/net/tcp").unwrap_or_default())
}

/// Columns: number, local address and port, remote address and port, state; an address is a number in host byte order.
fn parse_listeners(table: &str) -> Vec<Ipv4Addr> {
    const LISTEN: &str = "0A";
    let listener = |line: &str| {
        let columns: Vec<_> = line.split_whitespace().take(4).collect();
        let [_, local, _, LISTEN] = columns.as_slice() else { return None };
        let address = u32::from_str_radix(local.split(':').next()?, 16).ok()?;
        Some(Ipv4Addr::from(address.to_ne_bytes()))
    };
    table.lines().filter_map(listener).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_says_everything() {
        let draw = |seed, index| {
            let mut draw = Draw::new(seed, index);
            (draw.hex(32), draw.mac(), draw.address(|_| false))
        };
        assert_eq!(draw(7, 1), draw(7, 1));
        assert_ne!(draw(7, 1), draw(7, 2));
        assert_ne!(draw(7, 1), draw(8, 1));
    }

    #[test]
    fn taken_addresses_are_passed_over() {
        let first = Draw::new(1, 1).address(|_| false);
        assert_ne!(Draw::new(1, 1).address(|address| address == first), first);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn listeners_are_read_from_the_kernels_table() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
                     0: 0302017F:0016 00000000:0000 0A 00000000:00000000\n\
                     1: 0100007F:9C40 0100007F:0016 01 00000000:00000000\n";
        assert_eq!(parse_listeners(table), [Ipv4Addr::new(127, 1, 2, 3)]);
    }
}

//! Which networks this machine is in, as far as it can know: of those, private addresses are reached directly.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use ipnet::IpNet;

/// Addresses of nobody (RFC 5737, RFC 3849): the way to them is the way to the internet.
const ELSEWHERE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1))];
/// Widest block of a VPC, IPv4, and the one that AWS gives it, IPv6 (Amazon VPC user guide, "VPC CIDR blocks"): whoever has an address
/// in the same is taken to be in the same VPC.
const VPC_PREFIX: (u8, u8) = (16, 56);
/// Nothing is sent, so any port does.
const DISCARD: u16 = 9;

/// Whether addresses of the range are in a network of ours: we have an address in what may be its VPC, or this machine has a route
/// there other than that to the internet, as with a VPN. A network behind a router of ours cannot be seen. Sends nothing.
#[must_use]
pub fn has(range: IpNet) -> bool {
    let [v4, v6] = ELSEWHERE;
    let elsewhere = if range.addr().is_ipv4() { v4 } else { v6 };
    let first = range.hosts().next().unwrap_or_else(|| range.addr());
    judge(range, source_towards(first), source_towards(elsewhere))
}

/// The same, given our addresses as the range and as the internet see them; `None` without a route.
fn judge(range: IpNet, towards: Option<IpAddr>, elsewhere: Option<IpAddr>) -> bool {
    let Some(source) = towards else { return false };
    let widest = if range.addr().is_ipv4() { VPC_PREFIX.0 } else { VPC_PREFIX.1 };
    let vpc = IpNet::new(range.addr(), widest.min(range.prefix_len())).map(|vpc| vpc.trunc());
    vpc.is_ok_and(|vpc| vpc.contains(&source)) || elsewhere != Some(source)
}

/// The address that the system would send from: a datagram socket that is connected chooses its route, and sends nothing.
fn source_towards(address: IpAddr) -> Option<IpAddr> {
    let unspecified: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind(SocketAddr::new(unspecified, 0)).ok()?;
    socket.connect(SocketAddr::new(address, DISCARD)).ok()?;
    socket.local_addr().ok().map(|own| own.ip()).filter(|own| !own.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(range: &str, towards: Option<&str>, elsewhere: Option<&str>) -> bool {
        let address = |text: &str| text.parse().expect("an address");
        judge(range.parse().expect("a range"), towards.map(address), elsewhere.map(address))
    }

    #[test]
    fn a_machine_of_the_same_vpc_is_near() {
        assert!(judged("10.0.1.0/24", Some("10.0.200.7"), Some("10.0.200.7")));
        assert!(judged("2001:db8:0:12::/64", Some("2001:db8:0:34::7"), Some("2001:db8:0:34::7")));
    }

    #[test]
    fn a_route_of_its_own_is_that_of_a_vpn() {
        assert!(judged("10.0.1.0/24", Some("172.16.9.2"), Some("192.168.1.4")));
        assert!(judged("10.0.1.0/24", Some("172.16.9.2"), None), "a network without the internet");
    }

    #[test]
    fn what_is_reached_as_the_internet_is_or_not_at_all_is_far() {
        assert!(!judged("10.0.1.0/24", Some("192.168.1.4"), Some("192.168.1.4")));
        assert!(!judged("10.0.1.0/24", None, Some("192.168.1.4")));
        assert!(!judged("10.0.1.0/24", None, None));
        assert!(!judged("2001:db8:1::/64", Some("2001:db8:2::7"), Some("2001:db8:2::7")));
    }

    #[test]
    fn our_own_loopback_is_near() {
        assert!(has("127.0.0.0/8".parse().expect("a range")));
    }
}

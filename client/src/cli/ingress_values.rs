//! Values that say who is let in: what they may look like, and what is said when they do not.

use std::net::IpAddr;

use ipnet::IpNet;

use super::values::{BadValue, endpoint_url};

/// The widest ranges that are one network: 10.0.0.0/8, and what a registry hands to a large provider. What is wider is the
/// internet, or a part of it that nobody has.
const PREFIX_MIN: (u8, u8) = (8, 16);

/// A range of addresses, or one address.
pub(super) fn cidr(text: &str) -> Result<IpNet, BadValue> {
    let range = text.parse::<IpAddr>().map(IpNet::from).or_else(|_| text.parse::<IpNet>());
    let range = range.map_err(|_| {
        BadValue::new("is not a range of addresses", "it looks like `203.0.113.7`, `10.0.0.0/8` or `2001:db8::/64`")
    })?;
    let least = if range.addr().is_ipv4() { PREFIX_MIN.0 } else { PREFIX_MIN.1 };
    if range.prefix_len() < least {
        let hint = format!("a /{least} is the widest range; `--allow-my-ip` lets in where you are, and nobody else");
        return Err(BadValue::new("lets in too many", hint));
    }
    if range != range.trunc() {
        let (network, address) = (range.trunc(), IpNet::from(range.addr()));
        let hint = format!("write `{network}` for the network, or `{address}` for the address");
        return Err(BadValue::new("is neither a network nor an address", hint));
    }
    Ok(range)
}

/// A service that tells addresses: who can change its answer on the way decides who is let in.
pub(super) fn my_ip_url(text: &str) -> Result<String, BadValue> {
    let authority = |text: &str| text.split(['/', '?', '#']).next().unwrap_or_default().to_owned();
    let is_here = |authority: &str| {
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host).trim_matches(['[', ']']);
        host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    };
    let refuse =
        |complaint: &str, hint: &str| BadValue { shown: Some("URL".to_owned()), ..BadValue::new(complaint, hint) };
    let hint = "it looks like `https://checkip.amazonaws.com`";
    match text.strip_prefix("http://") {
        Some(rest) if !is_here(&authority(rest)) => Err(refuse("is neither https nor on this machine", hint)),
        _ => endpoint_url(text).map_err(|_| refuse("is not the URL of a service", hint)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_networks_or_addresses_and_not_the_internet() {
        let read = |text| cidr(text).map(|range| range.to_string());
        for (text, range) in [
            ("203.0.113.7", "203.0.113.7/32"),
            ("203.0.113.0/24", "203.0.113.0/24"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("2001:DB8::7", "2001:db8::7/128"),
            ("2001:db8::/32", "2001:db8::/32"),
        ] {
            assert_eq!(read(text).as_deref(), Ok(range));
        }
        for text in
            ["0.0.0.0/0", "::/0", "0.0.0.0/1", "128.0.0.0/7", "2000::/3", "203.0.113.7/24", "203.0.113.7/33", "me", ""]
        {
            assert!(read(text).is_err(), "{text}");
        }
        assert!(cidr("203.0.113.7/24").expect_err("host bits").hint.contains("`203.0.113.0/24`"));
    }

    #[test]
    fn a_lookup_cannot_be_changed_on_the_way() {
        for url in ["https://ip.example/?key=k", "http://127.0.0.1:8080/ip", "http://[::1]:80"] {
            assert_eq!(my_ip_url(url).as_deref(), Ok(url));
        }
        for url in [
            "http://ip.example/?key=s3cret",
            "http://127.0.0.1.ip.example/",
            "ip.example",
            "ftp://ip.example",
            "https://",
        ] {
            let bad = my_ip_url(url).expect_err(url);
            assert!(!format!("{bad:?}").contains("s3cret"), "{bad:?}");
        }
    }
}

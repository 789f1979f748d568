//! SOCKS as a server: versions 4 and 4a, and 5 (RFC 1928) without authentication; CONNECT alone.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What a client says before it has a connection is no longer than this, in bytes.
pub(super) const MOST: usize = 1024;

const V4: u8 = 4;
const V5: u8 = 5;
const CONNECT: u8 = 1;
const NO_AUTHENTICATION: u8 = 0;
const NO_METHOD: u8 = 0xff;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
/// Replies of version 5 (RFC 1928, section 6).
const FAILURE: u8 = 1;
const NOT_ALLOWED: u8 = 2;
const HOST_UNREACHABLE: u8 = 4;
const REFUSED: u8 = 5;
const COMMAND_NOT_SUPPORTED: u8 = 7;
const ADDRESS_NOT_SUPPORTED: u8 = 8;
/// Replies of version 4.
const V4_GRANTED: u8 = 90;
const V4_REJECTED: u8 = 91;

/// Where a client wants to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) host: String,
    pub(super) port: u16,
    version: u8,
}

/// Why a client gets no connection, as far as its protocol can say it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    NotAllowed,
    HostUnreachable,
    Refused,
    Other,
}

/// What the bytes so far mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing yet: more has to be read.
    More,
    /// This many bytes are understood; this is to be said, and then more read.
    Say(usize, Vec<u8>),
    /// This many bytes are understood, and this is asked for.
    Connect(usize, Request),
    /// It cannot be: this is to be said, and then no more.
    Refuse(Vec<u8>, &'static str),
}

/// Understands what a client has said: in version 5 first its methods (`greeted` is whether they were answered), then its request.
pub(super) fn step(bytes: &[u8], greeted: bool) -> Step {
    match bytes.first() {
        None => Step::More,
        Some(&V4) if !greeted => version_4(bytes),
        Some(&V5) if greeted => request_5(bytes),
        Some(&V5) => methods_5(bytes),
        Some(_) => Step::Refuse(Vec::new(), "it speaks no SOCKS"),
    }
}

fn version_4(bytes: &[u8]) -> Step {
    let &[_, command, high, low, a, b, c, d, ref rest @ ..] = bytes else { return Step::More };
    let Some(user) = rest.iter().position(|byte| *byte == 0) else { return Step::More };
    let mut consumed = 8 + user + 1;
    if command != CONNECT {
        return Step::Refuse(reply_4(V4_REJECTED), "it asks for something else than CONNECT");
    }
    let host = match [a, b, c, d] {
        // 4a: the name follows.
        [0, 0, 0, last] if last > 0 => {
            let rest = &bytes[consumed..];
            let Some(end) = rest.iter().position(|byte| *byte == 0) else { return Step::More };
            consumed += end + 1;
            match name(&rest[..end]) {
                Some(name) => name,
                None => return Step::Refuse(reply_4(V4_REJECTED), "it asks for a name that is none"),
            }
        }
        octets => Ipv4Addr::from(octets).to_string(),
    };
    Step::Connect(consumed, Request { host, port: u16::from_be_bytes([high, low]), version: V4 })
}

fn methods_5(bytes: &[u8]) -> Step {
    let &[_, count, ref rest @ ..] = bytes else { return Step::More };
    match rest.get(..count.into()) {
        None => Step::More,
        Some(methods) if methods.contains(&NO_AUTHENTICATION) => {
            Step::Say(2 + usize::from(count), vec![V5, NO_AUTHENTICATION])
        }
        Some(_) => Step::Refuse(vec![V5, NO_METHOD], "it wants to authenticate"),
    }
}

fn request_5(bytes: &[u8]) -> Step {
    let &[_, command, _, kind, ref rest @ ..] = bytes else { return Step::More };
    let (host, used) = match kind {
        IPV4 => match rest.first_chunk::<4>() {
            Some(octets) => (Some(Ipv4Addr::from(*octets).to_string()), 4),
            None => return Step::More,
        },
        IPV6 => match rest.first_chunk::<16>() {
            Some(octets) => (Some(Ipv6Addr::from(*octets).to_string()), 16),
            None => return Step::More,
        },
        NAME => match rest.split_first() {
            Some((length, rest)) if rest.len() >= usize::from(*length) => {
                (name(&rest[..usize::from(*length)]), 1 + usize::from(*length))
            }
            _ => return Step::More,
        },
        _ => return Step::Refuse(reply_5(ADDRESS_NOT_SUPPORTED), "it asks for an address of an unknown kind"),
    };
    let Some(port) = rest.get(used..).and_then(|rest| rest.first_chunk::<2>()) else { return Step::More };
    if command != CONNECT {
        return Step::Refuse(reply_5(COMMAND_NOT_SUPPORTED), "it asks for something else than CONNECT");
    }
    match host {
        Some(host) => Step::Connect(4 + used + 2, Request { host, port: u16::from_be_bytes(*port), version: V5 }),
        None => Step::Refuse(reply_5(FAILURE), "it asks for a name that is none"),
    }
}

/// A host's name as it may go into an SSH message.
fn name(bytes: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(bytes).ok()?;
    (!name.is_empty() && !name.contains(|c: char| c.is_control() || c.is_whitespace())).then(|| name.to_owned())
}

impl Request {
    /// What is said when the channel is open.
    pub(super) fn granted(&self) -> Vec<u8> {
        if self.version == V4 { reply_4(V4_GRANTED) } else { reply_5(0) }
    }

    /// What is said when it is not.
    pub(super) fn refused(&self, failure: Failure) -> Vec<u8> {
        if self.version == V4 {
            return reply_4(V4_REJECTED);
        }
        reply_5(match failure {
            Failure::NotAllowed => NOT_ALLOWED,
            Failure::HostUnreachable => HOST_UNREACHABLE,
            Failure::Refused => REFUSED,
            Failure::Other => FAILURE,
        })
    }
}

/// The address in it is that of our end, which says nothing here.
fn reply_5(code: u8) -> Vec<u8> {
    vec![V5, code, 0, IPV4, 0, 0, 0, 0, 0, 0]
}

fn reply_4(code: u8) -> Vec<u8> {
    vec![0, code, 0, 0, 0, 0, 0, 0]
}

#[cfg(test)]
mod tests {
    use rand::RngExt as _;

    use super::*;

    fn to(host: &str, port: u16, version: u8) -> Request {
        Request { host: host.to_owned(), port, version }
    }

    /// The outcome, fed byte by byte: nothing may be understood too early.
    fn understood(bytes: &[u8], greeted: bool) -> Step {
        for end in 0..bytes.len() {
            match step(&bytes[..end], greeted) {
                Step::More => {}
                early => return early,
            }
        }
        step(bytes, greeted)
    }

    #[test]
    fn every_way_to_name_a_host() {
        let v4 = |address: [u8; 4], rest: &[u8]| [&[4, 1, 0x1f, 0x90][..], &address, rest].concat();
        for (bytes, greeted, host) in [
            (v4([10, 0, 0, 1], b"me\0"), false, "10.0.0.1"),
            (v4([0, 0, 0, 1], b"me\0db.internal\0"), false, "db.internal"),
            ([&[5, 1, 0, 1, 10, 0, 0, 1][..], &[0x1f, 0x90]].concat(), true, "10.0.0.1"),
            ([&[5, 1, 0, 3, 2][..], b"db", &[0x1f, 0x90]].concat(), true, "db"),
            ([&[5, 1, 0, 4][..], &[0; 15], &[1, 0x1f, 0x90]].concat(), true, "::1"),
        ] {
            let version = bytes[0];
            assert_eq!(understood(&bytes, greeted), Step::Connect(bytes.len(), to(host, 8080, version)), "{host}");
            let early_data = [&bytes[..], b"GET /"].concat();
            assert_eq!(step(&early_data, greeted), Step::Connect(bytes.len(), to(host, 8080, version)), "{host}");
        }
    }

    #[test]
    fn methods_are_answered_and_none_is_an_end() {
        assert_eq!(understood(&[5, 2, 2, 0], false), Step::Say(4, vec![5, 0]));
        assert_eq!(understood(&[5, 1, 2], false), Step::Refuse(vec![5, 0xff], "it wants to authenticate"));
        assert!(matches!(understood(&[5, 0], false), Step::Refuse(..)));
    }

    #[test]
    fn what_is_not_offered_has_its_own_reply() {
        let code = |step: Step| match step {
            Step::Refuse(reply, _) => reply.get(1).copied(),
            other => panic!("{other:?}"),
        };
        assert_eq!(code(understood(&[5, 2, 0, 1, 10, 0, 0, 1, 0, 80], true)), Some(COMMAND_NOT_SUPPORTED));
        assert_eq!(code(understood(&[5, 1, 0, 9, 0, 0], true)), Some(ADDRESS_NOT_SUPPORTED));
        assert_eq!(code(understood(&[4, 2, 0, 80, 10, 0, 0, 1, 0], false)), Some(V4_REJECTED));
        assert_eq!(code(understood(b"GET / HTTP/1.1\r\n", false)), None);
        assert_eq!(code(understood(&[5, 1, 0, 3, 1, b'\n', 0, 80], true)), Some(FAILURE));
        for (failure, code) in [(Failure::NotAllowed, NOT_ALLOWED), (Failure::Other, FAILURE)] {
            assert_eq!(to("db", 1, V5).refused(failure)[1], code);
            assert_eq!(to("db", 1, V4).refused(failure)[1], V4_REJECTED);
        }
        assert_eq!((to("db", 1, V4).granted()[1], to("db", 1, V5).granted()[1]), (V4_GRANTED, 0));
    }

    #[test]
    fn whatever_arrives_is_no_panic_and_ends_within_the_limit() {
        let mut rng = rand::rng();
        for _ in 0..20_000 {
            let mut bytes: Vec<u8> = (0..rng.random_range(0..64)).map(|_| rng.random()).collect();
            if let Some(first) = bytes.first_mut() {
                *first = if rng.random() { V4 } else { V5 };
            }
            for greeted in [0, 1] {
                crate::fuzz::socks(&[&[greeted], &bytes[..]].concat());
            }
        }
    }
}

//! What a forward is, as `ssh` writes it: `[BIND:]PORT:HOST:HOSTPORT`, a socket's path on either side, IPv6 addresses in brackets
//! (ssh(1), -L, -R and -D).

mod field;

use std::fmt;
use std::path::PathBuf;

use field::{Field, fields, host, listen_port, number, target_port, wrong};

/// What stands between a listener and its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forward {
    /// Where connections come in.
    pub listen: Listen,
    /// Where they go.
    pub target: Target,
}

/// A listener of the task, and what stands behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteForward {
    /// Where connections come in, there.
    pub listen: Listen,
    /// Where they go, from here.
    pub purpose: Purpose,
}

/// What a listener is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// One target.
    Fixed(Target),
    /// The targets that SOCKS clients name.
    Socks,
}

/// Where connections come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// A TCP port; 0 is chosen by whoever listens.
    Tcp {
        /// On which addresses.
        bind: Bind,
        /// The port.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// Addresses that are listened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Bind {
    /// None is named: loopback, unless `GatewayPorts` says otherwise.
    Unsaid,
    /// `*`, or nothing before a colon: every address.
    Every,
    /// This one.
    Address(String),
}

/// Where connections go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A TCP port; whoever connects resolves the name.
    Tcp {
        /// Name or address.
        host: String,
        /// From 1.
        port: u16,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// What is wrong with a forward, and with which part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpecError {
    /// The part, as it was written; the whole where something is missing.
    pub part: String,
    /// A predicate on the part.
    pub complaint: &'static str,
    /// What would do.
    pub hint: &'static str,
}

const FORWARD: &str =
    "a forward is [BIND:]PORT:HOST:HOSTPORT; either side can be the path of a socket, and IPv6 addresses have brackets";
const LISTEN: &str = "it is [BIND:]PORT, and IPv6 addresses have brackets";
const STDIO: &str = "it is HOST:PORT, and IPv6 addresses have brackets";

type Parsed<T> = Result<T, SpecError>;

impl Forward {
    /// Reads `-L`. The two sides may also be parted by white space, as in a configuration file of ssh's.
    ///
    /// # Errors
    /// [`SpecError`] naming the wrong part.
    pub fn parse(text: &str) -> Parsed<Self> {
        Self::of(text, &fields(text, true)?)
    }

    fn of(text: &str, fields: &[Field]) -> Parsed<Self> {
        let of_listener = match fields {
            [one] => return Err(wrong(&one.text, "has no target", FORWARD)),
            [_, path] if path.is_path => 1,
            [_, _] => return Err(wrong(text, "has a target without a host, or without a port", FORWARD)),
            [_, _, path] if path.is_path => 2,
            [_, _, _] => 1,
            [_, _, _, _] => 2,
            _ => return Err(wrong(text, "has too many parts", FORWARD)),
        };
        let (listen, target) = fields.split_at(of_listener);
        Ok(Self { listen: Listen::of(listen)?, target: Target::of(target)? })
    }
}

impl RemoteForward {
    /// Reads `-R`: what `-L` has, or a listener alone, which is for SOCKS.
    ///
    /// # Errors
    /// [`SpecError`] naming the wrong part.
    pub fn parse(text: &str) -> Parsed<Self> {
        let fields = fields(text, true)?;
        let is_listener = match &fields[..] {
            [one] => one.is_path || number(&one.text).is_some(),
            // An address of digits alone is a port whose target was cut short.
            [bind, port] => !bind.is_path && number(&bind.text).is_none() && number(&port.text).is_some(),
            _ => false,
        };
        if is_listener {
            return Ok(Self { listen: Listen::of(&fields)?, purpose: Purpose::Socks });
        }
        Forward::of(text, &fields).map(Self::from)
    }
}

impl From<Forward> for RemoteForward {
    fn from(Forward { listen, target }: Forward) -> Self {
        Self { listen, purpose: Purpose::Fixed(target) }
    }
}

impl Listen {
    /// Reads `-D`.
    ///
    /// # Errors
    /// [`SpecError`] naming the wrong part.
    pub fn parse(text: &str) -> Parsed<Self> {
        let fields = fields(text, false)?;
        match &fields[..] {
            [_] | [_, _] if fields.iter().any(|field| field.is_path) => {
                Err(wrong(text, "is the path of a socket", "a SOCKS listener has a port: [BIND:]PORT"))
            }
            [_] | [_, _] => Self::of(&fields),
            _ => Err(wrong(text, "has too many parts", LISTEN)),
        }
    }

    /// One field that is a port or a path, or two that are an address and a port.
    fn of(fields: &[Field]) -> Parsed<Self> {
        match fields {
            [path] if path.is_path => Ok(Self::Unix(path.path()?)),
            [port] => Ok(Self::Tcp { bind: Bind::Unsaid, port: listen_port(port)? }),
            [bind, port] => Ok(Self::Tcp { bind: Bind::of(bind)?, port: listen_port(port)? }),
            _ => Err(wrong("", "is no listener", LISTEN)),
        }
    }
}

impl Bind {
    fn of(field: &Field) -> Parsed<Self> {
        match &field.text[..] {
            "" | "*" => Ok(Self::Every),
            _ => Ok(Self::Address(host(field)?)),
        }
    }
}

impl Target {
    /// Reads `-W`.
    ///
    /// # Errors
    /// [`SpecError`] naming the wrong part.
    pub fn parse(text: &str) -> Parsed<Self> {
        let fields = fields(text, false)?;
        match &fields[..] {
            [path] if path.is_path => Self::of(&fields),
            [_, _] => Self::of(&fields),
            [one] => Err(wrong(&one.text, "has no port", STDIO)),
            _ => Err(wrong(text, "has too many parts", STDIO)),
        }
    }

    fn of(fields: &[Field]) -> Parsed<Self> {
        match fields {
            [path] => Ok(Self::Unix(path.path()?)),
            [name, port] => Ok(Self::Tcp { host: host(name)?, port: target_port(port)? }),
            _ => Err(wrong("", "is no target", FORWARD)),
        }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { bind: Bind::Unsaid, port } => write!(f, "port {port}"),
            Self::Tcp { bind: Bind::Every, port } => write!(f, "*:{port}"),
            Self::Tcp { bind: Bind::Address(address), port } => write!(f, "{}:{port}", bracketed(address)),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "{}:{port}", bracketed(host)),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(target) => target.fmt(f),
            Self::Socks => f.write_str("SOCKS"),
        }
    }
}

/// An address as it is written before a port.
#[must_use]
pub fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(bind: Bind, port: u16) -> Listen {
        Listen::Tcp { bind, port }
    }

    fn to(host: &str, port: u16) -> Target {
        Target::Tcp { host: host.to_owned(), port }
    }

    fn at(address: &str) -> Bind {
        Bind::Address(address.to_owned())
    }

    fn unix(path: &str) -> PathBuf {
        PathBuf::from(path)
    }

    #[test]
    fn every_form_that_ssh_has() {
        for (text, listen, target) in [
            ("5432:db:5432", tcp(Bind::Unsaid, 5432), to("db", 5432)),
            ("0:db.internal:1", tcp(Bind::Unsaid, 0), to("db.internal", 1)),
            ("127.0.0.2:80:10.0.0.1:81", tcp(at("127.0.0.2"), 80), to("10.0.0.1", 81)),
            ("*:80:db:81", tcp(Bind::Every, 80), to("db", 81)),
            (":80:db:81", tcp(Bind::Every, 80), to("db", 81)),
            ("localhost:80:db:81", tcp(at("localhost"), 80), to("db", 81)),
            ("[::1]:80:[2001:db8::7]:81", tcp(at("::1"), 80), to("2001:db8::7", 81)),
            ("[fe80::1%eth0]:80:db:81", tcp(at("fe80::1%eth0"), 80), to("db", 81)),
            ("80:/run/x.sock", tcp(Bind::Unsaid, 80), Target::Unix(unix("/run/x.sock"))),
            ("*:80:/run/x.sock", tcp(Bind::Every, 80), Target::Unix(unix("/run/x.sock"))),
            ("/tmp/a b/ä:db:81", Listen::Unix(unix("/tmp/a b/ä")), to("db", 81)),
            (r"/tmp/a\:b:/run/x y", Listen::Unix(unix("/tmp/a:b")), Target::Unix(unix("/run/x y"))),
            (r"/tmp/a\\b:/run/x", Listen::Unix(unix(r"/tmp/a\b")), Target::Unix(unix("/run/x"))),
            ("./s:/run/x", Listen::Unix(unix("./s")), Target::Unix(unix("/run/x"))),
            ("80 db:81", tcp(Bind::Unsaid, 80), to("db", 81)),
            ("[::1]:80   /run/x.sock", tcp(at("::1"), 80), Target::Unix(unix("/run/x.sock"))),
        ] {
            assert_eq!(Forward::parse(text), Ok(Forward { listen, target }), "{text}");
        }
        assert_eq!(
            Forward::parse("/tmp/two\nlines:db:81").map(|forward| forward.listen),
            Ok(Listen::Unix(unix("/tmp/two\nlines")))
        );
        assert_eq!(Listen::parse("1080"), Ok(tcp(Bind::Unsaid, 1080)));
        assert_eq!(Listen::parse("[::1]:1080"), Ok(tcp(at("::1"), 1080)));
        assert_eq!(Listen::parse("*:0"), Ok(tcp(Bind::Every, 0)));
        assert_eq!(Target::parse("db:22"), Ok(to("db", 22)));
        assert_eq!(Target::parse("[::1]:22"), Ok(to("::1", 22)));
        assert_eq!(Target::parse("/run/x.sock"), Ok(Target::Unix(unix("/run/x.sock"))));
    }

    #[test]
    fn a_listener_of_the_task_can_do_without_a_target() {
        let socks = |listen| Ok(RemoteForward { listen, purpose: Purpose::Socks });
        for (text, listen) in [
            ("1080", tcp(Bind::Unsaid, 1080)),
            ("0", tcp(Bind::Unsaid, 0)),
            ("*:1080", tcp(Bind::Every, 1080)),
            (":1080", tcp(Bind::Every, 1080)),
            ("localhost:1080", tcp(at("localhost"), 1080)),
            ("[::1]:1080", tcp(at("::1"), 1080)),
            ("/tmp/socks", Listen::Unix(unix("/tmp/socks"))),
        ] {
            assert_eq!(RemoteForward::parse(text), socks(listen), "{text}");
        }
        let fixed = |text: &str| Forward::parse(text).map(RemoteForward::from);
        for text in ["80:db:81", "80:/run/x", "/tmp/s:/run/x", "[::1]:80 db:81"] {
            assert!(fixed(text).is_ok() && RemoteForward::parse(text) == fixed(text), "{text}");
        }
        for text in ["", "db", "80:db", "80:81", "99999", "localhost:99999", "x:y:z", "a:b:1:2:3"] {
            assert!(RemoteForward::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_wrong_part_is_named() {
        for (text, part) in [
            ("5432", "5432"),
            ("", ""),
            ("99999:db:5432", "99999"),
            ("+80:db:5432", "+80"),
            ("80:db:0", "0"),
            ("80:db:http", "http"),
            ("80::81", ""),
            ("80:d b:81", "d"),
            ("80:[::1:81", "[::1:81"),
            ("80:[db]:81", "db"),
            ("80:[::1]x:81", "[::1]x:81"),
            ("80:db", "80:db"),
            ("80:2001:db8::7:81", "80:2001:db8::7:81"),
            ("/a:80:/b", "/a"),
        ] {
            assert_eq!(Forward::parse(text).expect_err(text).part, part, "{text}");
        }
        let long = format!("/{}", "x".repeat(103));
        assert_eq!(Forward::parse(&format!("{long}:db:1")).expect_err("too long").part, long);
        for text in ["", "/tmp/s", "a:b:c", "x", "70000"] {
            assert!(Listen::parse(text).is_err(), "{text}");
        }
        for text in ["", "db", "db:0", "a:1:2", "[::1]"] {
            assert!(Target::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for text in ["[::1]:80:[::2]:81", "*:0:db:5432", "/tmp/s:/run/x", "10.0.0.1:80:db:81"] {
            let forward = Forward::parse(text).expect(text);
            assert_eq!(format!("{}:{}", forward.listen, forward.target), text);
        }
    }
}

//! What is said before SSH where several links (RFC 1990's word: each is a TCP connection at the init, and so a session of Systems
//! Manager) may carry one SSH connection: the init's greeting, the client's request to join, and the init's word that it has joined.
//!
//! The greeting is a line before the identification string, as RFC 4253, section 4.2 allows a server, so a client that knows nothing of
//! links is served as ever. One that does answers with a request in the place of its own identification string. After the request
//! of link 0, everything in both directions is frames of the bundle; the init's identification string has been sent by then. To the
//! request of another link the init says [`JOINED`] first, or nothing.

use crate::limits;
use crate::secret_id::SecretId;

/// Names one SSH connection that several links carry.
pub type BundleId = SecretId;

/// What the greeting begins with; the number of links and CR LF follow.
const GREETING: &str = "fargate-login links=";
/// What a request begins with; the id, the link's number and CR LF follow.
const JOIN: &str = "join ";
/// The init's word to each link but the first that it carries frames from now on.
pub const JOINED: &str = "joined\r\n";
/// How lines end (RFC 4253, section 4.2).
const END: &str = "\r\n";

/// Longest line of these, in bytes: whoever sends more is something else.
pub const LINE_MAX: usize = 64;

/// The init's first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Links that may carry one connection: 2 to [`limits::LINKS_MAX`].
    pub links: u8,
}

/// The client's only line.
#[derive(Clone, Debug)]
pub struct JoinRequest {
    /// Which bundle.
    pub id: BundleId,
    /// Which of its links: 0 makes the bundle.
    pub number: u8,
}

impl Greeting {
    /// The line, with its end.
    #[must_use]
    pub fn encode(self) -> String {
        format!("{GREETING}{}{END}", self.links)
    }

    /// Reads what [`Greeting::encode`] wrote, less its end. `None` for every other line.
    #[must_use]
    pub fn decode(line: &str) -> Option<Self> {
        let links = number(line.strip_prefix(GREETING)?)?;
        (2..=limits::LINKS_MAX).contains(&links).then_some(Self { links })
    }

    /// Whether something that begins so may be a greeting yet.
    #[must_use]
    pub fn may_begin(said: &[u8]) -> bool {
        let length = said.len().min(GREETING.len());
        GREETING.as_bytes().starts_with(said.get(..length).unwrap_or_default())
    }
}

impl JoinRequest {
    /// The line, with its end.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{JOIN}{} {}{END}", self.id.encode(), self.number)
    }

    /// Reads what [`JoinRequest::encode`] wrote, less its end. `None` for every other line.
    #[must_use]
    pub fn decode(line: &str) -> Option<Self> {
        let (id, text) = line.strip_prefix(JOIN)?.split_once(' ')?;
        let number = number(text).filter(|number| *number < limits::LINKS_MAX)?;
        Some(Self { id: BundleId::decode(id)?, number })
    }

    /// Whether something that begins so may be a request yet.
    #[must_use]
    pub fn may_begin(said: &[u8]) -> bool {
        let length = said.len().min(JOIN.len());
        JOIN.as_bytes().starts_with(said.get(..length).unwrap_or_default())
    }
}

/// A number in its only spelling.
fn number(text: &str) -> Option<u8> {
    text.parse().ok().filter(|number: &u8| number.to_string() == text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn without_end(line: &str) -> &str {
        assert!(line.len() <= LINE_MAX, "{} bytes", line.len());
        line.strip_suffix(END).expect("an end")
    }

    #[test]
    fn what_is_written_is_read_back() {
        for links in 2..=limits::LINKS_MAX {
            let line = Greeting { links }.encode();
            assert_eq!(Greeting::decode(without_end(&line)), Some(Greeting { links }));
            assert!(!line.starts_with("SSH-") && Greeting::may_begin(line.as_bytes()));
        }
        for number in 0..limits::LINKS_MAX {
            let line = JoinRequest { id: BundleId::new(u128::MAX), number }.encode();
            let back = JoinRequest::decode(without_end(&line)).expect("own encoding");
            assert!(back.id.is(&BundleId::new(u128::MAX)) && back.number == number, "{back:?}");
            assert!(JoinRequest::may_begin(line.as_bytes()) && JoinRequest::may_begin(b"jo"));
        }
    }

    #[test]
    fn nothing_else_is_one() {
        for line in [
            "SSH-2.0-x",
            "fargate-login links=",
            "fargate-login links=1",
            "fargate-login links=17",
            "fargate-login links=04",
        ] {
            assert_eq!(Greeting::decode(line), None, "{line}");
        }
        let id = BundleId::new(7).encode();
        let requests = [
            "join 7 1".to_owned(),
            format!("join {id}"),
            format!("join {id} 16"),
            format!("join {id} +1"),
            format!("join {id} 1 "),
        ];
        for line in requests {
            assert!(JoinRequest::decode(&line).is_none(), "{line}");
        }
        assert!(!JoinRequest::may_begin(b"SSH-") && !Greeting::may_begin(b"SSH-"));
    }

    #[test]
    fn debug_hides_the_id() {
        let request = JoinRequest { id: BundleId::new(0xfeed), number: 3 };
        assert_eq!(format!("{request:?}"), "JoinRequest { id: SecretId(..), number: 3 }");
    }
}

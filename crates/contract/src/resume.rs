//! The resume id: what names a session that outlives its connection, and how it is asked for, the first time and again.

use subtle::ConstantTimeEq as _;

/// `env` request (RFC 4254, section 6.4) by which a client gives its session an id. It never reaches the session's environment.
pub const ID_VARIABLE: &str = "_FARGATE_LOGIN_RESUME_ID";

/// First word of the `subsystem` request (RFC 4254, section 6.5) that asks for a session back; a name of our own after RFC 4251,
/// section 6. The id and the client's position follow.
const SUBSYSTEM: &str = "resume@fargate-login";

/// Bytes in the first data message of a resumed channel: the init's own position.
pub const POSITION_BYTES: usize = 8;

/// 128 random bits that the client draws for one session. Worth nothing without the run's key, and never shown by `Debug`.
#[derive(Clone)]
pub struct ResumeId(u128);

/// Asks for a session back.
#[derive(Clone, Debug)]
pub struct ResumeRequest {
    /// Which one.
    pub id: ResumeId,
    /// Bytes of its output that have arrived so far: what follows is to be sent again.
    pub received: u64,
}

impl ResumeId {
    /// Takes bits that the caller drew from a cryptographic source of randomness.
    #[must_use]
    pub const fn new(bits: u128) -> Self {
        Self(bits)
    }

    /// The id as 32 hexadecimal digits.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{:032x}", self.0)
    }

    /// Reads what [`ResumeId::encode`] wrote. `None` when it is not exactly that.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        digits.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(Self)
    }

    /// Whether both are the same, in a time that does not tell how much of them is.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.to_be_bytes().ct_eq(&other.0.to_be_bytes()).into()
    }
}

impl std::fmt::Debug for ResumeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ResumeId(..)")
    }
}

impl ResumeRequest {
    /// The name of the `subsystem` request.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{SUBSYSTEM} {} {}", self.id.encode(), self.received)
    }

    /// Reads what [`ResumeRequest::encode`] wrote. `None` for every other subsystem.
    #[must_use]
    pub fn decode(name: &str) -> Option<Self> {
        let (id, received) = name.strip_prefix(SUBSYSTEM)?.strip_prefix(' ')?.split_once(' ')?;
        let digits = received.bytes().all(|byte| byte.is_ascii_digit());
        Some(Self { id: ResumeId::decode(id)?, received: digits.then(|| received.parse().ok()).flatten()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let id = ResumeId::new(0x0123_4567_89ab_cdef);
        assert!(ResumeId::decode(&id.encode()).expect("own encoding").is(&id));
        assert_eq!(id.encode().len(), 32, "leading zeros count");
        let back = ResumeRequest::decode(&ResumeRequest { id: id.clone(), received: u64::MAX }.encode());
        let back = back.expect("own encoding");
        assert!(back.id.is(&id) && back.received == u64::MAX, "{back:?}");
    }

    #[test]
    fn another_id_is_another() {
        for bit in 0..128 {
            assert!(!ResumeId::new(5).is(&ResumeId::new(5 ^ (1 << bit))), "{bit}");
        }
    }

    #[test]
    fn nothing_else_is_a_request() {
        let id = ResumeId::new(7).encode();
        for name in [
            "sftp".to_owned(),
            "resume@fargate-login".to_owned(),
            format!("resume@fargate-login {id}"),
            format!("resume@fargate-login {id} "),
            format!("resume@fargate-login {id} +1"),
            format!("resume@fargate-login {id} 18446744073709551616"),
            format!("resume@fargate-login {} 1", id.to_uppercase().replace('0', "A")),
            format!("resume@fargate-login {} 1", &id[1..]),
            format!("resume@fargate-login{id} 1"),
        ] {
            assert!(ResumeRequest::decode(&name).is_none(), "{name}");
        }
    }

    #[test]
    fn debug_hides_it() {
        let request = ResumeRequest { id: ResumeId::new(0xfeed), received: 3 };
        assert_eq!(format!("{request:?}"), "ResumeRequest { id: ResumeId(..), received: 3 }");
    }
}

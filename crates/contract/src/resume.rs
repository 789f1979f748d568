//! The resume id: what names a session that outlives its connection, and how it is asked for, the first time and again.

use crate::secret_id::SecretId;

/// `env` request (RFC 4254, section 6.4) by which a client gives its session an id. It never reaches the session's environment.
pub const ID_VARIABLE: &str = "_FARGATE_LOGIN_RESUME_ID";

/// First word of the `subsystem` request (RFC 4254, section 6.5) that asks for a session back; a name of our own after RFC 4251,
/// section 6. The id and the client's position follow.
const SUBSYSTEM: &str = "resume@fargate-login";

/// Bytes in the first data message of a resumed channel: the init's own position.
pub const POSITION_BYTES: usize = 8;

/// Names one session that its client may ask for again.
pub type ResumeId = SecretId;

/// Asks for a session back.
#[derive(Clone, Debug)]
pub struct ResumeRequest {
    /// Which one.
    pub id: ResumeId,
    /// Bytes of its output that have arrived so far: what follows is to be sent again.
    pub received: u64,
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
        let back = ResumeRequest::decode(&ResumeRequest { id: id.clone(), received: u64::MAX }.encode());
        let back = back.expect("own encoding");
        assert!(back.id.is(&id) && back.received == u64::MAX, "{back:?}");
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
        assert_eq!(format!("{request:?}"), "ResumeRequest { id: SecretId(..), received: 3 }");
    }
}

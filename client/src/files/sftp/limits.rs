//! How much may be asked of a server at once.

use bytes::{Buf as _, Bytes};

use super::reply::Malformed;

/// Content of one READ or WRITE that every server takes (OpenSSH's own default before `limits@openssh.com`).
const SAFE_LENGTH: u64 = 32 * 1024;
/// Most content that we put into one request: what OpenSSH's server announces, its message limit of 256 KiB less a header.
const MOST_LENGTH: u64 = 255 * 1024;
/// Files that may be open at a server that announces no limit.
const SAFE_HANDLES: u64 = 64;

/// How large requests may be, in bytes of content, and how many files open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) read: u32,
    pub(crate) write: u32,
    pub(crate) handles: u64,
}

/// [`MOST_LENGTH`], as requests have it.
pub(super) fn most_length() -> u32 {
    u32::try_from(MOST_LENGTH).unwrap_or(u32::MAX)
}

impl Default for Limits {
    fn default() -> Self {
        let safe = u32::try_from(SAFE_LENGTH).unwrap_or(u32::MAX);
        Self { read: safe, write: safe, handles: SAFE_HANDLES }
    }
}

impl Limits {
    /// As `limits@openssh.com` answers (OpenSSH, PROTOCOL, section 4.8): longest packet, read, write, and open handles; 0 is none.
    pub(super) fn announced(reply: &Bytes) -> Result<Self, Malformed> {
        let (mut rest, mut numbers) = (reply.clone(), [0; 4]);
        for number in &mut numbers {
            *number = rest.try_get_u64().map_err(|_| Malformed("limits are cut short"))?;
        }
        let [_packet, read, write, handles] = numbers;
        let length = |announced: u64| {
            let length = if announced == 0 { SAFE_LENGTH } else { announced.min(MOST_LENGTH) };
            u32::try_from(length).unwrap_or(u32::MAX)
        };
        Ok(Self { read: length(read), write: length(write), handles: if handles == 0 { u64::MAX } else { handles } })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_believed_up_to_what_openssh_announces() {
        let announced = |numbers: [u64; 4]| {
            Limits::announced(&numbers.iter().flat_map(|number| number.to_be_bytes()).collect::<Bytes>())
        };
        let openssh = announced([262_144, 261_120, 261_120, 1019]).expect("four numbers");
        assert_eq!(openssh, Limits { read: 261_120, write: 261_120, handles: 1019 });
        let greedy = announced([0, u64::MAX, 1000, 0]).expect("four numbers");
        assert_eq!(greedy, Limits { read: 261_120, write: 1000, handles: u64::MAX });
        assert!(Limits::announced(&Bytes::from_static(&[0; 31])).is_err());
    }
}

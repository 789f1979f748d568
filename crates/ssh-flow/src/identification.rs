//! Identification strings (RFC 4253, section 4.2): what ours announces, and how both are read as they pass.

use crate::settings::{INITIAL_CREDIT, LARGEST_CREDIT, SMALLEST_CREDIT};

/// Marks the credit in the comment of an identification string.
const ANNOUNCEMENT: &str = "flow=";

/// Bytes before which an identification string must have ended: a server may send other lines first, and russh takes 20 of
/// at most 255 bytes.
const SEARCHED: usize = 21 * 256;

/// The identification string that announces our credit, `SSH-2.0-<software> flow=<bytes>`, for `SshId::Standard`. The number is
/// what each channel starts with. Other implementations skip the comment.
#[must_use]
pub fn software_id(software: &str) -> String {
    format!("SSH-2.0-{software} {ANNOUNCEMENT}{INITIAL_CREDIT}")
}

/// How OpenSSH's identification strings begin.
pub const OPENSSH: &str = "SSH-2.0-OpenSSH_";

/// Whether a server with this identification string is known to lack every post-quantum key exchange that we have: OpenSSH before
/// 9.9, which brought mlkem768x25519-sha256 (its release notes).
#[must_use]
pub fn lacks_post_quantum(identification: &str) -> bool {
    let version = identification.strip_prefix(OPENSSH).and_then(|rest| rest.split_once('.'));
    let Some((major, rest)) = version else { return false };
    let minor: String = rest.chars().take_while(char::is_ascii_digit).collect();
    match (major.parse::<u32>(), minor.parse::<u32>()) {
        (Ok(major), Ok(minor)) => (major, minor) < (9, 9),
        _ => false,
    }
}

/// The credit that an identification string announces; `None` for everybody else's software and for numbers out of range.
pub(crate) fn announced_credit(identification: &str) -> Option<u64> {
    let (_, comment) = identification.split_once(' ')?;
    let number = comment.split(' ').find_map(|word| word.strip_prefix(ANNOUNCEMENT))?;
    number.parse().ok().filter(|credit| (SMALLEST_CREDIT..=LARGEST_CREDIT).contains(credit))
}

/// Finds the identification string at the start of one direction.
#[derive(Debug, Default)]
pub(crate) struct Search {
    line: Vec<u8>,
    seen: usize,
    over: bool,
}

impl Search {
    /// Whether the string was found, or is not looked for any more.
    pub(crate) const fn is_over(&self) -> bool {
        self.over
    }

    /// Looks at the next bytes of the direction; answers once, when they complete the identification string.
    pub(crate) fn observe(&mut self, bytes: &[u8]) -> Option<String> {
        if self.over {
            return None;
        }
        for byte in bytes {
            self.seen += 1;
            if *byte != b'\n' {
                self.line.push(*byte);
            } else if self.line.starts_with(b"SSH-") {
                self.over = true;
                let line = std::mem::take(&mut self.line);
                return Some(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned());
            } else {
                self.line.clear();
            }
            if self.seen >= SEARCHED {
                self.over = true;
                self.line = Vec::new();
                return None;
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_string_announces_what_a_channel_starts_with() {
        assert_eq!(announced_credit(&software_id("fargate-init_0.1.0")), Some(INITIAL_CREDIT));
    }

    #[test]
    fn only_openssh_before_9_9_is_known_to_lack_the_exchange() {
        for old in ["SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7", "SSH-2.0-OpenSSH_8.0", "SSH-2.0-OpenSSH_9.8p1"] {
            assert!(lacks_post_quantum(old), "{old}");
        }
        for able in
            ["SSH-2.0-OpenSSH_9.9p2", "SSH-2.0-OpenSSH_10.3", "SSH-2.0-fargate-init_0.1.0", "SSH-2.0-OpenSSH_x.y"]
        {
            assert!(!lacks_post_quantum(able), "{able}");
        }
    }

    #[test]
    fn only_a_number_in_range_in_the_comment_counts() {
        for foreign in [
            "SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u7",
            "SSH-2.0-flow=65536",
            "SSH-2.0-x flow=1",
            "SSH-2.0-x flow=-1",
            "SSH-2.0-x flow=99999999999",
            "SSH-2.0-x overflow=65536",
        ] {
            assert_eq!(announced_credit(foreign), None, "{foreign}");
        }
        assert_eq!(announced_credit("SSH-2.0-x other flow=8192 more"), Some(8192));
    }

    #[test]
    fn the_string_is_found_byte_by_byte_behind_a_banner_and_only_once() {
        let mut search = Search::default();
        let text = b"hello\r\nSSH-2.0-x flow=8192\r\nSSH-2.0-y\r\n";
        let found: Vec<String> = text.chunks(1).filter_map(|byte| search.observe(byte)).collect();
        assert_eq!(found, ["SSH-2.0-x flow=8192"]);
    }

    #[test]
    fn a_peer_that_never_identifies_itself_costs_no_memory() {
        let mut search = Search::default();
        assert_eq!(search.observe(&vec![b'x'; 2 * SEARCHED]), None);
        assert_eq!((search.over, search.line.capacity()), (true, 0));
    }
}

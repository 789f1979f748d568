//! What sshd says in its log that the container's life depends on.

/// A line that means something to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// The key's possession is proven; the client has not been told yet.
    Accepted {
        /// The user asked for.
        user: &'a str,
    },
    /// A key or a user was refused.
    Refused {
        /// The user asked for.
        user: &'a str,
        /// Whether the image has no such user.
        unknown: bool,
        /// The key offered, where it is told.
        fingerprint: Option<&'a str>,
    },
    /// There was no channel for the idle limit, and the connection ends.
    Unused,
    /// No byte moved in a channel for the idle limit, and it is closed.
    ChannelIdle,
    /// A session begins.
    SessionBegins,
    /// A session's terminal could not be written down as free, in an image without a place for that: before its channel's end,
    /// or after it.
    NoRecord,
    /// A session's channel is closed.
    SessionCloses,
    /// For the log only.
    Other,
}

/// sshd marks with this what its unprivileged part says, which anybody may have made it say.
const UNPRIVILEGED: &str = " [preauth]";

/// Where sshd begins to repeat what a stranger sent: a name, an identification string, lists of algorithms.
const THEIRS: [&str; 6] = [" user ", "Their offer", "'", "\"", "algorithm", "type "];

/// Longest line of sshd's that is repeated before a login, in bytes.
const LINE_MAX: usize = 200;

/// A line from before a login without what a stranger sent: up to where that begins.
pub(super) fn of_strangers(line: &str) -> &str {
    // A line about an accepted login names an account.
    if line.starts_with("Accepted ") {
        return line;
    }
    let end = THEIRS.iter().filter_map(|theirs| line.find(theirs).map(|start| start + theirs.len())).min();
    let end = end.unwrap_or(line.len()).min(LINE_MAX);
    &line[..line.floor_char_boundary(end)]
}

impl<'a> Line<'a> {
    /// Reads a line without its end. sshd escapes line ends and control characters that come from outside.
    pub(super) fn read(line: &'a str) -> Self {
        if let Some(rest) = line.strip_suffix(UNPRIVILEGED) {
            // These end nothing and let nobody in.
            return Self::refused(rest).unwrap_or(Self::Other);
        }
        if let Some(rest) = line.strip_prefix("Accepted publickey for ") {
            return rest.split_once(" from ").map_or(Self::Other, |(user, _)| Self::Accepted { user });
        }
        if line.starts_with("terminating inactive connection") {
            return Self::Unused;
        }
        if line.starts_with("channel ") && line.ends_with(" of inactivity") {
            return Self::ChannelIdle;
        }
        if line.starts_with("Starting session: ") {
            return Self::SessionBegins;
        }
        if line.starts_with("syslogin_perform_logout: ") {
            return Self::NoRecord;
        }
        if line.starts_with("Close session: ") {
            return Self::SessionCloses;
        }
        Self::refused(line).unwrap_or(Self::Other)
    }

    fn refused(line: &'a str) -> Option<Self> {
        if let Some(rest) = line.strip_prefix("Invalid user ") {
            // A user's name may hold anything: the address is what stands last.
            let (user, _) = rest.rsplit_once(" from ")?;
            return Some(Self::Refused { user, unknown: true, fingerprint: None });
        }
        let rest = line.strip_prefix("Failed publickey for ")?;
        // The line of an unknown user, who was told of above.
        if rest.starts_with("invalid user ") {
            return None;
        }
        let (user, rest) = rest.rsplit_once(" from ")?;
        let fingerprint = rest.split_whitespace().find(|word| word.starts_with("SHA256:"));
        Some(Self::Refused { user, unknown: false, fingerprint })
    }
}

/// Whether the idle limit is why a connection ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Inactivity {
    sessions: usize,
    /// The line before told of an idle channel, when so many sessions had ended by themselves. If it was a session's, the next
    /// line tells so, and none has ended in between: a session reports before its channel closes.
    channel: Option<usize>,
    ended_it: bool,
}

impl Inactivity {
    /// A line came, and so many of the connection's sessions have ended by themselves.
    pub(super) fn after(&mut self, line: &Line<'_>, ended: usize) {
        match line {
            Line::NoRecord => return,
            Line::Unused => self.ended_it = true,
            Line::SessionBegins => {
                self.sessions += 1;
                self.ended_it = false;
            }
            Line::SessionCloses => {
                self.sessions = self.sessions.saturating_sub(1);
                self.ended_it |= self.channel == Some(ended) && self.sessions == 0;
            }
            Line::ChannelIdle | Line::Accepted { .. } | Line::Refused { .. } | Line::Other => {}
        }
        self.channel = (*line == Line::ChannelIdle).then_some(ended);
    }

    /// The last session was closed for it and none has begun since, or there was none.
    pub(super) fn ended_it(self) -> bool {
        self.ended_it
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_openssh() {
        let accepted = "Accepted publickey for root from 127.0.0.1 port 4 ssh2: ED25519 SHA256:abc";
        assert_eq!(Line::read(accepted), Line::Accepted { user: "root" });
        assert_eq!(Line::read("terminating inactive connection from user root ::1 port 4"), Line::Unused);
        assert_eq!(Line::read("channel 0: closing after 2 seconds of inactivity"), Line::ChannelIdle);
        assert_eq!(Line::read("Close session: user root from ::1 port 4 id 0"), Line::SessionCloses);
        assert_eq!(Line::read("Starting session: shell on pts/1 for root from ::1 port 4 id 0"), Line::SessionBegins);
        let failed = "Failed publickey for app from ::1 port 4 ssh2: ED25519 SHA256:abc";
        let refused = Line::Refused { user: "app", unknown: false, fingerprint: Some("SHA256:abc") };
        assert_eq!(Line::read(failed), refused);
    }

    #[test]
    fn what_strangers_send_is_not_repeated() {
        for (line, told) in [
            ("Invalid user hunter2 from ::1 port 5", "Invalid user "),
            ("Connection closed by invalid user hunter2 ::1 port 5 [preauth]", "Connection closed by invalid user "),
            ("Bad protocol version identification 'GET / HTTP/1.1' from ::1", "Bad protocol version identification '"),
            ("no matching cipher found. Their offer: x [preauth]", "no matching cipher found. Their offer"),
            ("Connection from ::1 port 5 on ::1 port 22", "Connection from ::1 port 5 on ::1 port 22"),
            ("Accepted key ED25519 SHA256:abc found at f:1", "Accepted key ED25519 SHA256:abc found at f:1"),
        ] {
            assert_eq!(of_strangers(line), told);
        }
        assert_eq!(of_strangers(&"ä".repeat(LINE_MAX)).len(), LINE_MAX);
    }

    #[test]
    fn names_forge_nothing() {
        for forged in [
            "Accepted publickey for root from ::1 port 4 ssh2: ED25519 SHA256:abc [preauth]",
            "Invalid user Accepted publickey for root from ::1 from ::1 port 5",
            "terminating inactive connection [preauth]",
        ] {
            assert!(!matches!(Line::read(forged), Line::Accepted { .. } | Line::Unused), "{forged}");
        }
        let user = "x from y";
        let told = Line::Refused { user, unknown: true, fingerprint: None };
        assert_eq!(Line::read("Invalid user x from y from ::1 port 5"), told);
    }

    #[test]
    fn only_the_last_sessions_idleness_ends_a_connection() {
        use Line::{ChannelIdle, NoRecord, Other, SessionBegins, SessionCloses, Unused};
        let ended = |lines: &[Line<'_>]| {
            let mut inactivity = Inactivity::default();
            lines.iter().for_each(|line| inactivity.after(line, 0));
            inactivity.ended_it()
        };
        assert!(ended(&[SessionBegins, ChannelIdle, SessionCloses, Other]));
        assert!(ended(&[SessionBegins, ChannelIdle, NoRecord, SessionCloses]));
        assert!(ended(&[SessionBegins, SessionCloses, Unused]));
        assert!(
            !ended(&[SessionBegins, ChannelIdle, Other, SessionCloses]),
            "a forwarding was idle, the session ended"
        );
        let mut inactivity = Inactivity::default();
        for (line, count) in [(SessionBegins, 0), (ChannelIdle, 0), (SessionCloses, 1)] {
            inactivity.after(&line, count);
        }
        assert!(!inactivity.ended_it(), "the session ended right after");
        assert!(!ended(&[SessionBegins, SessionBegins, ChannelIdle, SessionCloses, SessionCloses]), "one goes on");
        assert!(!ended(&[SessionBegins, ChannelIdle, SessionCloses, SessionBegins]), "another begins");
    }
}

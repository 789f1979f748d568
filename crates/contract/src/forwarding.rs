//! What one login may have forwarded, and the words that the grant has for it.

/// What a login may forward (RFC 4254, section 7, and OpenSSH's PROTOCOL, section 2.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// In both directions, and the client's agent.
    All,
    /// Connections that the container makes for its client.
    Local,
    /// Connections that come to listeners in the container.
    Remote,
    /// Nothing.
    None,
}

impl Forwarding {
    const WORDS: [(Self, &str); 3] = [(Self::Local, "local"), (Self::Remote, "remote"), (Self::None, "none")];

    /// The word that the grant has for it; everything needs none.
    pub(crate) fn word(self) -> Option<&'static str> {
        Self::WORDS.iter().find(|(forwarding, _)| *forwarding == self).map(|(_, word)| *word)
    }

    /// Reads what [`Forwarding::word`] wrote.
    pub(crate) fn of_word(text: &str) -> Option<Self> {
        Self::WORDS.iter().find(|(_, word)| *word == text).map(|(forwarding, _)| *forwarding)
    }

    /// Whether the container connects to targets for its client.
    #[must_use]
    pub const fn allows_local(self) -> bool {
        matches!(self, Self::All | Self::Local)
    }

    /// Whether the container listens for its client.
    #[must_use]
    pub const fn allows_remote(self) -> bool {
        matches!(self, Self::All | Self::Remote)
    }

    /// Whether sessions may reach the client's agent.
    #[must_use]
    pub const fn allows_agent(self) -> bool {
        matches!(self, Self::All)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_allows_what_it_says() {
        for (forwarding, word) in Forwarding::WORDS {
            assert_eq!((forwarding.word(), Forwarding::of_word(word)), (Some(word), Some(forwarding)));
        }
        assert_eq!((Forwarding::All.word(), Forwarding::of_word("all")), (None, None));
        let allowed = |of: Forwarding| (of.allows_local(), of.allows_remote(), of.allows_agent());
        assert_eq!(allowed(Forwarding::All), (true, true, true));
        assert_eq!(allowed(Forwarding::Local), (true, false, false));
        assert_eq!(allowed(Forwarding::Remote), (false, true, false));
        assert_eq!(allowed(Forwarding::None), (false, false, false));
    }
}

//! What a stream-data message carries: the closed set of payload types, and the flags.

/// The payload type of a message (`clientmessage.go` of session-manager-plugin).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PayloadType {
    /// Of messages that are no stream data.
    None,
    /// Standard input to the agent, standard output from it; in port sessions the bytes of the connection.
    Output,
    /// An error text.
    Error,
    /// The terminal's size, as JSON.
    Size,
    HandshakeRequest,
    HandshakeResponse,
    HandshakeComplete,
    EncChallengeRequest,
    EncChallengeResponse,
    /// One of [`Flag`].
    Flag,
    /// Standard error from the agent.
    StdErr,
    /// The exit code of a command, as a line of text.
    ExitCode,
    /// One that is not known here, and so ignored.
    Other(u32),
}

const TYPES: [(PayloadType, u32); 12] = [
    (PayloadType::None, 0),
    (PayloadType::Output, 1),
    (PayloadType::Error, 2),
    (PayloadType::Size, 3),
    (PayloadType::HandshakeRequest, 5),
    (PayloadType::HandshakeResponse, 6),
    (PayloadType::HandshakeComplete, 7),
    (PayloadType::EncChallengeRequest, 8),
    (PayloadType::EncChallengeResponse, 9),
    (PayloadType::Flag, 10),
    (PayloadType::StdErr, 11),
    (PayloadType::ExitCode, 12),
];

impl From<u32> for PayloadType {
    fn from(value: u32) -> Self {
        TYPES.iter().find(|(_, known)| *known == value).map_or(Self::Other(value), |(kind, _)| *kind)
    }
}

impl From<PayloadType> for u32 {
    fn from(kind: PayloadType) -> Self {
        match kind {
            PayloadType::Other(value) => value,
            kind => TYPES.iter().find(|(known, _)| *known == kind).map_or(0, |(_, value)| *value),
        }
    }
}

/// A word between the client and the agent of a port session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flag {
    /// To the agent of one without multiplexing: the local connection is closed.
    DisconnectToPort,
    /// To the agent: the session is over.
    TerminateSession,
    /// From the agent: the port refuses the newest connection.
    ConnectToPortError,
}

impl Flag {
    /// The payload, one big-endian u32.
    pub(crate) fn encode(self) -> [u8; 4] {
        let value: u8 = match self {
            Self::DisconnectToPort => 1,
            Self::TerminateSession => 2,
            Self::ConnectToPortError => 3,
        };
        u32::from(value).to_be_bytes()
    }

    /// `None` for a payload that is no flag known here.
    pub(crate) fn decode(payload: &[u8]) -> Option<Self> {
        match u32::from_be_bytes(payload.try_into().ok()?) {
            1 => Some(Self::DisconnectToPort),
            2 => Some(Self::TerminateSession),
            3 => Some(Self::ConnectToPortError),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_type_and_every_type_one_number() {
        for value in 0..=300 {
            assert_eq!(u32::from(PayloadType::from(value)), value);
        }
        assert_eq!(PayloadType::from(4), PayloadType::Other(4));
        assert_eq!(PayloadType::from(12), PayloadType::ExitCode);
    }

    #[test]
    fn flags_are_big_endian_words() {
        for flag in [Flag::DisconnectToPort, Flag::TerminateSession, Flag::ConnectToPortError] {
            assert_eq!(Flag::decode(&flag.encode()), Some(flag));
        }
        assert_eq!(Flag::TerminateSession.encode(), [0, 0, 0, 2]);
        assert_eq!(Flag::decode(&[0, 0, 0, 9]), None);
        assert_eq!(Flag::decode(&[2]), None);
    }
}

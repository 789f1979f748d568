//! What the agents are like, all of them.

use std::time::Duration;

/// What the agents of containers and instances are like.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Agents {
    /// What they call themselves in a handshake: four numbers, of which clients make much.
    pub version: String,
    /// Whether they pause for a millisecond after each 1024 bytes, as the real ones do.
    pub pacing: bool,
    /// Whether they insist on a client that proves its key in the request to KMS, too.
    pub requires_challenge: bool,
    /// How long after its last word they take the handshake for complete: stream data that comes earlier is acknowledged and thrown away,
    /// which a client of the real ones must reckon with.
    pub completes_late: Duration,
    /// What they have to say to every user who shakes hands.
    pub customer_message: String,
    /// Whether they refuse loopback's addresses as hosts to go on to, as those of AWS have done since September 2026. A stand-in's
    /// other hosts are on loopback themselves, so they do not unless it is said.
    pub refuse_loopback: bool,
    /// Programs that containers lack, by the names they are started by: what is a process of this machine has all of its files.
    pub lacking: Vec<String>,
    /// Why those of containers stop instead of running; `None` where they run.
    pub stopped: Option<String>,
}

impl Default for Agents {
    fn default() -> Self {
        Self {
            version: "3.3.2299.0".to_owned(),
            pacing: true,
            requires_challenge: false,
            completes_late: Duration::ZERO,
            customer_message: String::new(),
            refuse_loopback: false,
            lacking: Vec::new(),
            stopped: None,
        }
    }
}

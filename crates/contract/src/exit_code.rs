//! Exit codes of a container that did not end with its last session, whose status it has otherwise. Those of the init's own rules are
//! above what programs use and below 126, where the shell's own codes begin.

/// The connection was lost, and nobody resumed the session within the reconnect grace.
pub const NOT_RESUMED: u8 = 121;
/// No byte moved for the idle limit.
pub const IDLE: u8 = 122;
/// The maximum lifetime is over.
pub const MAX_LIFETIME: u8 = 123;
/// Nobody logged in before the deadline.
pub const NO_LOGIN: u8 = 124;
/// A signal told the init to stop: 128 + SIGTERM, as everywhere.
pub const TOLD: u8 = 143;
/// From outside: out of memory, or told to stop and still there when the time for it was over. 128 + SIGKILL.
pub const KILLED: u8 = 137;

//! The numbers that both ends share, each with its reason.

use std::time::Duration;

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// russh's `window_size`, in bytes. It never binds before the credit does (it exceeds 2 [`CREDIT`] + 64 KiB), and russh
/// ends a connection when more than twice this much arrives, over all channels, between its own KEXINIT and the peer's.
/// Between our ends at most [`CREDIT_BUDGET`] + [`INITIAL_CREDIT`] per channel is in flight: 96 MiB at 1,024 channels.
/// It costs no memory: russh refills a window on receipt, whatever its size.
pub const WINDOW_SIZE: u32 = 64 * 1024 * 1024;

/// russh's `maximum_packet_size`, in bytes: what every implementation must take (RFC 4253, section 6.1). Larger ones
/// measured no faster.
pub const MAXIMUM_PACKET_SIZE: u32 = 32 * 1024;

/// russh's `channel_buffer_size`, in messages. The pump empties it at once; the rest is room for one scheduling delay.
pub const CHANNEL_BUFFER_SIZE: usize = 100;

/// Most credit that one channel's peer may hold, in bytes: 2 MiB keep 20 MB/s busy over 100 ms.
pub const CREDIT: u64 = 2 * MIB;

/// Credit that every channel starts with, in bytes; the number that the identification string announces. Credit beyond it
/// is granted as the reader takes bytes, so a thousand idle channels hold little.
pub const INITIAL_CREDIT: u64 = 64 * KIB;

/// Credit beyond [`INITIAL_CREDIT`] that one connection grants over all its channels, in bytes.
pub const CREDIT_BUDGET: u64 = 32 * MIB;

/// What one data message costs in credit besides its bytes: its place in the queue, its allocation and its SSH header. It
/// keeps a peer that sends single bytes from taking fifty times its credit in memory.
pub(crate) const MESSAGE_COST: u64 = 64;

/// Part of a channel's credit that is returned at once: small enough not to stall, large enough not to chatter.
pub(crate) const CREDIT_STEPS: u64 = 8;

/// Smallest announced credit that is believed: below it a packet would not fit.
pub(crate) const SMALLEST_CREDIT: u64 = 8 * KIB;

/// Most credit that a peer may pile up at us: beyond it the peer counts wrongly.
pub(crate) const LARGEST_CREDIT: u64 = GIB;

/// Messages other than data (window changes, signals ...) that may wait for a reader.
pub(crate) const WAITING_REQUESTS: usize = 1024;

/// Bytes of such messages that may wait for a reader: a command of the 128 KiB that an argument can have, and a full environment.
pub(crate) const WAITING_REQUESTS_BYTES: usize = 512 * 1024;

/// How much is read back from an overflow file at once, in bytes.
pub(crate) const OVERFLOW_READ: u64 = 64 * KIB;

/// What a connection allows itself. The default is right for both ends; tests make it small.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Most credit that one channel's peer may hold, in bytes.
    pub credit: u64,
    /// Credit beyond the announced one, over all channels, in bytes.
    pub credit_budget: u64,
    /// Bytes that may be unsent before channel data waits. 256 KiB keep a socket buffer fed.
    pub unsent: usize,
    /// Bytes that may be unsent before the connection is given up. Channel data waits long before; what comes on top are answers,
    /// to a peer that asks and does not listen.
    pub unsent_limit: usize,
    /// Bytes of one foreign channel that wait in memory; what exceeds them goes to the overflow file.
    pub memory: u64,
    /// Bytes of all foreign channels of the connection that wait in memory.
    pub memory_budget: u64,
    /// Bytes of one foreign channel that its overflow file takes before the channel is ended.
    pub overflow: u64,
    /// How long a shutdown may take to send what is unsent.
    pub shutdown: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            credit: CREDIT,
            credit_budget: CREDIT_BUDGET,
            unsent: 256 * 1024,
            unsent_limit: 4 * 1024 * 1024,
            memory: 4 * MIB,
            memory_budget: 32 * MIB,
            overflow: 8 * GIB,
            shutdown: Duration::from_secs(5),
        }
    }
}

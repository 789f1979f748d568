//! The numbers that both ends share, each with its reason.

use std::time::Duration;

use russh::Limits;

use crate::identification::{OPENSSH, announced_credit};

const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;
const GIB: u64 = 1024 * MIB;

/// russh's `window_size` between our own ends, in bytes. It never binds before the credit does (it exceeds 2 [`CREDIT`] + [`INITIAL_CREDIT`]), and russh
/// ends a connection when more than twice this much arrives, over all channels, between its own KEXINIT and the peer's.
/// Between our ends at most [`CREDIT_BUDGET`] + [`INITIAL_CREDIT`] per channel is in flight: 126 MiB at the 1,464 channels that
/// the init allows a connection.
/// It costs no memory: russh refills a window on receipt, whatever its size.
pub const WINDOW_SIZE: u32 = 64 * 1024 * 1024;

/// The same towards a foreign peer, in bytes. OpenSSH takes in as much input as the window has room for and moves all of it for each
/// packet that it sends, so a window that is not filled costs it more than it brings; twice OpenSSH's own, because russh opens it again
/// only when half of it is used.
const FOREIGN_WINDOW_SIZE: u32 = 4 * 1024 * 1024;

/// Bytes under one key towards a foreign peer. With [`FOREIGN_WINDOW_SIZE`] a few busy channels have more under way than russh takes
/// between its own KEXINIT and the peer's, so the peer is left to begin, where it is known to: OpenSSH does after 64 GiB at the latest
/// (1 GiB with chacha20-poly1305, 2^31 packets in any case; packet.c), Dropbear after 1 GiB.
const FOREIGN_REKEY: u64 = 1 << 40;

/// The same towards one that may never begin. chacha20-poly1305 must not see a packet number twice, of which there are 2^32, and no
/// message that may come without end is shorter than five bytes (RFC 4254, section 5.3: SSH_MSG_CHANNEL_EOF).
const UNKNOWN_REKEY: u64 = 1 << 34;

/// How the identification strings of those begin that exchange keys of their own accord.
const REKEYING: [&str; 2] = [OPENSSH, "SSH-2.0-dropbear_"];

/// Time under one key towards a foreign peer: longer than any container lives.
const FOREIGN_REKEY_TIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// russh's `window_size` for the peer with this identification string, in bytes.
#[must_use]
pub fn window_size(peer: Option<&str>) -> u32 {
    if is_own(peer) { WINDOW_SIZE } else { FOREIGN_WINDOW_SIZE }
}

/// russh's `limits` for the peer with this identification string.
#[must_use]
pub fn limits(peer: Option<&str>) -> Limits {
    if is_own(peer) {
        return Limits::default();
    }
    let bytes = if is_rekeying(peer) { FOREIGN_REKEY } else { UNKNOWN_REKEY };
    let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
    Limits { rekey_write_limit: bytes, rekey_read_limit: bytes, rekey_time_limit: FOREIGN_REKEY_TIME }
}

/// Whether a peer with this identification string is known to exchange keys of its own accord.
#[must_use]
pub fn is_rekeying(peer: Option<&str>) -> bool {
    peer.is_some_and(|peer| REKEYING.iter().any(|software| peer.starts_with(software)))
}

/// Whether the peer announces credit, as our own ends do.
#[must_use]
pub fn is_own(peer: Option<&str>) -> bool {
    peer.and_then(announced_credit).is_some()
}

/// russh's `maximum_packet_size`, in bytes: what every implementation must take (RFC 4253, section 6.1). Larger ones
/// measured no faster.
pub const MAXIMUM_PACKET_SIZE: u32 = 32 * 1024;

/// russh's `channel_buffer_size`, in messages. The pump empties it at once; the rest is room for one scheduling delay.
pub const CHANNEL_BUFFER_SIZE: usize = 100;

/// Most credit that one channel's peer may hold, in bytes: 4 MiB keep 40 MB/s busy over 100 ms. It is what Linux's send buffer grows to
/// by itself (`tcp_wmem`), so over a long line TCP is the limit of one channel, and not its credit; and twice OpenSSH's window.
pub const CREDIT: u64 = 4 * MIB;

/// Credit that every channel starts with, in bytes; the number that the identification string announces. Credit beyond it
/// is granted as the reader takes bytes, so a thousand idle channels hold little. Half of it takes a packet of [`MAXIMUM_PACKET_SIZE`] with its
/// surcharge, so that no packet is split for want of credit.
pub const INITIAL_CREDIT: u64 = 66 * KIB;

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

/// Packets of at most this many bytes do not wait behind larger ones: keystrokes, questions and short answers, a screen's worth. Eight of
/// them weigh as much as one packet of a stream, so a stream slows down by what it is sent beside it and no more.
pub(crate) const SMALL_PACKET: usize = 4 * KIB as usize;

/// Messages other than data (window changes, signals ...) that may wait for a reader.
pub(crate) const WAITING_REQUESTS: usize = 1024;

/// Bytes of such messages that may wait for a reader: a command of the 128 KiB that an argument can have, and a full environment.
pub(crate) const WAITING_REQUESTS_BYTES: usize = 512 * 1024;

/// Longest that a connection with a foreign peer waits for a reader before it turns to the overflow file: every channel waits meanwhile,
/// and none may for more than 100 ms.
const PATIENCE: Duration = Duration::from_millis(50);

/// What a KiB that arrives adds to it: a reader of 64 MB/s or more is waited for again and again, so the few MB that are under way
/// before another channel's next message are taken in 100 ms too.
pub(crate) const PATIENCE_PER_KIB: Duration = Duration::from_nanos(15_625);

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
    /// Longest that all channels may wait for the reader of a foreign one before its overflow file is used.
    pub patience: Duration,
    /// How long a shutdown may take to send what is unsent.
    pub shutdown: Duration,
    /// How long a shutdown then waits for the peer to close as well.
    pub farewell: Duration,
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
            patience: PATIENCE,
            shutdown: Duration::from_secs(5),
            farewell: Duration::from_secs(1),
        }
    }
}

//! SSH channels that cannot stall each other: what both ends need around russh 0.65.1 (see docs/ARCHITECTURE.md).
//!
//! * [`Link::wrap`] turns a transport into a [`LinkStream`], the byte stream given to russh: its writes never block its
//!   reads, and it reads both identification strings as they pass.
//! * [`split`] turns a russh channel into a [`ChannelSender`] and a [`ChannelReceiver`]. Their messages are always taken
//!   from russh at once; between our own ends, credit bounds what waits; from a foreign peer, a file takes the excess.
//! * [`Bundle`] carries one stream of bytes over several transports.
//! * [`Replay`] keeps what a peer of our own may have missed when a connection is lost.
//! * [`settings`] and [`preferred`] are the russh configuration that both ends share.
//!
//! A russh handler beside this crate leaves `data` and `extended_data` alone: everything comes through [`ChannelReceiver`].

mod algorithms;
mod allocator;
mod bundle;
mod channel;
mod credit;
mod finishing;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
mod identification;
mod inbox;
mod link;
mod overflow;
mod patience;
mod pump;
mod receiver;
mod replay;
mod restraint;
mod sender;
pub mod settings;
mod stream;
mod taken;

pub use algorithms::{post_quantum, preferred};
pub use allocator::keep_freed_memory;
pub use bundle::{BadFrame, Broken, Bundle, Joiner};
pub use channel::{FlowError, split, split_forward};
pub use identification::{OPENSSH, lacks_post_quantum, software_id};
pub use link::{Link, Usage};
pub use receiver::ChannelReceiver;
pub use replay::{OutOfReach, Replay};
pub use sender::ChannelSender;
pub use settings::{
    CHANNEL_BUFFER_SIZE, CREDIT, CREDIT_BUDGET, INITIAL_CREDIT, MAXIMUM_PACKET_SIZE, Tuning, WINDOW_SIZE, is_own,
    is_rekeying, limits, window_size,
};
pub use stream::LinkStream;

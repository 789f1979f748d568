//! Sessions of AWS Systems Manager without AWS's plugin: the data channel, and the terminals, commands and ports it carries.
//!
//! A [`Session`] is what AWS grants. [`shell::Shell::start`] and [`port::Ports::start`] open its data channel, on which messages are
//! numbered, acknowledged and resent, over one connection after another if need be. AWS is asked through [`channel::Services`].

pub(crate) mod address;
pub mod channel;
pub(crate) mod encryption;
pub mod error;
pub(crate) mod frame;
pub mod handshake;
pub(crate) mod incoming;
pub(crate) mod message;
mod of_aws;
pub(crate) mod outgoing;
pub(crate) mod payload;
pub mod port;
pub(crate) mod proxy;
pub mod session;
pub mod shell;
pub mod sign;
pub(crate) mod smux;
pub(crate) mod socket;
#[cfg(test)]
mod tests;
pub(crate) mod tls;

pub use channel::Services;
pub use error::SsmError;
pub use session::{DataKey, DataKeyRequest, DataKeys, Resume, Session, Token};

/// The version of session-manager-plugin whose manners these are. Since November 2025 AWS supports none below 1.2.764.0; the
/// agent goes by it too: from 1.1.70 it multiplexes ports, above 1.2.331.0 it keeps no multiplexed connection alive.
pub(crate) const CLIENT_VERSION: &str = "1.2.889.0";

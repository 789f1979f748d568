//! What `fargate-login` tells the container it starts, and the limits both sides keep to. Data only.
//!
//! * [`grant`]: the [`Grant`], who may log in and for how long; its encoding as environment variables and its decoding
//!   stand side by side.
//! * [`host_seed`]: the [`HostSeed`] from which a pinned, one-time host key is derived at both ends.
//! * [`limits`]: numbers of AWS and of our own, each with its reason.

#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod grant;
pub mod host_seed;
pub mod limits;

pub use grant::{Connections, Grant, GrantError, KeyExchange};
pub use host_seed::HostSeed;

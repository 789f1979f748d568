//! What `fargate-login` tells the container it starts, and the limits both sides keep to. Data only.
//!
//! * [`grant`]: the [`Grant`], who may log in and for how long; its encoding as environment variables and its decoding
//!   stand side by side.
//! * [`host_seed`]: the [`HostSeed`] from which a pinned, one-time host key is derived at both ends.
//! * [`resume`]: what names a session that outlives its connection.
//! * [`links`]: what is said before SSH where one connection is to be carried by several links.
//! * [`exit_code`]: how a container ends when none of its programs decides that.
//! * [`limits`]: numbers of AWS and of our own, each with its reason.

pub mod exit_code;
mod forwarding;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod grant;
pub mod host_seed;
pub mod limits;
pub mod links;
pub mod resume;
pub mod secret_id;

pub use forwarding::Forwarding;
pub use grant::{Connections, Grant, GrantError, KeyExchange};
pub use host_seed::HostSeed;
pub use links::{BundleId, Greeting, JoinRequest};
pub use resume::{ResumeId, ResumeRequest};

//! Named numbers: AWS's with where they come from, ours with why.

use std::time::Duration;

/// Characters that RunTask takes in `overrides`, JSON punctuation included (ECS API reference, RunTask).
pub const OVERRIDES_MAX_CHARS: usize = 8192;

/// Bytes of `overrides` that we allow ourselves: the service counts more than compact JSON has (7,680 were refused once).
pub const OVERRIDES_BUDGET_BYTES: usize = 7 * 1024;

/// Longest `startedBy` that every release of the API has taken.
pub const STARTED_BY_MAX_CHARS: usize = 36;

/// Longest ARN that STS names a caller by, in characters (STS API reference, GetCallerIdentity).
pub const CALLER_MAX_CHARS: usize = 2048;

/// The port the init listens on when the grant names none: SSH's own.
pub const DEFAULT_PORT: u16 = 22;

/// How long the init waits for the first login before it ends: a cold pull plus a second factor fit in it.
pub const LOGIN_TIMEOUT: Duration = Duration::from_secs(5 * 60);

/// How long a container lives at most: a working day with its meetings.
pub const MAX_LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// How long a session with a terminal waits for its client after the connection was lost: a change of network, a short sleep.
pub const RECONNECT_GRACE: Duration = Duration::from_secs(60);

/// Time one connection has to authenticate in, so that a scanner cannot hold a place.
pub const LOGIN_GRACE: Duration = Duration::from_secs(20);

/// Connections that may be unauthenticated at once; OpenSSH's `MaxStartups` starts refusing at the same number.
pub const MAX_STARTUPS: usize = 10;

/// Links that may carry one SSH connection: what they hold in memory together stays far below what the connection may.
pub const LINKS_MAX: u8 = 16;

/// Time between SIGTERM and the end of `serve`: inside the 30 s that ECS grants before SIGKILL, with room for the log.
pub const TERM_GRACE: Duration = Duration::from_secs(5);

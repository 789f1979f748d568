//! What forwards through a target that runs already can be told.

use crate::aws::config::Source;
use crate::forward::Forwards;
use crate::forward::announce::Format;

/// Forwards through sessions of Systems Manager: no task is run, and nobody logs in.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct TunnelOptions {
    /// What they go through.
    pub through: Through,
    /// What is forwarded: local listeners to TCP targets alone.
    pub forwards: Forwards,
    /// What they are held for.
    pub purpose: TunnelPurpose,
    /// Show what would be asked for, start nothing.
    pub dry_run: bool,
    /// What is said about AWS.
    pub source: Source,
    /// No talk of our own but errors.
    pub quiet: bool,
    /// How much to say: 0 is the default.
    pub verbose: u8,
}

/// What connects for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Through {
    /// One container or instance, by Systems Manager's name: `ecs:CLUSTER_TASK_RUNTIMEID`, `i-...` or `mi-...`.
    Target(String),
    /// Whichever task of a service runs.
    Service {
        /// Its name.
        service: String,
        /// Name or ARN of its cluster.
        cluster: String,
        /// The container; `None` is any whose agent runs.
        container: Option<String>,
    },
}

/// What forwards are held for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TunnelPurpose {
    /// Whoever connects, until a signal.
    Hold(Format),
    /// A program of this machine and its arguments.
    Child(Vec<String>),
}

//! What `services`, `tasks` and `describe` can be told.

use super::Clusters;
use crate::aws::config::Source;
pub use crate::aws::list_tasks::TaskFilter;

/// What somebody wants to know who chooses a target.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListingOptions {
    /// About what.
    pub subject: Subject,
    /// As JSON instead of text.
    pub json: bool,
    /// Where to look.
    pub clusters: Clusters,
    /// What is said about AWS.
    pub source: Source,
    /// No talk of our own but errors.
    pub quiet: bool,
    /// How much to say: 0 is the default.
    pub verbose: u8,
}

/// What a listing is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Services.
    Services,
    /// Tasks, whoever has launched them.
    Tasks(TaskFilter),
    /// One task in full: an id, the beginning of one, or an ARN.
    Task(String),
}

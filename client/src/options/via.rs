//! How connections reach the task.

/// What `--via` says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Via {
    /// Directly where the task can be reached from here, else through Systems Manager.
    #[default]
    Auto,
    /// From here to an address of the task's.
    Direct,
    /// Through sessions of Systems Manager, to the agent that ECS puts beside the container.
    Ssm,
}

impl Via {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Direct => "direct",
            Self::Ssm => "ssm",
        }
    }
}

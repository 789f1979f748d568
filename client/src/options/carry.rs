//! Files that go along with a run: into the task before its errand, out of it afterwards.

use crate::files::CopyRequest;

/// What is carried, each in the order of the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Into the task, before the errand begins; one that fails ends the run.
    pub put: Vec<CopyRequest>,
    /// Out of the task, when the errand has ended.
    pub get: Vec<CopyRequest>,
    /// When the latter.
    pub get_when: GetWhen,
}

/// When files are taken out of the task.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GetWhen {
    /// When the errand's exit status is 0.
    #[default]
    Success,
    /// Whatever it is, as long as there is a connection.
    Always,
}

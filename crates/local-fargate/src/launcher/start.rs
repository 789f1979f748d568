//! What a container is started from, why it is not, and how it ends.

use crate::definition::ContainerDefinition;

use super::Log;

/// What a container is started from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    pub(crate) task_id: String,
    pub(crate) runtime_id: String,
    pub(crate) address: String,
    pub(crate) has_role: bool,
    /// Exit code of the program that replaces the image's.
    pub(crate) exit_early: Option<u8>,
    pub(crate) definition: ContainerDefinition,
    /// The definition's variables, its secrets and the override's variables; later ones win. For nobody's eyes.
    pub(crate) environment: Environment,
    /// The override's command, else the definition's; none is the image's.
    pub(crate) command: Option<Vec<String>>,
    /// Limits of the task: CPU units and MiB.
    pub(crate) task_cpu: u32,
    pub(crate) task_memory: u32,
    /// Limits of the container, where there are any.
    pub(crate) cpu: Option<u32>,
    pub(crate) memory: Option<u32>,
    pub(crate) log: Log,
}

/// Environment variables in order.
#[derive(Clone, Default)]
pub(crate) struct Environment(pub(crate) Vec<(String, String)>);

impl std::fmt::Debug for Environment {
    /// The names only.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exit {
    /// 128 and the signal's number, if one killed it.
    pub(crate) code: i32,
    /// `reason`, where the code does not say it all.
    pub(crate) reason: Option<String>,
}

/// Why a task does not start, and the container whose fault it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) reason: String,
    pub(crate) container: Option<String>,
}

impl Start {
    /// A runtime that refuses to start the container.
    pub(crate) fn failed(&self, error: &dyn std::fmt::Display) -> Failure {
        Failure {
            reason: format!(
                "CannotStartContainerError: ResourceInitializationError: failed to create new container runtime task: {error}"
            ),
            container: Some(self.definition.name.clone()),
        }
    }
}

impl Failure {
    /// Of the task, not of one container.
    pub(crate) fn of_task(reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), container: None }
    }

    pub(crate) fn no_such_image(image: &str) -> Self {
        Self::of_task(format!(
            "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to resolve ref {image}: {image}: not found"
        ))
    }

    /// The same, said of a container.
    pub(crate) fn on(self, container: &str) -> Self {
        Self { container: Some(container.to_owned()), ..self }
    }
}

//! Why forwards through Systems Manager do not stand.

use crate::aws::ServiceError;
use crate::error::Advice;
use crate::listing::tasks::NoService;
use crate::ssm::SsmError;

/// Why there is no session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ViaError {
    /// AWS refuses.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The session does not start.
    #[error("the session to {target} did not start: {cause}")]
    Session {
        /// Systems Manager's name of the target.
        target: String,
        /// Why not.
        cause: SsmError,
    },
    /// The cluster has no such service.
    #[error(transparent)]
    NoService(#[from] NoService),
    /// No task of the service can be gone through.
    #[error("no task of service `{service}` can be gone through: {why}")]
    NoTask {
        /// Its name.
        service: String,
        /// What each lacks.
        why: Lack,
    },
    /// A signal ended the run before.
    #[error("stopped before the session stood")]
    Stopped,
}

/// What all tasks of a service lack.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// There is none.
    #[error("none is RUNNING")]
    Running,
    /// They were launched without `enableExecuteCommand`.
    #[error("ECS Exec is not enabled for those that run")]
    Exec,
    /// They have no such container.
    #[error("none has a container `{wanted}`; there are {}", .known.join(", "))]
    Container {
        /// As it was named.
        wanted: String,
        /// What they have.
        known: Vec<String>,
    },
    /// No agent takes sessions.
    #[error("the ExecuteCommandAgent of none is RUNNING ({status})")]
    Agent {
        /// How one of them stands, with ECS's reason where it has one.
        status: String,
    },
}

impl ViaError {
    /// Whether the same may succeed a moment later, as when a deployment replaces tasks.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Service(error) => error.is_transient() || error.is_not_connected(),
            Self::Session { cause, .. } => {
                matches!(cause, SsmError::Unreachable { .. } | SsmError::Lost { .. } | SsmError::Silent { .. })
            }
            Self::NoTask { why, .. } => matches!(why, Lack::Running | Lack::Agent { .. }),
            Self::NoService(_) | Self::Stopped => false,
        }
    }
}

impl Advice for ViaError {
    fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Service(error) => return error.hints(),
            Self::Session { cause, .. } => return cause.hints(),
            Self::NoService(error) => return error.hints(),
            Self::NoTask { service, why } => why.hint(service),
            Self::Stopped => return Vec::new(),
        };
        vec![hint]
    }
}

impl Lack {
    fn hint(&self, service: &str) -> String {
        match self {
            Self::Running => {
                format!("`fargate-login tasks --service {service}` shows them; `--stopped` those that have ended")
            }
            Self::Exec => format!(
                "`aws ecs update-service --service {service} --enable-execute-command --force-new-deployment` enables it for new tasks"
            ),
            Self::Container { .. } => "name another with `--container`, or none for any whose agent runs".to_owned(),
            Self::Agent { .. } => {
                "the task role needs the four `ssmmessages:` rights, and the task a way to ssmmessages: a NAT gateway or an interface endpoint"
                    .to_owned()
            }
        }
    }
}

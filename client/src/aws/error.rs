//! What AWS answered instead of a result: operation, code, message and request id, with advice per code.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId as _;

use crate::error::Advice;

use super::advice;

/// A call that failed, in AWS's own words. Holds no request and no raw body: those may carry the override's values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceError {
    /// IAM's name of the action, such as `ecs:RunTask`.
    pub action: &'static str,
    /// What went wrong.
    pub fault: Fault,
}

/// The ways a call fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The service refused.
    Refused {
        /// AWS error code, such as `ClusterNotFoundException`.
        code: String,
        /// The service's message.
        message: String,
        /// For AWS support and CloudTrail.
        request_id: Option<String>,
    },
    /// No answer in time.
    Timeout,
    /// The request could not be made or sent, or its answer not be read.
    Unreachable(String),
}

impl ServiceError {
    /// Keeps of an SDK error what a user may see.
    pub fn new<E, R>(action: &'static str, error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
        R: std::fmt::Debug,
    {
        let fault = match error {
            SdkError::ServiceError(context) => {
                let meta = context.err().meta();
                Fault::Refused {
                    code: meta.code().unwrap_or("UnknownError").to_owned(),
                    message: meta.message().unwrap_or("no message").to_owned(),
                    request_id: meta.request_id().map(str::to_owned),
                }
            }
            SdkError::TimeoutError(_) => Fault::Timeout,
            SdkError::ResponseError(_) => Fault::Unreachable("its answer could not be read".to_owned()),
            other => Fault::Unreachable(innermost(other)),
        };
        Self { action, fault }
    }

    /// An answer that lacks what it is asked for, though the service calls it a success.
    #[must_use]
    pub fn without(action: &'static str, member: &str) -> Self {
        Self { action, fault: Fault::Unreachable(format!("its answer lacks {member}")) }
    }

    /// The service's error code, when the service spoke.
    #[must_use]
    pub fn code(&self) -> Option<&str> {
        match &self.fault {
            Fault::Refused { code, .. } => Some(code),
            _ => None,
        }
    }

    /// The service's message, empty when it did not speak.
    #[must_use]
    pub fn message(&self) -> &str {
        match &self.fault {
            Fault::Refused { message, .. } => message,
            _ => "",
        }
    }

    /// Whether the agent of a session's target is not there, as ECS and Systems Manager say it (their API references, ExecuteCommand
    /// and StartSession).
    #[must_use]
    pub fn is_not_connected(&self) -> bool {
        matches!(self.code(), Some("TargetNotConnected" | "TargetNotConnectedException"))
    }

    /// Whether the same call may well succeed later: throttling, faults of the service, the network.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match &self.fault {
            Fault::Timeout | Fault::Unreachable(_) => true,
            Fault::Refused { code, message, .. } => {
                const CODES: [&str; 10] = [
                    "Throttling",
                    "ThrottlingException",
                    "RequestLimitExceeded",
                    "TooManyRequestsException",
                    "ServerException",
                    "InternalError",
                    "InternalFailure",
                    "ServiceUnavailable",
                    "ServiceUnavailableException",
                    "Unavailable",
                ];
                // ECS wraps EC2's throttling into InvalidParameterException, which the SDK does not retry.
                CODES.contains(&code.as_str()) || message.contains("ErrorCode: RequestLimitExceeded")
            }
        }
    }
}

/// The last cause of a chain is the one that says something ("connection refused").
fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

impl std::fmt::Display for ServiceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.fault {
            Fault::Refused { code, message, request_id } => {
                write!(f, "{} failed: {code}: {}", self.action, message.trim_end_matches('.'))?;
                match request_id {
                    Some(id) => write!(f, " (request id {id})"),
                    None => Ok(()),
                }
            }
            Fault::Timeout => write!(f, "{} got no answer in time", self.action),
            Fault::Unreachable(cause) => write!(f, "{} failed: {cause}", self.action),
        }
    }
}

impl std::error::Error for ServiceError {}

impl Advice for ServiceError {
    fn hints(&self) -> Vec<String> {
        match &self.fault {
            Fault::Refused { code, message, .. } => advice::for_refusal(self.action, code, message),
            Fault::Timeout | Fault::Unreachable(_) => {
                vec!["check the network, `--region` and `--endpoint-url`".to_owned()]
            }
        }
    }
}

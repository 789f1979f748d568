//! Errors as AWS words them, before a protocol dresses them.

/// Code, message and HTTP status of a refused call.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct ApiError {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) status: u16,
    /// `resourceIds` of a conflict.
    pub(crate) resources: Vec<String>,
}

impl ApiError {
    pub(crate) fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), status: 400, resources: Vec::new() }
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new("InvalidParameterException", message)
    }

    pub(crate) fn client(message: impl Into<String>) -> Self {
        Self::new("ClientException", message)
    }

    pub(crate) fn cluster_not_found() -> Self {
        Self::new("ClusterNotFoundException", "Cluster not found.")
    }

    pub(crate) fn conflict(message: &str, resources: &[String]) -> Self {
        Self { resources: resources.to_vec(), ..Self::new("ConflictException", message) }
    }

    /// The service's own trouble, in its own words.
    pub(crate) fn server(service: &str) -> Self {
        let code = match service {
            "ecs" => "ServerException",
            "ec2" => "InternalError",
            "logs" => "ServiceUnavailableException",
            "ssm" => "InternalServerError",
            "kms" => "KMSInternalException",
            _ => "InternalFailure",
        };
        Self { status: 500, ..Self::new(code, "Service Unavailable. Please try again later.") }
    }

    /// Too many calls, in the service's own words.
    pub(crate) fn throttled(service: &str) -> Self {
        match service {
            "ec2" => Self { status: 503, ..Self::new("RequestLimitExceeded", "Request limit exceeded.") },
            "sts" => Self::new("Throttling", "Rate exceeded"),
            _ => Self::new("ThrottlingException", "Rate exceeded"),
        }
    }

    /// The refusal of credentials that have expired, in the service's own words.
    pub(crate) fn expired(service: &str) -> Self {
        let message = "The security token included in the request is expired";
        match service {
            "ec2" => Self::new("RequestExpired", "Request has expired."),
            "sts" => Self { status: 403, ..Self::new("ExpiredToken", message) },
            _ => Self::new("ExpiredTokenException", message),
        }
    }

    /// The refusal of a caller who may not use a session document (as quoted in basti-app/basti, pull request 74).
    pub(crate) fn document_denied(region: &str, name: &str) -> Self {
        let message = format!(
            "User: arn:aws:iam::{}:user/local is not authorized to perform: ssm:StartSession on resource: \
             arn:aws:ssm:{region}::document/{name} because no identity-based policy allows the ssm:StartSession action",
            crate::ACCOUNT
        );
        Self::new("AccessDeniedException", message)
    }

    /// The refusal of a caller without the permission, in the service's own words.
    pub(crate) fn denied(service: &str, action: &str) -> Self {
        let message = format!(
            "User: arn:aws:iam::{}:user/local is not authorized to perform: {service}:{action} on resource: *",
            crate::ACCOUNT
        );
        match service {
            "ec2" => Self { status: 403, ..Self::new("UnauthorizedOperation", message) },
            "sts" => Self { status: 403, ..Self::new("AccessDenied", message) },
            _ => Self::new("AccessDeniedException", message),
        }
    }
}

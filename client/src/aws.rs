//! AWS as the client calls it: one configuration, one operation to a file, one form of error.

pub mod advice;
pub mod authorize_security_group_ingress;
#[cfg(test)]
pub(crate) mod canned;
pub mod config;
pub mod deregister_task_definition;
pub mod describe_network_interfaces;
pub mod describe_security_group_rules;
pub mod describe_services;
pub mod describe_subnets;
pub mod describe_task_definition;
pub mod describe_tasks;
pub mod error;
pub mod execute_command;
pub mod generate_data_key;
pub mod get_caller_identity;
pub mod get_log_events;
pub mod list_clusters;
pub mod list_runs;
pub mod list_services;
pub mod list_task_definitions;
pub mod list_tasks;
pub mod register_task_definition;
pub mod resume_session;
pub mod revoke_security_group_ingress;
pub mod run_task;
pub mod start_session;
pub mod stop_task;
pub mod terminate_session;
mod verbatim;

pub use error::ServiceError;

use aws_config::SdkConfig;

use crate::ssm::sign::Signer;

/// The services, configured alike. Building one makes no call.
#[derive(Clone, Debug)]
pub struct Aws {
    /// Amazon ECS.
    pub ecs: aws_sdk_ecs::Client,
    /// Amazon EC2, for what ECS does not tell: the public address; and for rules of security groups.
    pub ec2: aws_sdk_ec2::Client,
    /// AWS STS, for who is calling.
    pub sts: aws_sdk_sts::Client,
    /// AWS Systems Manager, for sessions to containers.
    pub ssm: aws_sdk_ssm::Client,
    /// AWS KMS, for the keys of encrypted sessions.
    pub kms: aws_sdk_kms::Client,
    /// CloudWatch Logs, for the host key that a container announces there.
    pub logs: aws_sdk_cloudwatchlogs::Client,
    /// Signs the requests that open data channels; `None` without credentials.
    pub signer: Option<Signer>,
    /// The region of every call, unless the call says otherwise.
    pub region: String,
}

impl Aws {
    /// Clients of every service from one configuration.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Self {
        Self {
            ecs: aws_sdk_ecs::Client::new(config),
            ec2: aws_sdk_ec2::Client::new(config),
            sts: aws_sdk_sts::Client::new(config),
            ssm: aws_sdk_ssm::Client::new(config),
            kms: aws_sdk_kms::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            signer: Signer::new(config),
            region: config.region().map(ToString::to_string).unwrap_or_default(),
        }
    }
}

/// The part of an ARN that people read.
pub(crate) fn last_part(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or(arn)
}

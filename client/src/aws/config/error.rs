//! Why there is no AWS configuration, and the way out.

use std::path::PathBuf;

use super::terminal::CodeError;
use crate::aws::ServiceError;
use crate::aws::error::Fault;
use crate::error::Advice;

/// How many profiles a hint names before it grows unreadable.
const SHOWN_PROFILES: usize = 8;

/// Why there is no configuration.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A configuration file cannot be read or parsed.
    #[error("the AWS configuration files cannot be read: {cause}")]
    Files {
        /// The parser's or the system's words.
        cause: String,
    },
    /// A flag or a variable names a profile that neither file has.
    #[error("there is no AWS profile `{name}`")]
    UnknownProfile {
        /// The name that was asked for.
        name: String,
        /// The profiles that there are, the most similar first.
        known: Vec<String>,
        /// Where was looked.
        files: Vec<PathBuf>,
    },
    /// A profile contradicts itself or another.
    #[error("the AWS profile `{profile}` {fault}")]
    Profile {
        /// The profile at fault, which may be a source of the one that was asked for.
        profile: String,
        /// What is wrong with it.
        fault: ProfileFault,
    },
    /// No flag, variable or profile names a region.
    #[error("no AWS region is set")]
    NoRegion {
        /// The profile that was looked at.
        profile: String,
    },
    /// A role wants an MFA code and there is none.
    #[error("no MFA code for {serial}: {error}")]
    NoCode {
        /// The profile that names the device.
        profile: String,
        /// Serial number or ARN of the device.
        serial: String,
        /// Why there is none.
        error: CodeError,
    },
    /// The role of a profile was refused.
    #[error("the role of the AWS profile `{profile}` cannot be assumed: {error}")]
    AssumeRole {
        /// The profile that names the role, or that led to it.
        profile: String,
        /// STS's answer.
        error: ServiceError,
    },
    /// No source of credentials has any.
    #[error("there are no AWS credentials: {cause}")]
    NoCredentials {
        /// The profile that was asked for, if one was.
        profile: Option<String>,
        /// The last source's words.
        cause: String,
        /// How to get them, where the profile tells.
        sign_in: Option<String>,
    },
    /// The stand-in lives on this machine or nowhere.
    #[error("`{endpoint_url}` is not an `http://` address of the loopback interface")]
    NotLoopback {
        /// What was given.
        endpoint_url: String,
    },
}

/// What is wrong with a profile.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProfileFault {
    /// Two sources of credentials for one role.
    #[error("has both `source_profile` and `credential_source`")]
    TwoSources,
    /// A role that nobody can assume.
    #[error("has `role_arn` but neither `source_profile` nor `credential_source`")]
    NeitherSource,
    /// Its source does not exist.
    #[error("has the `source_profile` `{0}`, which does not exist")]
    NoSource(String),
    /// Its source is not one that AWS defines.
    #[error("has the `credential_source` `{0}`, which is none of Environment, EcsContainer and Ec2InstanceMetadata")]
    UnknownCredentialSource(String),
    /// Its sources lead back to it.
    #[error("has a `source_profile` that leads in a circle")]
    Loop,
    /// One key of two.
    #[error("has only one of `aws_access_key_id` and `aws_secret_access_key`")]
    HalfKeys,
    /// The duration is not a number of seconds.
    #[error("has `duration_seconds = {0}`, which is not a number of seconds")]
    Duration(String),
}

impl Advice for ConfigError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Files { .. } => {
                vec!["`AWS_CONFIG_FILE` and `AWS_SHARED_CREDENTIALS_FILE` name other files".to_owned()]
            }
            Self::UnknownProfile { known, files, .. } => vec![profiles_found(known, files)],
            Self::Profile { profile, .. } => {
                vec![format!("correct `[profile {profile}]` in the AWS configuration file")]
            }
            Self::NoRegion { profile } => vec![format!(
                "give `--region`, set `AWS_REGION`, or run `aws configure set region <region> --profile {profile}`"
            )],
            Self::NoCode { profile, error, .. } => vec![no_code(profile, error)],
            Self::AssumeRole { error, .. } => refused(error),
            Self::NoCredentials { profile, sign_in, .. } => vec![no_credentials(profile.as_deref(), sign_in.as_ref())],
            Self::NotLoopback { .. } => vec!["give an address such as `http://127.0.0.1:8000`".to_owned()],
        }
    }
}

fn profiles_found(known: &[String], files: &[PathBuf]) -> String {
    if known.is_empty() {
        let files: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
        return format!("there are no profiles in {}", files.join(" and "));
    }
    let shown: Vec<String> = known.iter().take(SHOWN_PROFILES).map(|name| format!("`{name}`")).collect();
    match known.len().saturating_sub(SHOWN_PROFILES) {
        0 => format!("the profiles found are {}", shown.join(", ")),
        more => format!("the profiles found are {} and {more} more", shown.join(", ")),
    }
}

fn no_code(profile: &str, error: &CodeError) -> String {
    match error {
        CodeError::NoTerminal => format!(
            "run `aws sts get-caller-identity --profile {profile}` on a terminal first: its session is used here as well"
        ),
        CodeError::NotACode => "type the six digits that the device shows now".to_owned(),
        CodeError::Terminal(_) => "run it again on another terminal".to_owned(),
    }
}

fn refused(error: &ServiceError) -> Vec<String> {
    match &error.fault {
        Fault::Refused { message, .. } if message.contains("MultiFactorAuthentication") => {
            vec!["wait for the next code: each is good for 30 seconds and only once".to_owned()]
        }
        Fault::Refused { code, .. } if code == "AccessDenied" => {
            vec![
                "the role's trust policy must let you assume it, and your own policy must allow `sts:AssumeRole`"
                    .to_owned(),
            ]
        }
        Fault::Refused { code, message, .. } if code == "ValidationError" && message.contains("DurationSeconds") => {
            vec![
                "lower `duration_seconds` to the role's maximum session duration; chained roles have at most 3600"
                    .to_owned(),
            ]
        }
        _ => crate::error::Advice::hints(error),
    }
}

fn no_credentials(profile: Option<&str>, sign_in: Option<&String>) -> String {
    match (sign_in, profile) {
        (Some(sign_in), _) => sign_in.clone(),
        (None, Some(profile)) => {
            format!("`aws configure list --profile {profile}` shows where its credentials should come from")
        }
        (None, None) => {
            "name a profile with `--profile` or `AWS_PROFILE`, or run `aws configure`; `--local` needs none".to_owned()
        }
    }
}

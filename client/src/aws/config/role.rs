//! Roles of profiles, assumed one after the other: what `role_arn`, `source_profile` and their kin ask for.
//!
//! The SDK's own provider ignores `mfa_serial`, `duration_seconds` and the endpoint given as a flag, so all roles go
//! through here.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_config::SdkConfig;
use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::Profile;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use aws_sdk_sts::operation::assume_role::AssumeRoleOutput;

use super::mfa;
use super::profile::{Profiles, fault};
use super::terminal::{CodeError, MfaCode};
use super::{APP_NAME, ConfigError, Environment, ProfileFault};
use crate::aws::ServiceError;

/// Roles in the order in which they are assumed, and whose credentials assume the first.
#[derive(Debug)]
pub(super) struct RoleChain {
    pub(super) base: Base,
    pub(super) roles: Vec<Role>,
}

/// Where a chain of roles begins.
#[derive(Debug)]
pub(super) enum Base {
    Keys(Credentials),
    Profile(String),
    Environment,
    EcsContainer,
    Ec2InstanceMetadata,
}

impl Base {
    /// A value of `credential_source`.
    pub(super) fn parse(source: &str) -> Option<Self> {
        match source {
            "Environment" => Some(Self::Environment),
            "EcsContainer" => Some(Self::EcsContainer),
            "Ec2InstanceMetadata" => Some(Self::Ec2InstanceMetadata),
            _ => None,
        }
    }

    fn provider(
        self,
        config: &SdkConfig,
        profiles: &Profiles,
        environment: &Environment,
    ) -> Result<SharedCredentialsProvider, ConfigError> {
        let provider_config = ProviderConfig::without_region().with_region(config.region().cloned());
        Ok(match self {
            Self::Keys(keys) => SharedCredentialsProvider::new(keys),
            Self::Profile(name) => super::profile_provider(&name, profiles, config.region().cloned()),
            Self::Environment => {
                let missing =
                    || profiles.no_credentials("the environment has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY");
                SharedCredentialsProvider::new(environment.keys().ok_or_else(missing)?)
            }
            Self::EcsContainer => {
                SharedCredentialsProvider::new(EcsCredentialsProvider::builder().configure(&provider_config).build())
            }
            Self::Ec2InstanceMetadata => {
                SharedCredentialsProvider::new(ImdsCredentialsProvider::builder().configure(&provider_config).build())
            }
        })
    }
}

/// One `role_arn` and how its profile wants it assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Role {
    pub(super) profile: String,
    pub(super) arn: String,
    pub(super) mfa_serial: Option<String>,
    pub(super) external_id: Option<String>,
    pub(super) session_name: Option<String>,
    pub(super) duration_seconds: Option<i32>,
}

impl Role {
    /// The role of a profile. A web identity carries its own proof and is left to the SDK.
    pub(super) fn of(profile: &Profile) -> Result<Option<Self>, ConfigError> {
        let Some(arn) = profile.get("role_arn").filter(|_| profile.get("web_identity_token_file").is_none()) else {
            return Ok(None);
        };
        let duration_seconds = match profile.get("duration_seconds") {
            None => None,
            Some(text) => {
                let seconds =
                    text.trim().parse().map_err(|_| fault(profile.name(), ProfileFault::Duration(text.to_owned())));
                Some(seconds?)
            }
        };
        let owned = |key| profile.get(key).map(str::to_owned);
        Ok(Some(Self {
            profile: profile.name().to_owned(),
            arn: arn.to_owned(),
            mfa_serial: owned("mfa_serial"),
            external_id: owned("external_id"),
            session_name: owned("role_session_name"),
            duration_seconds,
        }))
    }
}

/// A provider of the last role's credentials. Every code that a role of the chain wants is asked for now, none later.
pub(super) async fn assume(
    chain: RoleChain,
    config: &SdkConfig,
    profiles: &Profiles,
    environment: &Environment,
    ask: &impl AsyncFn(&str) -> Result<MfaCode, CodeError>,
) -> Result<SharedCredentialsProvider, ConfigError> {
    let mut provider = chain.base.provider(config, profiles, environment)?;
    for role in chain.roles {
        let sts = aws_sdk_sts::config::Builder::from(config).credentials_provider(provider).build();
        let assumed = Assumed { sts: aws_sdk_sts::Client::from_conf(sts), role };
        provider = match assumed.role.mfa_serial.clone() {
            None => SharedCredentialsProvider::new(assumed),
            Some(serial) => SharedCredentialsProvider::new(
                mfa::session(assumed, &serial, environment.home().as_deref(), ask).await?,
            ),
        };
    }
    Ok(provider)
}

/// A role and the client that may assume it.
#[derive(Debug)]
pub(super) struct Assumed {
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) role: Role,
}

impl Assumed {
    /// `sts:AssumeRole`, with the code of the role's MFA device where it has one.
    pub(super) async fn call(&self, code: Option<&MfaCode>) -> Result<Session, ServiceError> {
        let role = &self.role;
        let request = self
            .sts
            .assume_role()
            .role_arn(&role.arn)
            .role_session_name(role.session_name.clone().unwrap_or_else(session_name))
            .set_external_id(role.external_id.clone())
            .set_duration_seconds(role.duration_seconds);
        let request = match code {
            Some(code) => request.set_serial_number(role.mfa_serial.clone()).token_code(code.digits()),
            None => request,
        };
        let reply = request.send().await.map_err(|error| ServiceError::new("sts:AssumeRole", &error))?;
        Ok(Session::from(reply))
    }
}

impl ProvideCredentials for Assumed {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let session = self.call(None).await.map_err(CredentialsError::provider_error)?;
            session
                .credentials
                .ok_or_else(|| CredentialsError::unhandled("sts:AssumeRole answered without credentials"))
        })
    }
}

/// What STS hands out for a role.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) credentials: Option<Credentials>,
    pub(super) user: Option<AssumedUser>,
}

/// `AssumedRoleUser` of the reply.
#[derive(Debug)]
pub(super) struct AssumedUser {
    pub(super) id: String,
    pub(super) arn: String,
}

impl From<AssumeRoleOutput> for Session {
    fn from(reply: AssumeRoleOutput) -> Self {
        let user = reply.assumed_role_user.map(|user| AssumedUser { id: user.assumed_role_id, arn: user.arn });
        let credentials = reply.credentials.map(|given| {
            let mut credentials = Credentials::builder()
                .access_key_id(given.access_key_id)
                .secret_access_key(given.secret_access_key)
                .session_token(given.session_token)
                .provider_name("AssumeRole");
            credentials.set_expiry(SystemTime::try_from(given.expiration).ok());
            // arn:aws:sts::<account>:assumed-role/...
            let account = user.as_ref().and_then(|user| user.arn.split(':').nth(4)).map(str::to_owned);
            credentials.set_account_id(account.map(Into::into));
            credentials.build()
        });
        Self { credentials, user }
    }
}

fn session_name() -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    format!("{APP_NAME}-{seconds}")
}

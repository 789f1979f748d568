//! A role that wants a code of an MFA device: asked for once, before the terminal belongs to the session, and shared
//! with the AWS CLI through its cache.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};

use super::ConfigError;
use super::cache::CacheFile;
use super::role::Assumed;
use super::terminal::{CodeError, MfaCode};

/// What a cached session must still have before it: the AWS CLI's own window, so that both ask at the same time.
const MIN_REMAINING: Duration = Duration::from_secs(15 * 60);

/// The credentials of a role that wanted a code. Once they expire, a newer session in the AWS CLI's cache takes their
/// place; nobody is asked again.
#[derive(Debug)]
pub(super) struct MfaSession {
    profile: String,
    role_arn: String,
    cache: Option<CacheFile>,
    held: Mutex<Credentials>,
}

/// The cached session when it lasts long enough, else a new one for a code from `ask`.
pub(super) async fn session(
    assumed: Assumed,
    serial: &str,
    home: Option<&Path>,
    ask: &impl AsyncFn(&str) -> Result<MfaCode, CodeError>,
) -> Result<MfaSession, ConfigError> {
    let cache = home.map(|home| CacheFile::of(home, &assumed.role));
    let cached = cache.as_ref().and_then(CacheFile::load).filter(|cached| lasts(cached, MIN_REMAINING));
    let credentials = match cached {
        Some(credentials) => credentials,
        None => obtain(&assumed, serial, cache.as_ref(), ask).await?,
    };
    let (profile, role_arn) = (assumed.role.profile, assumed.role.arn);
    Ok(MfaSession { profile, role_arn, cache, held: Mutex::new(credentials) })
}

async fn obtain(
    assumed: &Assumed,
    serial: &str,
    cache: Option<&CacheFile>,
    ask: &impl AsyncFn(&str) -> Result<MfaCode, CodeError>,
) -> Result<Credentials, ConfigError> {
    let role = &assumed.role;
    let code = ask(serial).await.map_err(|error| ConfigError::NoCode {
        profile: role.profile.clone(),
        serial: serial.to_owned(),
        error,
    })?;
    let refused = |error| ConfigError::AssumeRole { profile: role.profile.clone(), error };
    let session = assumed.call(Some(&code)).await.map_err(refused)?;
    let Some(credentials) = session.credentials else {
        return Err(ConfigError::NoCredentials {
            profile: Some(role.profile.clone()),
            cause: "sts:AssumeRole answered without credentials".to_owned(),
            sign_in: None,
        });
    };
    if let Some(cache) = cache
        && let Err(error) = cache.store(&credentials, session.user.as_ref())
    {
        tracing::warn!(%error, "the MFA session could not be cached: the next run asks for a code again");
    }
    Ok(credentials)
}

fn lasts(credentials: &Credentials, time: Duration) -> bool {
    credentials.expiry().is_some_and(|expiry| expiry > SystemTime::now() + time)
}

impl MfaSession {
    fn current(&self) -> Result<Credentials, CredentialsError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if held.expiry().is_none() || lasts(&held, Duration::ZERO) {
            return Ok(held.clone());
        }
        let renewed = self.cache.as_ref().and_then(CacheFile::load).filter(|cached| lasts(cached, Duration::ZERO));
        match renewed {
            Some(renewed) => {
                *held = renewed.clone();
                Ok(renewed)
            }
            None => Err(CredentialsError::provider_error(Expired {
                role_arn: self.role_arn.clone(),
                profile: self.profile.clone(),
            })),
        }
    }
}

impl ProvideCredentials for MfaSession {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::ready(self.current())
    }
}

/// The session is over while the terminal is not ours: what to do stands in the message, since no hint reaches this
/// far.
#[derive(Debug, thiserror::Error)]
#[error(
    "the MFA session of {role_arn} has expired; `aws sts get-caller-identity --profile {profile}` in another terminal renews it"
)]
struct Expired {
    role_arn: String,
    profile: String,
}

#[cfg(test)]
mod tests {
    use aws_smithy_runtime_api::client::result::SdkError;

    use super::*;
    use crate::aws::config::role::Role;

    fn expired(cache: Option<CacheFile>) -> MfaSession {
        let ended = SystemTime::now() - Duration::from_secs(1);
        let held = Mutex::new(Credentials::new("old", "secret", None, Some(ended), "test"));
        MfaSession { profile: "ops".to_owned(), role_arn: "arn:aws:iam::1:role/r".to_owned(), cache, held }
    }

    #[tokio::test]
    async fn an_expired_session_says_how_to_renew_it() {
        let error = expired(None).provide_credentials().await.expect_err("it has expired");
        let call: SdkError<aws_sdk_sts::operation::assume_role::AssumeRoleError, ()> =
            SdkError::construction_failure(error);
        let shown = crate::aws::ServiceError::new("ecs:StopTask", &call).to_string();
        assert!(shown.contains("`aws sts get-caller-identity --profile ops` in another terminal"), "{shown}");
    }

    #[tokio::test]
    async fn a_session_that_the_cli_renewed_takes_the_place_of_an_expired_one() {
        let home = tempfile::tempdir().expect("a directory");
        let role = Role {
            profile: "ops".to_owned(),
            arn: "arn:aws:iam::1:role/r".to_owned(),
            mfa_serial: Some("arn:aws:iam::1:mfa/m".to_owned()),
            external_id: None,
            session_name: None,
            duration_seconds: None,
        };
        let session = expired(Some(CacheFile::of(home.path(), &role)));
        session.provide_credentials().await.expect_err("the cache is empty");
        let later = SystemTime::now() + Duration::from_secs(600);
        let fresh = Credentials::new("fresh", "secret", Some("token".to_owned()), Some(later), "test");
        CacheFile::of(home.path(), &role).store(&fresh, None).expect("stored");
        assert_eq!(session.provide_credentials().await.expect("renewed").access_key_id(), "fresh");
    }
}

//! Credentials obtained while the configuration is loaded, so that their lack shows before anything is done.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};

/// The SDK renews credentials this long before they end.
const RENEWAL: Duration = Duration::from_secs(10);

/// The first credentials of a provider as long as they last, its newer ones afterwards.
#[derive(Debug)]
pub(super) struct Held {
    first: Credentials,
    provider: SharedCredentialsProvider,
}

impl Held {
    /// Waits for credentials as long as their source takes: a `credential_process` may be asking its user.
    pub(super) async fn obtain(provider: SharedCredentialsProvider) -> Result<Self, CredentialsError> {
        let first = provider.provide_credentials().await?;
        Ok(Self { first, provider })
    }
}

impl ProvideCredentials for Held {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let ending = self.first.expiry().is_some_and(|expiry| expiry <= SystemTime::now() + RENEWAL);
        if ending {
            self.provider.provide_credentials()
        } else {
            future::ProvideCredentials::ready(Ok(self.first.clone()))
        }
    }
}

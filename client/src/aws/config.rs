//! Where the AWS configuration comes from: profile, region, credentials and the manner of calling, decided once and as
//! the AWS CLI decides it.

mod cache;
mod environment;
mod error;
mod held;
mod local;
mod mfa;
mod profile;
mod role;
mod terminal;
#[cfg(test)]
mod tests;

use std::time::Duration;

use aws_config::identity::IdentityCache;
use aws_config::meta::credentials::CredentialsProviderChain;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{AppName, BehaviorVersion, ConfigLoader, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;

pub use environment::Environment;
pub use error::{ConfigError, ProfileFault};
pub use local::local;
pub use terminal::{CodeError, MfaCode, ask_on_terminal};

use held::Held;
use profile::{Choice, Profiles};

/// Name of the program in the user agent, hence in CloudTrail.
const APP_NAME: &str = "fargate-login";
/// Requests for one operation, the first included: one more than the SDK's three, since all users of an account share
/// ECS's 20 reads a second.
const MAX_ATTEMPTS: u32 = 4;
/// The SDK's own value: one lost SYN is sent again after one second, a second one after three.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(3_100);
/// The SDK has none. The calls made here answer within two seconds; a connection that died silently must not hold the
/// run.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// Connecting and reading once, with what TLS and a slow credential source need beside it.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// All attempts of an operation that never hears an answer.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(60);

/// What the command line says about AWS. `None` leaves it to the environment and the profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Source {
    /// Name of the profile; wins over keys in the environment.
    pub profile: Option<String>,
    /// Name of the region.
    pub region: Option<String>,
    /// Endpoint of every AWS service; wins over `AWS_ENDPOINT_URL` and its variants by service.
    pub endpoint_url: Option<String>,
}

/// The configuration of this process: its environment, its files, and its terminal for MFA codes.
///
/// # Errors
/// As [`load_from`].
pub async fn load(source: &Source) -> Result<SdkConfig, ConfigError> {
    load_from(source, &Environment::process(), &ask_on_terminal).await
}

/// The configuration that `source` and `environment` name, with credentials in hand. `ask` is asked for the current
/// code of an MFA device, given its serial number or ARN, when a role wants one and the AWS CLI's cache holds no
/// session.
///
/// Container, instance and web-identity credentials, which stand last in the search, are the SDK's: they read the
/// process.
///
/// # Errors
/// [`ConfigError`] when a named profile does not exist or is inconsistent, no region is set, or there are no
/// credentials.
pub async fn load_from(
    source: &Source,
    environment: &Environment,
    ask: &impl AsyncFn(&str) -> Result<MfaCode, CodeError>,
) -> Result<SdkConfig, ConfigError> {
    let profiles = Profiles::load(environment, source.profile.as_deref()).await?;
    let region = region(source, environment, &profiles)?;
    let choice = profiles.choose(environment)?;
    let base = settings(source, environment, &profiles, region.clone()).load().await;
    let provider = match choice {
        Choice::Keys(keys) => SharedCredentialsProvider::new(keys),
        Choice::Roles(chain) => role::assume(chain, &base, &profiles, environment, ask).await?,
        Choice::Profile(name) => profile_provider(&name, &profiles, base.region().cloned()),
        Choice::Search => search(&base, &profiles),
    };
    let held = Held::obtain(provider).await.map_err(|error| profiles.explain(&error))?;
    Ok(base.into_builder().credentials_provider(SharedCredentialsProvider::new(held)).build())
}

/// The flag, then the variables, then the profile's own line; never a guess.
fn region(source: &Source, environment: &Environment, profiles: &Profiles) -> Result<Region, ConfigError> {
    let named = [source.region.clone(), environment.get("AWS_REGION"), environment.get("AWS_DEFAULT_REGION")];
    let region = named.into_iter().flatten().next().or_else(|| profiles.get("region").map(str::to_owned));
    region.map(Region::new).ok_or_else(|| ConfigError::NoRegion { profile: profiles.name().to_owned() })
}

fn settings(source: &Source, environment: &Environment, profiles: &Profiles, region: Region) -> ConfigLoader {
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .region(region)
        .profile_files(profiles.files())
        .profile_name(profiles.name())
        .timeout_config(timeouts())
        // Credentials that take longer would exceed the attempt that waits for them.
        .identity_cache(IdentityCache::lazy().load_timeout(ATTEMPT_TIMEOUT).build());
    let retries_chosen = environment.get("AWS_MAX_ATTEMPTS").is_some()
        || environment.get("AWS_RETRY_MODE").is_some()
        || profiles.get("max_attempts").is_some()
        || profiles.get("retry_mode").is_some();
    if !retries_chosen {
        loader = loader.retry_config(retries());
    }
    if let Ok(name) = AppName::new(APP_NAME) {
        loader = loader.app_name(name);
    }
    match &source.endpoint_url {
        Some(url) => loader.endpoint_url(url),
        None => loader,
    }
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
        .build()
}

fn retries() -> RetryConfig {
    RetryConfig::standard().with_max_attempts(MAX_ATTEMPTS)
}

/// The profile as it was found here, then whatever the SDK finds in the process.
fn search(base: &SdkConfig, profiles: &Profiles) -> SharedCredentialsProvider {
    let profile = profile_provider(profiles.name(), profiles, base.region().cloned());
    let chain = CredentialsProviderChain::first_try("Profile", profile);
    SharedCredentialsProvider::new(match base.credentials_provider() {
        Some(provider) => chain.or_else("Search", provider),
        None => chain,
    })
}

/// The credentials of one profile and of nothing else: no variable and no metadata service can take its place.
fn profile_provider(name: &str, profiles: &Profiles, region: Option<Region>) -> SharedCredentialsProvider {
    let provider = ProfileFileCredentialsProvider::builder()
        .configure(&ProviderConfig::without_region().with_region(region))
        .profile_files(profiles.files())
        .profile_name(name)
        .build();
    SharedCredentialsProvider::new(provider)
}

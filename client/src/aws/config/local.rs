//! The configuration for the embedded stand-in: made-up keys, one loopback endpoint, and no way to AWS.

use std::net::SocketAddr;

use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::origin::Origin;

use super::{APP_NAME, ConfigError, retries, timeouts};

/// Access key id and secret that the stand-in is called with; they open nothing.
const MADE_UP: &str = "local";

/// A configuration that reaches `endpoint_url` and nothing else. It is built by hand from these arguments: no variable,
/// no profile, no metadata service and no proxy is looked at, and its HTTP client has no TLS, without which AWS does
/// not talk.
///
/// # Errors
/// [`ConfigError::NotLoopback`] unless `endpoint_url` is `http://` with a loopback IP address and a port.
pub fn local(endpoint_url: &str, region: &str) -> Result<SdkConfig, ConfigError> {
    let address = loopback(endpoint_url)?;
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(format!("http://{address}"))
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new(MADE_UP, MADE_UP, None, None, MADE_UP)))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .retry_config(retries())
        .timeout_config(timeouts());
    // As if set on each client, so that no service looks for an endpoint of its own.
    config.insert_origin("endpoint_url", Origin::shared_config());
    config.set_app_name(AppName::new(APP_NAME).ok());
    Ok(config.build())
}

fn loopback(endpoint_url: &str) -> Result<SocketAddr, ConfigError> {
    let authority = endpoint_url.strip_prefix("http://").map(|rest| rest.strip_suffix('/').unwrap_or(rest));
    let address = authority.and_then(|authority| authority.parse::<SocketAddr>().ok());
    address
        .filter(|address| address.ip().is_loopback())
        .ok_or_else(|| ConfigError::NotLoopback { endpoint_url: endpoint_url.to_owned() })
}

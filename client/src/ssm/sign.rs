//! The signature of the request that opens a data channel.

use std::fmt;
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials as _, SharedCredentialsProvider};
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;

use super::error::SsmError;

/// Name of the message gateway, for signatures.
const SERVICE: &str = "ssmmessages";

/// Whose credentials sign, and for which region. They are asked for at each connection, since a session outlives them.
#[derive(Clone)]
pub struct Signer {
    credentials: SharedCredentialsProvider,
    region: String,
}

impl Signer {
    /// The credentials and the region of a configuration; `None` when it has none.
    #[must_use]
    pub fn new(config: &SdkConfig) -> Option<Self> {
        let region = config.region()?.to_string();
        Some(Self { credentials: config.credentials_provider()?, region })
    }

    /// Headers for a GET of `url`: of a request without any other header or body, as AWS's own client signs since version
    /// 1.2.764.0. None for an address that is signed already, in its query.
    pub(crate) async fn headers(&self, url: &str) -> Result<Vec<(&'static str, String)>, SsmError> {
        if is_presigned(url) {
            return Ok(Vec::new());
        }
        let unsigned = |error: &dyn fmt::Display| SsmError::Unsigned { cause: error.to_string() };
        let credentials = self.credentials.provide_credentials().await.map_err(|error| unsigned(&error))?;
        signature(url, credentials, &self.region, SystemTime::now()).map_err(|cause| SsmError::Unsigned { cause })
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("region", &self.region).finish_non_exhaustive()
    }
}

fn is_presigned(url: &str) -> bool {
    let query = url.split_once('?').map_or("", |(_, query)| query);
    query.split('&').any(|pair| pair.get(..6).is_some_and(|name| name.eq_ignore_ascii_case("X-Amz-")))
}

fn signature(
    url: &str,
    credentials: Credentials,
    region: &str,
    now: SystemTime,
) -> Result<Vec<(&'static str, String)>, String> {
    let identity = credentials.into();
    let params = SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|error| error.to_string())?;
    let request = SignableRequest::new("GET", url, std::iter::empty(), SignableBody::empty());
    let request = request.map_err(|error| error.to_string())?;
    let (signed, _) = sign(request, &params.into()).map_err(|error| error.to_string())?.into_parts();
    let (headers, _) = signed.into_parts();
    Ok(headers.into_iter().map(|header| (header.name(), header.value().to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const URL: &str = "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/me-0a1b?role=publish_subscribe";

    fn headers(url: &str, token: Option<&str>) -> Vec<(&'static str, String)> {
        let keys = Credentials::new("AKIDEXAMPLE", "secret", token.map(str::to_owned), None, "test");
        signature(url, keys, "eu-west-1", UNIX_EPOCH + Duration::from_secs(1_763_700_000)).expect("a signature")
    }

    /// The signature is the one that botocore's SigV4Auth gives for the same request, keys and time.
    #[test]
    fn the_request_is_signed_as_a_bare_get() {
        let signed = headers(URL, None);
        let value = |name: &str| signed.iter().find(|header| header.0 == name).map(|header| header.1.as_str());
        assert_eq!(value("x-amz-date"), Some("20251121T044000Z"));
        let authorization = value("authorization").expect("a signature");
        let scope =
            "Credential=AKIDEXAMPLE/20251121/eu-west-1/ssmmessages/aws4_request, SignedHeaders=host;x-amz-date, ";
        assert_eq!(
            authorization,
            format!(
                "AWS4-HMAC-SHA256 {scope}Signature=1aaae93abffab7c1df774f0c23ec0cceea978619ddb3a5b2d2799616d29ff013"
            )
        );
    }

    #[test]
    fn a_session_token_goes_along_and_is_signed() {
        let signed = headers(URL, Some("token"));
        assert!(signed.contains(&("x-amz-security-token", "token".to_owned())));
        let authorization = &signed.iter().find(|header| header.0 == "authorization").expect("a signature").1;
        assert!(authorization.contains("SignedHeaders=host;x-amz-date;x-amz-security-token, "), "{authorization}");
    }

    #[tokio::test]
    async fn what_is_signed_in_its_query_is_left_alone() {
        let keys = Credentials::new("AKIDEXAMPLE", "secret", None, None, "test");
        let signer = Signer { credentials: SharedCredentialsProvider::new(keys), region: "eu-west-1".to_owned() };
        let presigned = format!("{URL}&X-Amz-Signature=ab");
        assert_eq!(signer.headers(&presigned).await, Ok(Vec::new()));
        assert_eq!(signer.headers(URL).await.expect("signed").len(), 2);
        assert!(!format!("{signer:?}").contains("secret"));
    }
}

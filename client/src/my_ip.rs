//! Our own public address, as a service on the internet sees it: one GET, whose answer is one address and nothing else.
//!
//! No proxy is used and no redirect followed: the dial to the task goes neither way, and the address has to be that of the dial.

use std::net::IpAddr;
use std::time::Duration;

use aws_smithy_http_client::default_connector;
use aws_smithy_runtime_api::client::http::{HttpConnector as _, HttpConnectorSettings};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;

use crate::error::Advice;

/// AWS's own service for it.
pub const DEFAULT_URL: &str = "https://checkip.amazonaws.com";
/// Time for the whole question. Such services answer within a second.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest address has 45 characters; the rest is for white space. A page is no address.
const ANSWER_MAX_BYTES: usize = 128;
/// So much of a wrong answer is shown.
const SHOWN_CHARS: usize = 40;

/// Why the address is not known. `place` is the service without what its URL may hold that is secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MyIpError {
    /// The service cannot be asked.
    #[error("{place} cannot be asked for our public address: {cause}")]
    Unreachable {
        /// The service.
        place: String,
        /// Why not.
        cause: String,
    },
    /// It does not answer.
    #[error("{place} did not tell our public address within {} s", TIMEOUT.as_secs())]
    Timeout {
        /// The service.
        place: String,
    },
    /// It answers with another status than 200.
    #[error("{place} answered HTTP {status} instead of our public address")]
    Status {
        /// The service.
        place: String,
        /// The status.
        status: u16,
    },
    /// It answers with something else.
    #[error("{place} answered {said:?}, which is not one public address")]
    NoAddress {
        /// The service.
        place: String,
        /// How its answer begins.
        said: String,
    },
}

impl Advice for MyIpError {
    fn hints(&self) -> Vec<String> {
        vec![
            "give the address yourself: `--allow-cidr ADDRESS`".to_owned(),
            "or name another service with `--my-ip-url`".to_owned(),
        ]
    }
}

/// Asks the service. Makes and changes nothing; may be cancelled.
///
/// # Errors
/// [`MyIpError`].
pub async fn look_up(url: &str) -> Result<IpAddr, MyIpError> {
    let place = place(url);
    let answer = tokio::time::timeout(TIMEOUT, get(url, &place)).await;
    let answer = answer.map_err(|_| MyIpError::Timeout { place: place.clone() })??;
    read(&answer).ok_or_else(|| {
        let said: String = String::from_utf8_lossy(&answer).trim().chars().take(SHOWN_CHARS).collect();
        MyIpError::NoAddress { place, said }
    })
}

/// The first bytes of the answer: a few more than an address can have, if there are as many.
async fn get(url: &str, place: &str) -> Result<Vec<u8>, MyIpError> {
    let unreachable =
        |cause: &dyn std::fmt::Display| MyIpError::Unreachable { place: place.to_owned(), cause: cause.to_string() };
    let mut request = HttpRequest::new(SdkBody::empty());
    request.set_uri(url).map_err(|error| unreachable(&error))?;
    request.headers_mut().insert("accept", "text/plain");
    request.headers_mut().insert("user-agent", concat!("fargate-login/", env!("CARGO_PKG_VERSION")));
    // The HTTP client that the SDK brings along: one TLS stack, and the machine's own roots.
    let settings = HttpConnectorSettings::builder().build();
    let connector = default_connector(&settings, None).ok_or_else(|| unreachable(&"this build has no HTTP client"))?;
    let response = connector.call(request).await.map_err(|error| unreachable(&innermost(&error)))?;
    let status = response.status().as_u16();
    if status != 200 {
        return Err(MyIpError::Status { place: place.to_owned(), status });
    }
    let mut body = ByteStream::new(response.into_body());
    let mut answer = Vec::new();
    while let Some(chunk) = body.try_next().await.map_err(|error| unreachable(&innermost(&error)))? {
        answer.extend(chunk.iter().take(ANSWER_MAX_BYTES + 1 - answer.len()));
        if answer.len() > ANSWER_MAX_BYTES {
            break;
        }
    }
    Ok(answer)
}

/// One address that a caller can have; an IPv4 address in IPv6's clothes is an IPv4 address.
fn read(answer: &[u8]) -> Option<IpAddr> {
    if answer.len() > ANSWER_MAX_BYTES {
        return None;
    }
    let address = std::str::from_utf8(answer).ok()?.trim().parse::<IpAddr>().ok()?.to_canonical();
    let is_nobodys = match address {
        IpAddr::V4(v4) => v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    };
    (!is_nobodys && !address.is_unspecified() && !address.is_multicast()).then_some(address)
}

/// Scheme, host and port: a path, a query or a user may hold a secret.
fn place(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("https", url));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}")
}

fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(next) = cause.source() {
        cause = next;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[test]
    fn an_answer_is_one_address() {
        let text = |answer: &str| read(answer.as_bytes()).map(|address| address.to_string());
        for (answer, address) in [
            ("203.0.113.7\n", "203.0.113.7"),
            (" 2001:db8::7\r\n", "2001:db8::7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
        ] {
            assert_eq!(text(answer).as_deref(), Some(address), "{answer:?}");
        }
        let padded = format!("203.0.113.7{}", " ".repeat(ANSWER_MAX_BYTES));
        for answer in [
            "",
            "203.0.113.7 203.0.113.8",
            "203.0.113.7/32",
            "<html>",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "255.255.255.255",
            &padded,
        ] {
            assert_eq!(text(answer), None, "{answer:?}");
        }
    }

    #[test]
    fn what_is_shown_of_a_url_is_where_it_is() {
        assert_eq!(place("https://u:s3cret@ip.example:8443/s3cret?key=s3cret"), "https://ip.example:8443");
        assert_eq!(place("http://[::1]:80"), "http://[::1]:80");
    }

    /// Answers one request with this and closes the connection.
    async fn answering(answer: String) -> String {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/ip?key=s3cret", listener.local_addr().expect("an address"));
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a caller");
            let mut request = [0; 1024];
            let read = stream.read(&mut request).await.expect("a request");
            assert!(request[..read].starts_with(b"GET /ip?key=s3cret HTTP/1.1\r\n"));
            // A client that has read enough may be gone.
            let _ = stream.write_all(answer.as_bytes()).await;
        });
        url
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    #[tokio::test]
    async fn the_address_comes_from_the_body_of_a_200() {
        assert_eq!(
            look_up(&answering(ok("203.0.113.7\n")).await).await,
            Ok("203.0.113.7".parse().expect("an address"))
        );
        let error = look_up(&answering(ok("<html>sign in</html>")).await).await.expect_err("a page");
        assert!(
            error.to_string().contains("answered \"<html>sign in</html>\"") && !error.to_string().contains("s3cret"),
            "{error}"
        );
        let moved = "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n";
        let error = look_up(&answering(moved.to_owned()).await).await.expect_err("a redirect");
        assert!(matches!(error, MyIpError::Status { status: 302, .. }), "{error:?}");
        let error = look_up(&answering(ok(&"1".repeat(1 << 20))).await).await.expect_err("too much");
        assert!(matches!(&error, MyIpError::NoAddress { said, .. } if said.len() == SHOWN_CHARS), "{error:?}");
    }

    #[tokio::test]
    async fn a_service_that_is_not_there_is_named_without_its_secrets() {
        let error = look_up("http://127.0.0.1:1/s3cret").await.expect_err("nobody listens");
        assert!(error.to_string().starts_with("http://127.0.0.1:1 cannot be asked"), "{error}");
    }
}

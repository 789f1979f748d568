//! The way to the message gateway through a proxy: the one that the environment names, as it does for the other services.
//!
//! `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`, in capitals or small letters, mean what they mean to the AWS SDK: the same crate reads them.

use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::http::Uri;

use super::address::Address;

/// Longest answer of a proxy.
const HEAD_MAX: usize = 8 << 10;
/// Port of a proxy whose address has none.
const PORT: u16 = 80;

/// The proxy for this address, if the environment names one. The stand-in's address is this machine's, and has none.
pub(super) fn of_environment(address: &Address) -> Option<Intercept> {
    address.is_tls().then(|| matched(&Matcher::from_env(), address)).flatten()
}

fn matched(matcher: &Matcher, address: &Address) -> Option<Intercept> {
    // It knows the scheme of HTTP alone.
    let uri = format!("https://{}", authority(address)).parse::<Uri>().ok()?;
    matcher.intercept(&uri)
}

/// Connects to the gateway by way of a proxy.
///
/// # Errors
/// Why not, with the proxy's name and without its password.
pub(super) async fn connect(proxy: &Intercept, address: &Address) -> Result<TcpStream, String> {
    let name = proxy.uri().host().unwrap_or_default();
    if proxy.uri().scheme_str() != Some("http") {
        return Err(format!("the proxy {name} is not one that is spoken to by HTTP (`http://...`)"));
    }
    let port = proxy.uri().port_u16().unwrap_or(PORT);
    let failed = |cause: std::io::Error| format!("the proxy {name}:{port} cannot be reached: {cause}");
    let mut stream = TcpStream::connect((bare(name), port)).await.map_err(failed)?;
    let target = authority(address);
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(authorization) = proxy.basic_auth() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(authorization.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await.map_err(failed)?;
    let head = head(&mut stream).await.map_err(failed)?;
    let status = head.split_whitespace().nth(1).unwrap_or("nothing");
    if head.starts_with("HTTP/1.") && status.len() == 3 && status.starts_with('2') {
        return Ok(stream);
    }
    let line: String = head.lines().next().unwrap_or_default().chars().filter(|c| !c.is_control()).collect();
    Err(format!("the proxy {name}:{port} does not connect to {target}: {line}"))
}

/// The head of an answer; what follows it is the gateway's, so not a byte more is read.
async fn head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_MAX {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn authority(address: &Address) -> String {
    let host = address.host();
    if host.contains(':') { format!("[{host}]:{}", address.port()) } else { format!("{host}:{}", address.port()) }
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    fn address() -> Address {
        Address::parse("wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/me-0a").expect("an address")
    }

    #[test]
    fn the_environments_words_are_those_of_the_sdk() {
        let matcher = Matcher::builder().https("http://u:p@proxy.internal:3128").no("internal.example").build();
        let found = matched(&matcher, &address()).expect("a proxy");
        assert_eq!((found.uri().host(), found.uri().port_u16()), (Some("proxy.internal"), Some(3128)));
        assert!(found.basic_auth().is_some());
        let matcher = Matcher::builder().https("http://proxy.internal:3128").no("amazonaws.com").build();
        assert!(matched(&matcher, &address()).is_none());
    }

    async fn asked(answer: &'static [u8]) -> (Result<TcpStream, String>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let matcher = Matcher::builder().https(format!("http://u:p@127.0.0.1:{port}")).build();
        let proxy = matched(&matcher, &address()).expect("a proxy");
        let serving = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.expect("a connection");
            let asked = head(&mut stream).await.expect("a request");
            stream.write_all(answer).await.expect("written");
            asked
        });
        (connect(&proxy, &address()).await, serving.await.expect("no panic"))
    }

    #[tokio::test]
    async fn a_proxy_is_asked_to_connect_and_what_follows_is_the_gateways() {
        let (connected, asked) = asked(b"HTTP/1.1 200 Connection established\r\nX: y\r\n\r\nfirst").await;
        let mut word = [0; 5];
        connected.expect("connected").read_exact(&mut word).await.expect("read");
        assert_eq!(&word, b"first");
        let host = "ssmmessages.eu-west-1.amazonaws.com:443";
        let expected = format!("CONNECT {host} HTTP/1.1\r\nHost: {host}\r\nProxy-Authorization: Basic dTpw\r\n\r\n");
        assert_eq!(asked, expected);
    }

    #[tokio::test]
    async fn a_proxy_that_refuses_is_named_without_its_password() {
        let (refused, _) = asked(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        let error = refused.expect_err("refused");
        assert!(error.contains("the proxy 127.0.0.1:") && error.contains("407 Proxy"), "{error}");
        assert!(!error.contains("u:p") && !error.contains("dTpw"), "{error}");
    }
}

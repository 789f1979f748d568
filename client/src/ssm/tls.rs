//! TLS to the message gateway, with the certificates that the platform trusts.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A byte stream under a WebSocket.
pub(crate) trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// Reading a platform's certificates takes tens of milliseconds, and they do not change under a process.
static CONFIG: OnceCell<Arc<ClientConfig>> = OnceCell::const_new();

/// Encrypts a connection to `host`, whose certificate must be for that name.
///
/// # Errors
/// The words of the platform or of the handshake.
pub(crate) async fn connect(host: &str, tcp: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    let config = CONFIG.get_or_try_init(load).await?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = ServerName::try_from(bare.to_owned()).map_err(|error| error.to_string())?;
    TlsConnector::from(Arc::clone(config)).connect(name, tcp).await.map_err(|error| error.to_string())
}

async fn load() -> Result<Arc<ClientConfig>, String> {
    let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs);
    let found = found.await.map_err(|error| error.to_string())?;
    let mut roots = RootCertStore::empty();
    let (usable, _) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        return Err("the platform trusts no certificate authority: install ca-certificates".to_owned());
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

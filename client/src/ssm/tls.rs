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
    connect_with(CONFIG.get_or_try_init(load).await?, host, tcp).await
}

async fn connect_with(config: &Arc<ClientConfig>, host: &str, tcp: TcpStream) -> Result<TlsStream<TcpStream>, String> {
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
    trusting(roots)
}

fn trusting(roots: RootCertStore) -> Result<Arc<ClientConfig>, String> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use futures_util::{SinkExt as _, StreamExt as _};
    use rustls::ServerConfig;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_tungstenite::tungstenite::Message;

    use super::*;

    /// An authority of the test's own in this folder, and a certificate of its for `gateway.test`.
    fn certify(folder: &Path) {
        let openssl = |words: &[&str]| {
            let done = Command::new("openssl").args(words).current_dir(folder).output().expect("openssl");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
        openssl(
            &[&["req", "-x509", "-subj", "/CN=authority", "-keyout", "ca.key", "-out", "ca.pem"], &key[..]].concat(),
        );
        let of_leaf = [
            "-subj",
            "/CN=gateway",
            "-addext",
            "subjectAltName=DNS:gateway.test",
            "-addext",
            "basicConstraints=CA:FALSE",
        ];
        let files = ["-CA", "ca.pem", "-CAkey", "ca.key", "-keyout", "leaf.key", "-out", "leaf.pem"];
        openssl(&[&["req", "-x509"], &of_leaf[..], &files, &key].concat());
    }

    fn acceptor(folder: &Path) -> TlsAcceptor {
        let certificate = CertificateDer::from_pem_file(folder.join("leaf.pem")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(folder.join("leaf.key")).expect("a key");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.expect("versions").with_no_client_auth();
        TlsAcceptor::from(Arc::new(config.with_single_cert(vec![certificate], key).expect("a pair")))
    }

    #[tokio::test]
    async fn a_web_socket_goes_over_tls_to_whom_an_authority_has_named_and_to_nobody_else() {
        let folder = tempfile::tempdir().expect("a folder");
        certify(folder.path());
        let acceptor = acceptor(folder.path());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        tokio::spawn(async move {
            loop {
                let (tcp, _) = listener.accept().await.expect("a connection");
                // Who does not trust us hangs up.
                let Ok(tls) = acceptor.accept(tcp).await else { continue };
                let mut socket = tokio_tungstenite::accept_async(tls).await.expect("an upgrade");
                let heard = socket.next().await.expect("a message").expect("whole");
                socket.send(heard).await.expect("sent");
            }
        });
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_file(folder.path().join("ca.pem")).expect("a certificate");
        roots.add(authority).expect("an authority");
        let (trusting_it, trusting_none) =
            (trusting(roots).expect("a client"), trusting(RootCertStore::empty()).expect("a client"));
        let dial = async || TcpStream::connect(("127.0.0.1", port)).await.expect("listening");
        let tls = connect_with(&trusting_it, "gateway.test", dial().await).await.expect("trusted");
        let (mut socket, _) =
            tokio_tungstenite::client_async("wss://gateway.test/v1/data-channel/x", tls).await.expect("upgraded");
        socket.send(Message::text("word")).await.expect("sent");
        assert_eq!(socket.next().await.expect("a message").expect("whole"), Message::text("word"));
        let error = connect_with(&trusting_it, "other.test", dial().await).await.expect_err("another name");
        assert!(error.contains("not valid for name"), "{error}");
        let error = connect_with(&trusting_none, "gateway.test", dial().await).await.expect_err("unknown");
        assert!(error.contains("UnknownIssuer"), "{error}");
    }
}

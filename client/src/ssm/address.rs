//! The address of a data channel, taken apart before a token is sent there.

use std::net::IpAddr;

use tokio_tungstenite::tungstenite::http::Uri;

use super::error::SsmError;

/// A `wss://` address, or one of `ws://` on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    url: String,
    host: String,
    port: u16,
    tls: bool,
}

impl Address {
    /// Reads the `StreamUrl` that AWS gave.
    ///
    /// # Errors
    /// [`SsmError::Address`] for anything but a `wss://` address; the stand-in's `ws://` must be on the loopback interface,
    /// since the token that is sent opens the session for whoever sees it.
    pub(crate) fn parse(url: &str) -> Result<Self, SsmError> {
        let wrong = |fault| SsmError::Address { url: url.split('?').next().unwrap_or_default().to_owned(), fault };
        let uri: Uri = url.parse().map_err(|_| wrong("is not a URL"))?;
        let tls = match uri.scheme_str() {
            Some("wss") => true,
            Some("ws") => false,
            _ => return Err(wrong("is neither wss:// nor ws://")),
        };
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong("names a user"));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| wrong("names no host"))?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if !tls && !bare.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
            return Err(wrong("is not encrypted"));
        }
        let port = uri.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { url: url.to_owned(), host: bare.to_owned(), port, tls })
    }

    /// The address as it was given.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Name or IP address of the host, without brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    pub(crate) const fn is_tls(&self) -> bool {
        self.tls
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateway_is_reached_with_tls_and_the_stand_in_on_this_machine_without() {
        let url = "wss://ssmmessages.eu-west-1.amazonaws.com/v1/data-channel/me-0a?role=publish_subscribe";
        let address = Address::parse(url).expect("an address");
        assert_eq!((address.url(), address.port(), address.is_tls()), (url, 443, true));
        assert_eq!(address.host(), "ssmmessages.eu-west-1.amazonaws.com");
        let address = Address::parse("ws://[::1]:4566/v1/data-channel/x").expect("an address");
        assert_eq!((address.host(), address.port(), address.is_tls()), ("::1", 4566, false));
    }

    #[test]
    fn a_token_is_not_sent_just_anywhere() {
        let fault = |url: &str| match Address::parse(url) {
            Err(SsmError::Address { fault, .. }) => fault,
            other => panic!("{other:?}"),
        };
        assert_eq!(fault("ws://ssmmessages.eu-west-1.amazonaws.com/x"), "is not encrypted");
        assert_eq!(fault("ws://localhost.evil.example/x"), "is not encrypted");
        assert_eq!(fault("https://h/x"), "is neither wss:// nor ws://");
        assert_eq!(fault("wss://a:b@h/x"), "names a user");
        assert_eq!(fault("nonsense here"), "is not a URL");
        let shown = Address::parse("ws://h/x?token=secret").expect_err("not here").to_string();
        assert!(!shown.contains("secret"), "{shown}");
    }
}

//! Addresses of a host. The C library looks names up and takes its time, on threads that are not the runtime's own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::refusal::Refusal;

/// Lookups at once: each holds a thread, and one for a name server that is gone holds it for half a minute.
pub(super) const LOOKUPS: usize = 32;

/// Time for a lookup, the wait for a thread included: two tries with the resolver's own 5 s each (resolv.conf(5)), and a little more.
const PATIENCE: Duration = Duration::from_secs(15);

/// What the C library's message begins with, in the words of Rust's library.
const LOOKUP_FAILED: &str = "failed to lookup address information: ";

/// The addresses of a host, best first (RFC 6724), at this port.
pub(super) async fn resolve(host: &str, port: u16, lookups: &Arc<Semaphore>) -> Result<Vec<SocketAddr>, Refusal> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    // Means loopback whatever a name server says (RFC 6761, section 6.3), also in an image without /etc/hosts.
    if host.eq_ignore_ascii_case("localhost") {
        let addresses = [IpAddr::from(Ipv6Addr::LOCALHOST), Ipv4Addr::LOCALHOST.into()];
        return Ok(addresses.map(|address| SocketAddr::new(address, port)).to_vec());
    }
    let lookup = async {
        // Held by the thread, which outlives our patience.
        let place = Arc::clone(lookups).acquire_owned().await;
        let named = (host.to_owned(), port);
        spawn_blocking(move || {
            let _place = place;
            named.to_socket_addrs().map(Iterator::collect::<Vec<_>>)
        })
        .await
    };
    let found = timeout(PATIENCE, lookup).await.map_err(|_| Refusal::TimedOut("the name server does not answer"))?;
    let found = found.map_err(|lost| Refusal::NotResolved(lost.to_string()))?;
    let addresses = found.map_err(|error| {
        let told = error.to_string();
        Refusal::NotResolved(told.strip_prefix(LOOKUP_FAILED).unwrap_or(&told).to_lowercase())
    })?;
    if addresses.is_empty() { Err(Refusal::NotResolved("it has no address".to_owned())) } else { Ok(addresses) }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn resolved(host: &str) -> Vec<String> {
        let lookups = Arc::new(Semaphore::new(0));
        let found = resolve(host, 7, &lookups).await.expect("no lookup is made");
        found.iter().map(ToString::to_string).collect()
    }

    #[tokio::test]
    async fn addresses_and_localhost_are_not_looked_up() {
        assert_eq!(resolved("192.0.2.1").await, ["192.0.2.1:7"]);
        assert_eq!(resolved("2001:db8::1").await, ["[2001:db8::1]:7"]);
        assert_eq!(resolved("LocalHost").await, ["[::1]:7", "127.0.0.1:7"]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_lookup_that_takes_too_long_is_given_up() {
        let error = resolve("db.internal", 7, &Arc::new(Semaphore::new(0))).await.expect_err("nobody answers");
        assert!(matches!(error, Refusal::TimedOut(_)), "{error}");
    }
}

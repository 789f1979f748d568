//! Where the task can be reached: the public address that only EC2 knows, the private one of the attachment, or Systems Manager.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use tokio::sync::watch;
use tokio::time::Instant;

use super::dial::{DialFailure, dial_any};
use super::sessions::Port;
use super::stream::Stream;
use super::{ReadyError, Wait};
use crate::aws::describe_network_interfaces::{Addresses, describe_network_interface};
use crate::aws::describe_tasks::TaskState;

/// How long a public address may be missing before we believe that there will be none.
const ASSOCIATION_GRACE: Duration = Duration::from_secs(30);
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// How bytes reach the task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Directly: addresses to dial, all at once; the first that answers is taken.
    Direct(Vec<SocketAddr>),
    /// By sessions of Systems Manager, one or more for each connection.
    Ssm(Port),
}

impl Route {
    /// One more connection to a task that has answered before. `timeout` is for one TCP connection; a session takes what its channel
    /// gives it.
    ///
    /// # Errors
    /// [`DialFailure`].
    pub async fn dial(&self, timeout: Duration) -> Result<Stream, DialFailure> {
        match self {
            Self::Direct(addresses) => dial_any(addresses, timeout).await,
            Self::Ssm(port) => port.dial().await,
        }
    }

    /// The addresses that are dialled.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        match self {
            Self::Direct(addresses) => addresses,
            Self::Ssm(_) => &[],
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct(addresses) => {
                let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                f.write_str(&addresses.join(" or "))
            }
            Self::Ssm(Port { target, port, .. }) => write!(f, "port {port} of {target}"),
        }
    }
}

/// Finds the direct route as soon as there is one; the states come from the polling.
///
/// # Errors
/// [`ReadyError::NoPublicAddress`], or [`ReadyError::Service`] when EC2 refuses.
pub async fn find(wait: Wait<'_>, mut states_rx: watch::Receiver<TaskState>) -> Result<Route, ReadyError> {
    loop {
        let state = states_rx.borrow_and_update().clone();
        let addresses = match &state.network_interface {
            None => Vec::new(),
            Some(_) if !wait.plan.public && state.private_ipv4.is_some() => state.private_ipv4.into_iter().collect(),
            Some(_) if !wait.plan.public && state.ipv6.is_some() => state.ipv6.into_iter().collect(),
            Some(interface) => look_up(wait, interface, &state).await?,
        };
        if !addresses.is_empty() {
            let with_port = |address| SocketAddr::new(address, wait.plan.port);
            return Ok(Route::Direct(addresses.into_iter().map(with_port).collect()));
        }
        if states_rx.changed().await.is_err() {
            // The polling has ended; its error ends the wait.
            std::future::pending::<()>().await;
        }
    }
}

/// Asks EC2 until the interface has the address that the plan wants.
async fn look_up(wait: Wait<'_>, interface: &str, state: &TaskState) -> Result<Vec<IpAddr>, ReadyError> {
    let began = Instant::now();
    let mut pauses =
        ExponentialBuilder::default().with_min_delay(RETRY_MIN).with_max_delay(RETRY_MAX).without_max_times().build();
    loop {
        let late = began.elapsed() > ASSOCIATION_GRACE;
        match describe_network_interface(wait.aws, interface).await {
            Ok(Some(found)) => {
                if let Some(addresses) = choose(&found, wait.plan.public, late) {
                    return Ok(addresses);
                }
                if late {
                    return Err(ReadyError::NoPublicAddress);
                }
            }
            Ok(None) if late => return Err(ReadyError::NoPublicAddress),
            Ok(None) => {}
            Err(error) if error.is_transient() => tracing::debug!(%error, "asking again later"),
            Err(error) => return without_ec2(wait, state, error),
        }
        tokio::time::sleep(pauses.next().unwrap_or(RETRY_MAX)).await;
    }
}

/// A caller without `ec2:DescribeNetworkInterfaces` still has the private address.
fn without_ec2(wait: Wait<'_>, state: &TaskState, error: crate::aws::ServiceError) -> Result<Vec<IpAddr>, ReadyError> {
    match state.private_ipv4 {
        Some(address) => {
            wait.ui.warn(&format!("{error}; trying the private address"));
            Ok(vec![address])
        }
        None => Err(ReadyError::Service(error)),
    }
}

/// The addresses to dial. A public IPv4 address comes late, so IPv6 alone is taken only when there is no IPv4 at all, or
/// when we are done waiting.
fn choose(found: &Addresses, public: bool, late: bool) -> Option<Vec<IpAddr>> {
    let ipv6_only = found.private_ipv4.is_none();
    let addresses: Vec<_> = match (public, found.public_ipv4) {
        (true, Some(address)) => [Some(address), found.ipv6].into_iter().flatten().collect(),
        (true, None) if ipv6_only || late => found.ipv6.into_iter().collect(),
        (true, None) => Vec::new(),
        (false, _) => [found.private_ipv4, found.ipv6].into_iter().flatten().collect(),
    };
    (!addresses.is_empty()).then_some(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_subnet_has_its_addresses() {
        let ip = |text: &str| Some(text.parse::<IpAddr>().expect("an address"));
        let (public, private, v6) = (ip("203.0.113.7"), ip("10.0.1.7"), ip("2001:db8::7"));
        let found = |public_ipv4, private_ipv4, ipv6| Addresses { public_ipv4, private_ipv4, ipv6 };
        let list = |addresses: &[Option<IpAddr>]| Some(addresses.iter().copied().flatten().collect::<Vec<_>>());
        assert_eq!(choose(&found(public, private, None), true, false), list(&[public]));
        assert_eq!(choose(&found(public, private, v6), true, false), list(&[public, v6]));
        assert_eq!(choose(&found(None, private, v6), true, false), None, "the association may still come");
        assert_eq!(choose(&found(None, private, v6), true, true), list(&[v6]));
        assert_eq!(choose(&found(None, private, None), true, true), None);
        assert_eq!(choose(&found(None, None, v6), true, false), list(&[v6]), "an IPv6-only subnet");
        assert_eq!(choose(&found(public, private, None), false, false), list(&[private]));
    }
}

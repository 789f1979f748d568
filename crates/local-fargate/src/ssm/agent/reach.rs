//! What a port session can reach: the container's own ports, and hosts beyond it, save those that agents refuse.

use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;
use nix::sched::{CloneFlags, setns};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::words;

/// Addresses that a VPC's subnet keeps for itself: the first four and the last one.
const RESERVED: usize = 4;
/// The instance metadata service and the resolver of every VPC, in both families.
const OF_AWS: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 254)),
    IpAddr::V4(Ipv4Addr::new(169, 254, 169, 253)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)),
    IpAddr::V6(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253)),
];

/// Where an agent is on the network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    /// What its `localhost` is. A task that is a process of this machine has an address of its own and shares the machine's loopback.
    pub(crate) localhost: Vec<IpAddr>,
    /// A process whose network is the agent's, with a loopback interface that is the container's own.
    pub(crate) network_of: Option<u32>,
    /// Its subnet.
    pub(crate) subnet: Option<IpNet>,
}

impl Reach {
    /// Connects to a port of the container itself.
    pub(super) async fn dial_own(&self, port: u16) -> Result<TcpStream, String> {
        if let Some(pid) = self.network_of {
            match dial_within(pid, port).await {
                Ok(dialled) => {
                    let why = |error| format!("dial tcp localhost:{port}: connect: {}", words::of_system(&error));
                    return dialled.map_err(why);
                }
                // Only root may enter it; from here, the container has its address alone.
                Err(error) => tracing::debug!(%error, "the container's network cannot be entered"),
            }
        }
        let addresses: Vec<_> = self.localhost.iter().map(|address| SocketAddr::new(*address, port)).collect();
        connect(&addresses).await
    }

    /// Connects to a port of a host, each of its addresses in turn.
    pub(super) async fn dial(&self, host: &str, port: u16) -> Result<TcpStream, String> {
        if host.is_empty() || host == "localhost" {
            return self.dial_own(port).await;
        }
        connect(&look_up(host, port).await.map_err(|_| format!("lookup {host}: no such host"))?).await
    }

    /// What the user is told when this host is not to be reached. Agents ask when a session begins, before they connect to anything, and
    /// name the host as they were given it (amazon-ssm-agent, `agent/session/plugins/port/port.go`, validateParameters). Loopback:
    /// rewind-community/aws-connect, pull request 32.
    pub(super) async fn refusal(&self, host: &str, refuse_loopback: bool) -> Option<String> {
        if host.is_empty() {
            return None;
        }
        // One without an address is refused when it is connected to.
        let found = look_up(host, 0).await.unwrap_or_default();
        let mut addresses = found.iter().map(|address| address.ip().to_canonical());
        let is_refused =
            addresses.any(|address| self.is_forbidden(address) || (refuse_loopback && address.is_loopback()));
        is_refused.then(|| format!("Forwarding to IP address {host} is forbidden."))
    }

    fn is_forbidden(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let is_reserved = |subnet: &IpNet| {
            let last = match subnet {
                IpNet::V4(subnet) => IpAddr::V4(subnet.broadcast()),
                IpNet::V6(subnet) => IpAddr::V6(subnet.broadcast()),
            };
            address == last || (0..RESERVED).any(|index| nth(subnet, index) == Some(address))
        };
        OF_AWS.contains(&address) || self.subnet.as_ref().is_some_and(is_reserved)
    }
}

fn nth(subnet: &IpNet, index: usize) -> Option<IpAddr> {
    match subnet.network() {
        IpAddr::V4(network) => Some(IpAddr::V4((u32::from(network).checked_add(u32::try_from(index).ok()?)?).into())),
        IpAddr::V6(network) => Some(IpAddr::V6((u128::from(network).checked_add(u128::try_from(index).ok()?)?).into())),
    }
}

/// Connects over the loopback interface of another network. `Err` when that cannot be entered.
async fn dial_within(pid: u32, port: u16) -> io::Result<io::Result<TcpStream>> {
    let (told, answer) = oneshot::channel();
    let within = move || {
        // Whoever does not wait any more has no use for it.
        let _ = told.send(connect_within(pid, port));
    };
    // A thread of its own: it stays in that network.
    std::thread::Builder::new().name("within".to_owned()).spawn(within)?;
    let connected = answer.await.map_err(io::Error::other)??;
    Ok(connected.and_then(|stream| {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        TcpStream::from_std(stream)
    }))
}

fn connect_within(pid: u32, port: u16) -> io::Result<io::Result<std::net::TcpStream>> {
    setns(File::open(format!("/proc/{pid}/ns/net"))?, CloneFlags::CLONE_NEWNET)?;
    let connect = |address: IpAddr| std::net::TcpStream::connect(SocketAddr::new(address, port));
    Ok(connect(Ipv4Addr::LOCALHOST.into()).or_else(|_| connect(Ipv6Addr::LOCALHOST.into())))
}

async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

async fn connect(addresses: &[SocketAddr]) -> Result<TcpStream, String> {
    let mut last = "no address".to_owned();
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Small writes of interactive programs are not held back; one that cannot be told is only slower.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = format!("dial tcp {address}: connect: {}", words::of_system(&error)),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_to_aws_is_forbidden_and_the_rest_is_not() {
        let reach = Reach { localhost: Vec::new(), network_of: None, subnet: "10.0.1.0/24".parse().ok() };
        let is_forbidden = |text: &str| reach.is_forbidden(text.parse().expect("an address"));
        for address in ["169.254.169.254", "169.254.169.253", "fd00:ec2::254", "::ffff:169.254.169.254"] {
            assert!(is_forbidden(address), "{address}");
        }
        for address in ["10.0.1.0", "10.0.1.2", "10.0.1.3", "10.0.1.255"] {
            assert!(is_forbidden(address), "{address}");
        }
        for address in ["10.0.1.4", "10.0.2.2", "127.0.0.1", "169.254.170.2"] {
            assert!(!is_forbidden(address), "{address}");
        }
    }

    #[tokio::test]
    async fn a_forbidden_host_is_refused_by_its_name() {
        let reach = Reach::default();
        let told = |host: &str| Some(format!("Forwarding to IP address {host} is forbidden."));
        for host in ["169.254.169.254", "::ffff:169.254.169.253"] {
            assert_eq!(reach.refusal(host, false).await, told(host));
        }
        for host in ["localhost", "127.0.0.2", "::1"] {
            assert_eq!((reach.refusal(host, false).await, reach.refusal(host, true).await), (None, told(host)));
        }
        assert_eq!((reach.refusal("", true).await, reach.refusal("no.such.host.invalid", true).await), (None, None));
    }

    #[tokio::test]
    async fn another_network_is_entered_by_who_may() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        match dial_within(std::process::id(), port).await {
            Ok(connected) => {
                let stream = connected.expect("a connection");
                assert_eq!(stream.peer_addr().expect("connected").port(), port);
            }
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{error}"),
        }
    }
}

//! `ec2:DescribeNetworkInterfaces`: the only place where a task's public address can be read.

use std::net::IpAddr;

use super::{Aws, ServiceError};

/// The addresses of one network interface.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Addresses {
    /// Public IPv4 address, once associated.
    pub public_ipv4: Option<IpAddr>,
    /// Private IPv4 address.
    pub private_ipv4: Option<IpAddr>,
    /// First IPv6 address.
    pub ipv6: Option<IpAddr>,
}

/// The interface's addresses; `None` while EC2 does not know the interface.
///
/// # Errors
/// [`ServiceError`].
pub async fn describe_network_interface(aws: &Aws, id: &str) -> Result<Option<Addresses>, ServiceError> {
    let reply = aws.ec2.describe_network_interfaces().network_interface_ids(id).send().await;
    let reply = match reply.map_err(|error| ServiceError::new("ec2:DescribeNetworkInterfaces", &error)) {
        Err(error) if error.code() == Some("InvalidNetworkInterfaceID.NotFound") => return Ok(None),
        other => other?,
    };
    let Some(interface) = reply.network_interfaces().first() else { return Ok(None) };
    let parse = |text: Option<&str>| text.and_then(|text| text.parse().ok());
    Ok(Some(Addresses {
        public_ipv4: parse(interface.association().and_then(|association| association.public_ip())),
        private_ipv4: parse(interface.private_ip_address()),
        ipv6: parse(interface.ipv6_addresses().first().and_then(|address| address.ipv6_address())),
    }))
}

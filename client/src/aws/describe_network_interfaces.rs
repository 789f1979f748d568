//! `ec2:DescribeNetworkInterfaces`: the only place where a task's public address can be read.

use std::collections::BTreeMap;
use std::net::IpAddr;

use aws_sdk_ec2::types::{Filter, NetworkInterface};

use super::{Aws, ServiceError};

/// Most values of one filter (EC2 user guide, "Filter your resources").
pub const FILTER_VALUES_MAX: usize = 200;

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
    Ok(reply.network_interfaces().first().map(Addresses::read))
}

/// Addresses of many interfaces by their ids; those that EC2 does not know are left out.
///
/// # Errors
/// [`ServiceError`].
pub async fn describe_network_interfaces(
    aws: &Aws,
    ids: &[String],
) -> Result<BTreeMap<String, Addresses>, ServiceError> {
    let mut found = BTreeMap::new();
    for batch in ids.chunks(FILTER_VALUES_MAX) {
        // A filter, because one unknown id among named ones would fail the call.
        let filter = Filter::builder().name("network-interface-id").set_values(Some(batch.to_vec())).build();
        let reply = aws.ec2.describe_network_interfaces().filters(filter).send().await;
        let reply = reply.map_err(|error| ServiceError::new("ec2:DescribeNetworkInterfaces", &error))?;
        let interfaces = reply.network_interfaces().iter();
        found.extend(
            interfaces.filter_map(|known| Some((known.network_interface_id()?.to_owned(), Addresses::read(known)))),
        );
    }
    Ok(found)
}

impl Addresses {
    fn read(interface: &NetworkInterface) -> Self {
        let parse = |text: Option<&str>| text.and_then(|text| text.parse().ok());
        Self {
            public_ipv4: parse(interface.association().and_then(|association| association.public_ip())),
            private_ipv4: parse(interface.private_ip_address()),
            ipv6: parse(interface.ipv6_addresses().first().and_then(|address| address.ipv6_address())),
        }
    }
}

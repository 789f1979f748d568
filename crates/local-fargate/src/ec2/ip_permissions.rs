//! `IpPermissions` of a request, checked as EC2 does and taken apart: one permission for each range of addresses.
//!
//! Address ranges over TCP, UDP or all protocols are played; other security groups, prefix lists and ICMP are refused.
//! The messages are those of EC2 as they stand in public bug reports, where there are any.

use ipnet::IpNet;

use crate::error::ApiError;
use crate::protocol::query::Form;

/// Longest description (EC2 API reference, IpRange).
const DESCRIPTION_MAX_CHARS: usize = 255;
/// What a description may hold beside letters and digits (EC2 API reference, IpRange).
const DESCRIPTION_MARKS: &str = " ._-:/()#,@[]+=&;{}!$*";

/// First and last port; `None` for all protocols.
type Ports = Option<(u16, u16)>;

/// What one rule admits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Permission {
    /// As EC2 answers it: `tcp`, `udp` or `-1`.
    pub(crate) protocol: &'static str,
    pub(crate) ports: Ports,
    /// Without host bits: EC2 makes a range canonical instead of refusing it (EC2 API reference, IpRange, which has
    /// 100.68.0.18/18 become 100.68.0.0/18).
    pub(crate) cidr: IpNet,
    pub(crate) description: Option<String>,
}

impl Permission {
    /// `fromPort` and `toPort`: -1 for all protocols (EC2 API reference, SecurityGroupRule).
    pub(super) fn port_numbers(&self) -> (i32, i32) {
        self.ports.map_or((-1, -1), |(from, to)| (from.into(), to.into()))
    }

    /// Whether two are the same rule to EC2: descriptions do not count.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.protocol, self.ports, self.cidr) == (other.protocol, other.ports, other.cidr)
    }

    /// The rule as EC2's messages have it, such as `peer: 203.0.113.7/32, TCP, from port: 22, to port: 22, ALLOW`
    /// (terraform-aws-modules/terraform-aws-security-group, issue 351).
    pub(super) fn words(&self) -> String {
        match self.ports {
            Some((from, to)) => {
                let protocol = self.protocol.to_uppercase();
                format!("peer: {}, {protocol}, from port: {from}, to port: {to}, ALLOW", self.cidr)
            }
            None => format!("peer: {}, ALL, ALLOW", self.cidr),
        }
    }
}

/// The permissions of a request, from `IpPermissions` or from `CidrIp` and its companions.
pub(super) fn read(form: &Form) -> Result<Vec<Permission>, ApiError> {
    let mut permissions = Vec::new();
    for number in 1.. {
        let prefix = format!("IpPermissions.{number}");
        if !form.has_below(&prefix) {
            break;
        }
        permissions.extend(of_set(form, &prefix)?);
    }
    if let Some(cidr) = form.text("CidrIp") {
        let (protocol, ports) = protocol_and_ports(form, "")?;
        permissions.push(Permission { protocol, ports, cidr: v4(cidr)?, description: None });
    }
    if permissions.is_empty() {
        let message = "The request must contain the parameter ipPermissions";
        return Err(ApiError::new("MissingParameter", message));
    }
    let is_repeated = |(at, one): (usize, &Permission)| permissions[..at].iter().any(|other| other.is_same(one));
    if permissions.iter().enumerate().any(is_repeated) {
        // hashicorp/terraform, issue 16876.
        return Err(invalid("The same permission must not appear multiple times"));
    }
    Ok(permissions)
}

fn of_set(form: &Form, prefix: &str) -> Result<Vec<Permission>, ApiError> {
    if ["Groups", "UserIdGroupPairs", "PrefixListIds"].iter().any(|name| form.has_below(&format!("{prefix}.{name}"))) {
        return Err(invalid("only ranges of addresses are played here"));
    }
    let (protocol, ports) = protocol_and_ports(form, &format!("{prefix}."))?;
    let mut permissions = Vec::new();
    for (list, member) in [("IpRanges", "CidrIp"), ("Ipv6Ranges", "CidrIpv6")] {
        for number in 1.. {
            let range = format!("{prefix}.{list}.{number}");
            let Some(text) = form.text(&format!("{range}.{member}")) else { break };
            let cidr = if list == "IpRanges" { v4(text)? } else { v6(text)? };
            let description = form.text(&format!("{range}.Description")).map(description).transpose()?;
            permissions.push(Permission { protocol, ports, cidr, description });
        }
    }
    if permissions.is_empty() {
        return Err(ApiError::new("MissingParameter", "Source group ID missing."));
    }
    Ok(permissions)
}

fn protocol_and_ports(form: &Form, prefix: &str) -> Result<(&'static str, Ports), ApiError> {
    let text = |name: &str| form.text(&format!("{prefix}{name}"));
    let protocol = match text("IpProtocol").unwrap_or_default().to_lowercase().as_str() {
        "tcp" | "6" => "tcp",
        "udp" | "17" => "udp",
        "-1" => return Ok(("-1", None)),
        "icmp" | "1" | "icmpv6" | "58" => return Err(invalid("ICMP is not played here")),
        other => {
            let message = format!("Unsupported IP protocol \"{other}\"  - supported: [icmp, tcp, udp]");
            return Err(ApiError::new("InvalidPermission.Malformed", message));
        }
    };
    let port = |name: &str| match text(name) {
        None => Err(invalid("Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange.")),
        Some(port) => port.parse().map_err(|_| invalid(format!("TCP/UDP port ({port}) out of range"))),
    };
    let (from, to) = (port("FromPort")?, port("ToPort")?);
    if from > to {
        return Err(invalid(format!("Invalid TCP/UDP port range ({from}:{to})")));
    }
    Ok((protocol, Some((from, to))))
}

fn v4(text: &str) -> Result<IpNet, ApiError> {
    text.parse().map(|net: ipnet::Ipv4Net| IpNet::V4(net.trunc())).map_err(|_| malformed(text))
}

fn v6(text: &str) -> Result<IpNet, ApiError> {
    text.parse().map(|net: ipnet::Ipv6Net| IpNet::V6(net.trunc())).map_err(|_| malformed(text))
}

fn malformed(text: &str) -> ApiError {
    invalid(format!("CIDR block {text} is malformed"))
}

fn description(text: &str) -> Result<String, ApiError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || DESCRIPTION_MARKS.contains(c);
    if text.chars().count() > DESCRIPTION_MAX_CHARS || !text.chars().all(allowed) {
        return Err(invalid(format!(
            "Invalid rule description. Valid descriptions are strings less than 256 characters from the following set:  a-zA-Z0-9{DESCRIPTION_MARKS}"
        )));
    }
    Ok(text.to_owned())
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterValue", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A permission for TCP port 22 with these further members.
    fn ssh(members: &str) -> Result<Vec<Permission>, ApiError> {
        let form =
            format!("IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=22&IpPermissions.1.ToPort=22{members}");
        read(&Form::parse(form.as_bytes()))
    }

    fn code(form: &str) -> &'static str {
        read(&Form::parse(form.as_bytes())).map_err(|error| error.code).expect_err("refused")
    }

    #[test]
    fn each_range_is_a_permission_and_loses_its_host_bits() {
        let read = ssh("&IpPermissions.1.IpRanges.1.CidrIp=100.68.0.18/18&IpPermissions.1.IpRanges.1.Description=a+b\
             &IpPermissions.1.IpRanges.2.CidrIp=203.0.113.7/32&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=2001:db8::7/64");
        let read = read.expect("three permissions");
        let seen: Vec<_> = read.iter().map(|one| (one.cidr.to_string(), one.description.as_deref())).collect();
        let want = [("100.68.0.0/18", Some("a b")), ("203.0.113.7/32", None), ("2001:db8::/64", None)];
        assert_eq!(seen, want.map(|(cidr, description)| (cidr.to_owned(), description)));
        assert_eq!(read[1].words(), "peer: 203.0.113.7/32, TCP, from port: 22, to port: 22, ALLOW");
    }

    #[test]
    fn what_ec2_refuses_is_refused() {
        for cidr in ["203.0.113.7", "203.0.113.7/33", "300.0.0.1/32", "2001:db8::/64", "sg-1"] {
            let refused = ssh(&format!("&IpPermissions.1.IpRanges.1.CidrIp={cidr}")).expect_err(cidr);
            assert_eq!(refused.code, "InvalidParameterValue", "{cidr}");
        }
        assert_eq!(ssh("").expect_err("no source").code, "MissingParameter");
        let twice = "&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.1/8&IpPermissions.1.IpRanges.2.CidrIp=10.0.0.2/8";
        assert_eq!(ssh(twice).expect_err("twice").code, "InvalidParameterValue");
        let described = "&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8&IpPermissions.1.IpRanges.1.Description=it's";
        assert_eq!(ssh(described).expect_err("an apostrophe").code, "InvalidParameterValue");
        assert_eq!(code("GroupId=sg-1"), "MissingParameter");
        assert_eq!(code("IpProtocol=tpc&FromPort=22&ToPort=22&CidrIp=10.0.0.0/8"), "InvalidPermission.Malformed");
        assert_eq!(code("IpProtocol=tcp&FromPort=22&CidrIp=10.0.0.0/8"), "InvalidParameterValue");
        assert_eq!(code("IpProtocol=tcp&FromPort=22&ToPort=21&CidrIp=10.0.0.0/8"), "InvalidParameterValue");
        assert_eq!(code("IpProtocol=tcp&FromPort=22&ToPort=65536&CidrIp=10.0.0.0/8"), "InvalidParameterValue");
    }
}

//! `DescribeSubnets`.

use serde_json::{Value, json};

use super::selection::Selection;
use crate::ACCOUNT;
use crate::error::ApiError;
use crate::network::{SUBNETS, Subnet};
use crate::protocol::query::Form;
use crate::state::Shared;

const SELECTION: Selection<'_> = Selection {
    set: "subnetSet",
    ids: ("SubnetId", "subnetId"),
    not_found: ("InvalidSubnetID.NotFound", "The subnet ID '{}' does not exist"),
    filters: &[
        ("vpc-id", &["vpcId"]),
        ("subnet-id", &["subnetId"]),
        ("availability-zone", &["availabilityZone"]),
        ("state", &["state"]),
        ("default-for-az", &["defaultForAz"]),
        ("map-public-ip-on-launch", &["mapPublicIpOnLaunch"]),
        ("cidr-block", &["cidrBlock"]),
        ("ipv6-native", &["ipv6Native"]),
    ],
};

/// Answers a call.
pub(super) fn call(shared: &Shared, form: &Form) -> Result<Value, ApiError> {
    SELECTION.page(SUBNETS.iter().map(|subnet| item(shared, subnet)).collect(), form)
}

fn item(shared: &Shared, subnet: &Subnet) -> Value {
    let region = &shared.config.region;
    let ipv6 = subnet.ipv6_cidr.map(|cidr| {
        json!({
            "associationId": format!("subnet-cidr-assoc-{}", subnet.id),
            "ipv6CidrBlock": cidr,
            "ipv6CidrBlockState": {"state": "associated"},
        })
    });
    let mut item = json!({
        "subnetId": subnet.id,
        "subnetArn": format!("arn:aws:ec2:{region}:{ACCOUNT}:subnet/{}", subnet.id),
        "vpcId": subnet.vpc,
        "state": "available",
        "availabilityZone": shared.zone(subnet.zone),
        "availableIpAddressCount": 250,
        "defaultForAz": false,
        "mapPublicIpOnLaunch": subnet.is_public && subnet.cidr.is_some(),
        "assignIpv6AddressOnCreation": subnet.ipv6_cidr.is_some(),
        "ownerId": ACCOUNT,
        "ipv6Native": subnet.cidr.is_none(),
        "ipv6CidrBlockAssociationSet": ipv6.into_iter().collect::<Vec<_>>(),
        "tagSet": [],
    });
    if let Some(cidr) = subnet.cidr {
        item["cidrBlock"] = cidr.into();
    }
    item
}

//! `ec2:DescribeSubnets`: the ranges of addresses that tasks may get.

use aws_sdk_ec2::types::Subnet;
use ipnet::IpNet;

use super::{Aws, ServiceError};

/// The IPv4 and IPv6 ranges of each of these subnets, in EC2's order.
///
/// # Errors
/// [`ServiceError`]; `InvalidSubnetID.NotFound` when one of them is unknown.
pub async fn describe_subnets(aws: &Aws, ids: &[String]) -> Result<Vec<Vec<IpNet>>, ServiceError> {
    let sent = aws.ec2.describe_subnets().set_subnet_ids(Some(ids.to_vec())).send().await;
    let reply = sent.map_err(|error| ServiceError::new("ec2:DescribeSubnets", &error))?;
    Ok(reply.subnets().iter().map(ranges).collect())
}

fn ranges(subnet: &Subnet) -> Vec<IpNet> {
    let ipv6 = subnet.ipv6_cidr_block_association_set().iter().filter_map(|known| known.ipv6_cidr_block());
    subnet.cidr_block().into_iter().chain(ipv6).filter_map(|text| text.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;

    #[tokio::test]
    async fn a_subnet_has_ranges_of_either_family() {
        let xml = "<DescribeSubnetsResponse><subnetSet><item><subnetId>subnet-1</subnetId><cidrBlock>10.0.1.0/24</cidrBlock>\
                   <ipv6CidrBlockAssociationSet><item><ipv6CidrBlock>2001:db8:0:1::/64</ipv6CidrBlock></item>\
                   </ipv6CidrBlockAssociationSet></item><item><subnetId>subnet-2</subnetId></item></subnetSet>\
                   </DescribeSubnetsResponse>";
        let (aws, asked) = answering(move |_, _| (200, xml.into()));
        let ids = ["subnet-1".to_owned(), "subnet-2".to_owned()];
        let found = describe_subnets(&aws, &ids).await.expect("subnets");
        let range = |text: &str| text.parse::<IpNet>().expect("a range");
        assert_eq!(found, [vec![range("10.0.1.0/24"), range("2001:db8:0:1::/64")], vec![]]);
        assert_eq!(asked.all()[0].1["SubnetId.2"], json!("subnet-2"));
    }
}

//! The made-up VPCs: which subnets and security groups there are, and which belong together.

use crate::error::ApiError;

/// A subnet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subnet {
    pub(crate) id: &'static str,
    pub(crate) vpc: &'static str,
    pub(crate) zone: &'static str,
    pub(crate) cidr: Option<&'static str>,
    pub(crate) ipv6_cidr: Option<&'static str>,
    /// Routed to an internet gateway.
    pub(crate) is_public: bool,
}

/// A security group.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SecurityGroup {
    pub(crate) id: &'static str,
    pub(crate) name: &'static str,
    pub(crate) vpc: &'static str,
}

/// Two public, one private, and one of another VPC.
pub(crate) const SUBNETS: [Subnet; 4] = [
    Subnet { id: "subnet-1", vpc: "vpc-1", zone: "a", cidr: Some("10.0.1.0/24"), ipv6_cidr: None, is_public: true },
    Subnet { id: "subnet-2", vpc: "vpc-1", zone: "b", cidr: Some("10.0.2.0/24"), ipv6_cidr: None, is_public: false },
    Subnet {
        id: "subnet-3",
        vpc: "vpc-1",
        zone: "c",
        cidr: None,
        ipv6_cidr: Some("2001:db8:0:3::/64"),
        is_public: true,
    },
    Subnet { id: "subnet-9", vpc: "vpc-9", zone: "a", cidr: Some("10.9.1.0/24"), ipv6_cidr: None, is_public: true },
];

/// One of our own, the VPC's default, and one of another VPC.
pub(crate) const SECURITY_GROUPS: [SecurityGroup; 3] = [
    SecurityGroup { id: "sg-1", name: "fargate-login", vpc: "vpc-1" },
    SecurityGroup { id: "sg-default", name: "default", vpc: "vpc-1" },
    SecurityGroup { id: "sg-9", name: "elsewhere", vpc: "vpc-9" },
];

/// Most subnets and security groups of an awsvpc configuration (ECS API reference, AwsVpcConfiguration).
const SUBNETS_MAX: usize = 16;
const GROUPS_MAX: usize = 5;

/// Finds the subnet a task is placed in, after the checks that RunTask makes by asking EC2.
pub(crate) fn place(subnets: &[String], groups: &[String]) -> Result<(Subnet, Vec<SecurityGroup>), ApiError> {
    if subnets.is_empty() {
        return Err(ApiError::invalid("subnets can not be empty."));
    }
    if subnets.len() > SUBNETS_MAX || groups.len() > GROUPS_MAX {
        let what = if subnets.len() > SUBNETS_MAX { "subnets" } else { "securityGroups" };
        return Err(ApiError::invalid(format!(
            "{what} can have at most {} items.",
            if what == "subnets" { SUBNETS_MAX } else { GROUPS_MAX }
        )));
    }
    let found: Vec<_> = subnets.iter().map(|id| subnet(id)).collect::<Result<_, _>>()?;
    let groups: Vec<_> = groups.iter().map(|id| group(id)).collect::<Result<_, _>>()?;
    // Not empty: checked above.
    let first = found.first().copied().ok_or_else(|| ApiError::invalid("subnets can not be empty."))?;
    if found.iter().any(|subnet| subnet.vpc != first.vpc) {
        return Err(ApiError::invalid("The subnets supplied must belong to the same VPC."));
    }
    if groups.iter().any(|group| group.vpc != first.vpc) {
        return Err(ApiError::invalid("The security groups and subnets supplied must belong to the same VPC."));
    }
    let default = SECURITY_GROUPS.iter().copied().filter(|group| group.vpc == first.vpc && group.name == "default");
    Ok((first, if groups.is_empty() { default.collect() } else { groups }))
}

fn subnet(id: &str) -> Result<Subnet, ApiError> {
    SUBNETS.into_iter().find(|subnet| subnet.id == id).ok_or_else(|| {
        ApiError::invalid(format!(
            "Error retrieving subnet information for [{id}]: The subnet ID '{id}' does not exist (ErrorCode: InvalidSubnetID.NotFound)"
        ))
    })
}

fn group(id: &str) -> Result<SecurityGroup, ApiError> {
    SECURITY_GROUPS.into_iter().find(|group| group.id == id).ok_or_else(|| {
        ApiError::invalid(format!(
            "Error retrieving security group information for [{id}]: The security group '{id}' does not exist (ErrorCode: InvalidGroup.NotFound)"
        ))
    })
}

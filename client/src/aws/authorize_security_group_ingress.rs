//! `ec2:AuthorizeSecurityGroupIngress`: the request as plain data, so that the plan shows exactly what is sent, and the call that
//! opens a port.

use aws_sdk_ec2::types as ec2;
use serde::Serialize;

use super::run_task::Tag;
use super::{Aws, ServiceError};

/// A request for one rule, with the API's own member names.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IngressRequest {
    /// Security-group id.
    pub group_id: String,
    /// One member: its one range is the rule.
    pub ip_permissions: Vec<IpPermission>,
    /// Tags of the rule; empty when the caller may not tag.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tag_specifications: Vec<TagSpecification>,
}

/// One member of `ipPermissions`.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IpPermission {
    /// `tcp`.
    pub ip_protocol: String,
    /// First port.
    pub from_port: u16,
    /// Last port.
    pub to_port: u16,
    /// IPv4 ranges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ip_ranges: Vec<IpRange>,
    /// IPv6 ranges.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ipv6_ranges: Vec<Ipv6Range>,
}

/// One member of `ipRanges`.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct IpRange {
    /// The range, without host bits.
    pub cidr_ip: String,
    /// At most 255 characters of those that EC2 takes.
    pub description: String,
}

/// One member of `ipv6Ranges`.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Ipv6Range {
    /// The range, without host bits.
    pub cidr_ipv6: String,
    /// At most 255 characters of those that EC2 takes.
    pub description: String,
}

/// One member of `tagSpecifications`.
#[derive(Clone, Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct TagSpecification {
    /// `security-group-rule`.
    pub resource_type: String,
    /// The tags.
    pub tags: Vec<Tag>,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Authorized {
    /// The rule is there, with this id.
    Rule(String),
    /// There is such a rule already (`InvalidPermission.Duplicate`), and this request did not make it; or an earlier sending of
    /// this request did, the answer to which was lost.
    Duplicate,
}

/// Adds the rule. Must run to completion: a dropped future may leave a rule that nobody knows.
///
/// # Errors
/// [`ServiceError`]. The API has no client token: after an answer that was lost, the SDK's next try finds a duplicate.
pub async fn authorize_security_group_ingress(aws: &Aws, request: &IngressRequest) -> Result<Authorized, ServiceError> {
    let permissions = request.ip_permissions.iter().map(|permission| {
        let v4 = permission
            .ip_ranges
            .iter()
            .map(|range| ec2::IpRange::builder().cidr_ip(&range.cidr_ip).description(&range.description).build());
        let v6 = permission
            .ipv6_ranges
            .iter()
            .map(|range| ec2::Ipv6Range::builder().cidr_ipv6(&range.cidr_ipv6).description(&range.description).build());
        let (v4, v6): (Vec<_>, Vec<_>) = (v4.collect(), v6.collect());
        ec2::IpPermission::builder()
            .ip_protocol(&permission.ip_protocol)
            .from_port(permission.from_port.into())
            .to_port(permission.to_port.into())
            .set_ip_ranges((!v4.is_empty()).then_some(v4))
            .set_ipv6_ranges((!v6.is_empty()).then_some(v6))
            .build()
    });
    let specifications = request.tag_specifications.iter().map(|specification| {
        let tags = specification.tags.iter().map(|tag| ec2::Tag::builder().key(&tag.key).value(&tag.value).build());
        ec2::TagSpecification::builder()
            .resource_type(specification.resource_type.as_str().into())
            .set_tags(Some(tags.collect()))
            .build()
    });
    let specifications: Vec<_> = specifications.collect();
    let sent = aws
        .ec2
        .authorize_security_group_ingress()
        .group_id(&request.group_id)
        .set_ip_permissions(Some(permissions.collect()))
        .set_tag_specifications((!specifications.is_empty()).then_some(specifications))
        .send()
        .await;
    match sent.map_err(|error| ServiceError::new("ec2:AuthorizeSecurityGroupIngress", &error)) {
        Err(error) if error.code() == Some("InvalidPermission.Duplicate") => Ok(Authorized::Duplicate),
        Err(error) => Err(error),
        Ok(reply) => match reply.security_group_rules().first().and_then(|rule| rule.security_group_rule_id()) {
            Some(id) => Ok(Authorized::Rule(id.to_owned())),
            // Added, and not told under which id: it is found as after a lost answer.
            None => Ok(Authorized::Duplicate),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::canned::answering;
    use super::*;
    use crate::error::Advice as _;

    fn request() -> IngressRequest {
        let range = IpRange { cidr_ip: "203.0.113.7/32".to_owned(), description: "a run".to_owned() };
        IngressRequest {
            group_id: "sg-1".to_owned(),
            ip_permissions: vec![IpPermission {
                ip_protocol: "tcp".to_owned(),
                from_port: 22,
                to_port: 22,
                ip_ranges: vec![range],
                ipv6_ranges: Vec::new(),
            }],
            tag_specifications: vec![TagSpecification {
                resource_type: "security-group-rule".to_owned(),
                tags: vec![Tag { key: "fargate-login:run".to_owned(), value: "r".to_owned() }],
            }],
        }
    }

    #[tokio::test]
    async fn the_request_names_group_port_range_and_tags_and_the_reply_its_id() {
        let (aws, asked) = answering(|_, _| {
            let rule = "<item><securityGroupRuleId>sgr-1</securityGroupRuleId></item>";
            let members = format!("<return>true</return><securityGroupRuleSet>{rule}</securityGroupRuleSet>");
            (
                200,
                format!("<AuthorizeSecurityGroupIngressResponse>{members}</AuthorizeSecurityGroupIngressResponse>")
                    .into(),
            )
        });
        let done = authorize_security_group_ingress(&aws, &request()).await;
        assert_eq!(done, Ok(Authorized::Rule("sgr-1".to_owned())));
        let (operation, sent) = asked.all().remove(0);
        assert_eq!(operation, "AuthorizeSecurityGroupIngress");
        for (member, value) in [
            ("GroupId", "sg-1"),
            ("IpPermissions.1.IpProtocol", "tcp"),
            ("IpPermissions.1.FromPort", "22"),
            ("IpPermissions.1.ToPort", "22"),
            ("IpPermissions.1.IpRanges.1.CidrIp", "203.0.113.7/32"),
            ("TagSpecification.1.ResourceType", "security-group-rule"),
            ("TagSpecification.1.Tag.1.Key", "fargate-login:run"),
        ] {
            assert_eq!(sent[member], value, "{sent}");
        }
    }

    fn refusing(code: &'static str, message: &'static str) -> Aws {
        let body = format!(
            "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors></Response>"
        );
        answering(move |_, _| (400, Value::from(body.clone()))).0
    }

    #[tokio::test]
    async fn a_duplicate_is_no_error_and_a_refusal_is_advised_on() {
        let aws = refusing("InvalidPermission.Duplicate", "the specified rule already exists");
        assert_eq!(authorize_security_group_ingress(&aws, &request()).await, Ok(Authorized::Duplicate));
        let hint = |error: ServiceError| error.hints().join("; ");
        let aws = refusing("UnauthorizedOperation", "You are not authorized to perform this operation.");
        let error = authorize_security_group_ingress(&aws, &request()).await.expect_err("refused");
        assert!(hint(error.clone()).contains("allow-my-ip.json"), "{}", hint(error));
        let aws = refusing("UnauthorizedOperation", "not authorized to perform: ec2:CreateTags on resource");
        let error = authorize_security_group_ingress(&aws, &request()).await.expect_err("refused");
        assert!(hint(error.clone()).contains("--no-tags"), "{}", hint(error));
    }
}

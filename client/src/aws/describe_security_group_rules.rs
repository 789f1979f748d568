//! `ec2:DescribeSecurityGroupRules`: rules with their tags, by group or by tag.

use aws_sdk_ec2::types::{Filter, SecurityGroupRule};

use super::{Aws, ServiceError};

/// An inbound rule, as far as it matters whose it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngressRule {
    /// `sgr-...`.
    pub id: String,
    /// Its group.
    pub group: String,
    /// IPv4 or IPv6 range; `None` when another group or a prefix list is admitted.
    pub cidr: Option<String>,
    /// Its description.
    pub description: String,
    /// Keys and values.
    pub tags: Vec<(String, String)>,
}

impl IngressRule {
    /// Value of a tag.
    #[must_use]
    pub fn tag(&self, key: &str) -> Option<&str> {
        self.tags.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    fn read(rule: &SecurityGroupRule) -> Option<Self> {
        let tags = rule.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())));
        Some(Self {
            id: rule.security_group_rule_id()?.to_owned(),
            group: rule.group_id()?.to_owned(),
            cidr: rule.cidr_ipv4().or(rule.cidr_ipv6()).map(str::to_owned),
            description: rule.description().unwrap_or_default().to_owned(),
            tags: tags.collect(),
        })
    }
}

/// All inbound rules that the filter lets through, such as `("group-id", "sg-1")` or `("tag-key", "owner")`.
///
/// # Errors
/// [`ServiceError`].
pub async fn describe_security_group_rules(
    aws: &Aws,
    (name, value): (&str, &str),
) -> Result<Vec<IngressRule>, ServiceError> {
    let filter = Filter::builder().name(name).values(value).build();
    let mut pages =
        aws.ec2.describe_security_group_rules().filters(filter).max_results(PAGE).into_paginator().items().send();
    let mut rules = Vec::new();
    while let Some(rule) = pages.next().await {
        let rule = rule.map_err(|error| ServiceError::new("ec2:DescribeSecurityGroupRules", &error))?;
        if rule.is_egress() != Some(true) {
            rules.extend(IngressRule::read(&rule));
        }
    }
    Ok(rules)
}

/// Most rules of one answer (EC2 API reference, DescribeSecurityGroupRules).
const PAGE: i32 = 1000;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::canned::answering;
    use super::*;

    fn item(id: &str, egress: bool) -> String {
        format!(
            "<item><securityGroupRuleId>{id}</securityGroupRuleId><groupId>sg-1</groupId><isEgress>{egress}</isEgress>\
             <cidrIpv6>2001:db8::7/128</cidrIpv6><tagSet><item><key>k</key><value>v</value></item></tagSet></item>"
        )
    }

    #[tokio::test]
    async fn inbound_rules_of_all_pages_are_read() {
        let (aws, asked) = answering(|_, request| {
            let (items, next) = match request.get("NextToken") {
                None => (item("sgr-1", false) + &item("sgr-2", true), "<nextToken>2</nextToken>"),
                Some(_) => (item("sgr-3", false), ""),
            };
            let members = format!("<securityGroupRuleSet>{items}</securityGroupRuleSet>{next}");
            let body = format!("<DescribeSecurityGroupRulesResponse>{members}</DescribeSecurityGroupRulesResponse>");
            (200, Value::from(body))
        });
        let rules = describe_security_group_rules(&aws, ("tag-key", "k")).await.expect("rules");
        assert_eq!(rules.iter().map(|rule| rule.id.as_str()).collect::<Vec<_>>(), ["sgr-1", "sgr-3"]);
        assert_eq!((rules[0].tag("k"), rules[0].tag("l")), (Some("v"), None));
        assert_eq!(rules[0].cidr.as_deref(), Some("2001:db8::7/128"));
        let sent = &asked.all()[0].1;
        assert_eq!((&sent["Filter.1.Name"], &sent["Filter.1.Value.1"]), (&Value::from("tag-key"), &Value::from("k")));
    }
}

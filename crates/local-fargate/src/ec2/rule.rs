//! Inbound rules of security groups, as EC2 keeps them: one for each range of addresses, with an id of its own.

use ipnet::IpNet;
use serde_json::{Value, json};

use super::ip_permissions::Permission;
use crate::ACCOUNT;
use crate::state::Shared;

/// An inbound rule that is in force; nothing enforces it here.
#[derive(Clone, Debug)]
pub(crate) struct Rule {
    /// `sgr-` and 17 hexadecimal digits.
    pub(crate) id: String,
    /// Id of its group.
    pub(crate) group: String,
    pub(crate) permission: Permission,
    /// Keys and values, in the order in which they came.
    pub(crate) tags: Vec<(String, String)>,
}

/// An inbound rule, as tests look at it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSummary {
    /// `sgr-` and 17 hexadecimal digits.
    pub id: String,
    /// Id of its security group.
    pub group: String,
    /// `tcp`, `udp`, or `-1` for all protocols.
    pub protocol: String,
    /// First and last port; `None` for all protocols.
    pub ports: Option<(u16, u16)>,
    /// From where.
    pub cidr: IpNet,
    /// What it is for.
    pub description: Option<String>,
    /// Keys and values.
    pub tags: Vec<(String, String)>,
}

impl Rule {
    /// What tests see of it.
    pub(crate) fn summary(&self) -> RuleSummary {
        RuleSummary {
            id: self.id.clone(),
            group: self.group.clone(),
            protocol: self.permission.protocol.to_owned(),
            ports: self.permission.ports,
            cidr: self.permission.cidr,
            description: self.permission.description.clone(),
            tags: self.tags.clone(),
        }
    }

    /// A SecurityGroupRule of the model.
    pub(super) fn item(&self, shared: &Shared) -> Value {
        let mut item = self.revoked_item();
        let tags: Vec<_> = self.tags.iter().map(|(key, value)| json!({"key": key, "value": value})).collect();
        let region = &shared.config.region;
        item["groupOwnerId"] = ACCOUNT.into();
        item["tagSet"] = tags.into();
        item["securityGroupRuleArn"] = format!("arn:aws:ec2:{region}:{ACCOUNT}:security-group-rule/{}", self.id).into();
        item
    }

    /// A RevokedSecurityGroupRule of the model, which has neither owner nor tags.
    pub(super) fn revoked_item(&self) -> Value {
        let (from, to) = self.permission.port_numbers();
        let mut item = json!({
            "securityGroupRuleId": self.id,
            "groupId": self.group,
            "isEgress": false,
            "ipProtocol": self.permission.protocol,
            "fromPort": from,
            "toPort": to,
        });
        let family = if matches!(self.permission.cidr, IpNet::V4(_)) { "cidrIpv4" } else { "cidrIpv6" };
        item[family] = self.permission.cidr.to_string().into();
        if let Some(description) = &self.permission.description {
            item["description"] = description.as_str().into();
        }
        item
    }
}

/// The rules of a group as `ipPermissions` of DescribeSecurityGroups: those of one protocol and port range together.
pub(super) fn permissions<'a>(rules: impl Iterator<Item = &'a Rule>) -> Value {
    let mut sets: Vec<Value> = Vec::new();
    for Permission { cidr, description, protocol, ports } in rules.map(|rule| &rule.permission) {
        let (list, name) =
            if matches!(cidr, IpNet::V4(_)) { ("ipRanges", "cidrIp") } else { ("ipv6Ranges", "cidrIpv6") };
        let mut range = json!({name: cidr.to_string()});
        if let Some(description) = description {
            range["description"] = description.as_str().into();
        }
        let mut empty =
            json!({"ipProtocol": protocol, "groups": [], "ipRanges": [], "ipv6Ranges": [], "prefixListIds": []});
        if let Some((from, to)) = ports {
            empty["fromPort"] = (*from).into();
            empty["toPort"] = (*to).into();
        }
        let is_same =
            |set: &&mut Value| ["ipProtocol", "fromPort", "toPort"].iter().all(|key| set.get(*key) == empty.get(*key));
        match sets.iter_mut().find(is_same).and_then(|set| set[list].as_array_mut()) {
            Some(ranges) => ranges.push(range),
            None => {
                empty[list] = json!([range]);
                sets.push(empty);
            }
        }
    }
    sets.into()
}

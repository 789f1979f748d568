//! Rules from their making to their end, on a stand-in that nobody listens to.

use std::net::{Ipv4Addr, SocketAddr};

use serde_json::Value;

use super::call;
use crate::config::Config;
use crate::fault::Fault;
use crate::launcher::Launcher;
use crate::protocol::query::Form;
use crate::state::Shared;

const SSH: &str = "GroupId=sg-1&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=22&IpPermissions.1.ToPort=22";

async fn shared() -> Shared {
    let launcher = Launcher::new(&crate::Launcher::Process).await.expect("needs nothing");
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Shared::new(Config::default(), nowhere, std::path::PathBuf::new(), launcher)
}

fn ask(shared: &Shared, action: &str, form: &str) -> Result<Value, &'static str> {
    call(shared, action, &Form::parse(form.as_bytes())).map_err(|error| error.code)
}

fn authorize(shared: &Shared, members: &str) -> Result<Value, &'static str> {
    ask(shared, "AuthorizeSecurityGroupIngress", &format!("{SSH}{members}"))
}

fn ids(reply: &Value) -> Vec<String> {
    let rules = reply["securityGroupRuleSet"].as_array().expect("rules");
    rules.iter().map(|rule| rule["securityGroupRuleId"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test]
async fn a_rule_is_made_shown_and_revoked_by_its_id() {
    let shared = shared().await;
    let made = authorize(
        &shared,
        "&IpPermissions.1.IpRanges.1.CidrIp=203.0.113.7/24&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=2001:db8::7/128\
         &TagSpecification.1.ResourceType=security-group-rule&TagSpecification.1.Tag.1.Key=run&TagSpecification.1.Tag.1.Value=r",
    );
    let ids = ids(&made.expect("two rules"));
    assert!(ids.len() == 2 && ids[0] != ids[1] && ids.iter().all(|id| id.len() == 21), "{ids:?}");
    let group = ask(&shared, "DescribeSecurityGroups", "GroupId.1=sg-1").expect("the group");
    let shown = &group["securityGroupInfo"][0]["ipPermissions"];
    assert_eq!(shown.as_array().map(Vec::len), Some(1), "one set for one port: {shown}");
    assert_eq!(shown[0]["ipRanges"][0]["cidrIp"], "203.0.113.0/24");
    assert_eq!(shown[0]["ipv6Ranges"][0]["cidrIpv6"], "2001:db8::7/128");
    let of_run = ask(&shared, "DescribeSecurityGroupRules", "Filter.1.Name=tag:run&Filter.1.Value.1=r").expect("rules");
    assert_eq!(of_run["securityGroupRuleSet"].as_array().map(Vec::len), Some(2));
    let revoke =
        |id: &str| ask(&shared, "RevokeSecurityGroupIngress", &format!("GroupId=sg-1&SecurityGroupRuleId.1={id}"));
    let revoked = revoke(&ids[0]).expect("revoked");
    assert_eq!(revoked["revokedSecurityGroupRuleSet"][0]["securityGroupRuleId"], ids[0].as_str());
    assert_eq!(revoke(&ids[0]), Err("InvalidSecurityGroupRuleId.NotFound"));
    assert_eq!(revoke("rule-1"), Err("InvalidSecurityGroupRuleId.Malformed"));
    let elsewhere = format!("GroupId=sg-9&SecurityGroupRuleId.1={}", ids[1]);
    assert_eq!(ask(&shared, "RevokeSecurityGroupIngress", &elsewhere), Err("InvalidSecurityGroupRuleId.NotFound"));
    let left: Vec<_> = shared.lock().rules.iter().map(|rule| rule.id.clone()).collect();
    assert_eq!(left, [ids[1].clone()]);
}

#[tokio::test]
async fn a_rule_is_there_once_and_a_request_is_done_whole_or_not() {
    let shared = shared().await;
    authorize(&shared, "&IpPermissions.1.IpRanges.1.CidrIp=100.68.0.0/18").expect("the first");
    let again = "&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.0/8&IpPermissions.1.IpRanges.2.CidrIp=100.68.0.18/18";
    assert_eq!(authorize(&shared, again), Err("InvalidPermission.Duplicate"));
    assert_eq!(shared.lock().rules.len(), 1);
    let by_permission = |cidr: &str| {
        ask(&shared, "RevokeSecurityGroupIngress", &format!("{SSH}&IpPermissions.1.IpRanges.1.CidrIp={cidr}"))
    };
    assert_eq!(by_permission("10.0.0.0/8"), Err("InvalidPermission.NotFound"));
    assert!(by_permission("100.68.0.18/18").is_ok());
    assert!(shared.lock().rules.is_empty());
}

#[tokio::test]
async fn a_group_holds_sixty_rules_of_each_family() {
    let shared = shared().await;
    for number in 1..=60 {
        authorize(&shared, &format!("&IpPermissions.1.IpRanges.1.CidrIp=10.0.0.{number}/32")).expect("a rule");
    }
    let more = "&IpPermissions.1.IpRanges.1.CidrIp=10.0.1.1/32";
    assert_eq!(authorize(&shared, more), Err("RulesPerSecurityGroupLimitExceeded"));
    assert!(authorize(&shared, "&IpPermissions.1.Ipv6Ranges.1.CidrIpv6=2001:db8::1/128").is_ok());
}

#[tokio::test]
async fn groups_permissions_and_dry_runs_are_checked_first() {
    let shared = shared().await;
    let ssh = "IpProtocol=tcp&FromPort=22&ToPort=22&CidrIp=10.0.0.0/8";
    let of_group = |group: &str| ask(&shared, "AuthorizeSecurityGroupIngress", &format!("{group}{ssh}"));
    assert_eq!(of_group("GroupId=sg-404&"), Err("InvalidGroup.NotFound"));
    assert_eq!(of_group("GroupId=group&"), Err("InvalidGroupId.Malformed"));
    assert_eq!(of_group(""), Err("MissingParameter"));
    assert_eq!(of_group("GroupId=sg-1&DryRun=true&"), Err("DryRunOperation"));
    let tags = "TagSpecification.1.ResourceType=security-group-rule&TagSpecification.1.Tag.1.Key=a&";
    shared.lock().faults.push(Fault::AccessDenied { action: "ec2:CreateTags".to_owned() });
    assert_eq!(of_group(&format!("GroupId=sg-1&{tags}")), Err("UnauthorizedOperation"));
    assert!(shared.lock().rules.is_empty());
    assert!(of_group("GroupId=sg-1&").is_ok(), "without tags nothing is asked of CreateTags");
}

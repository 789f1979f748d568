//! `ec2:RevokeSecurityGroupIngress`: closes what one rule opened, by the rule's id. Asking twice is harmless.

use super::{Aws, ServiceError};

/// Codes that say that the rule is gone already, alone or with its group. moto says the second of an id.
const GONE: [&str; 3] = ["InvalidSecurityGroupRuleId.NotFound", "InvalidPermission.NotFound", "InvalidGroup.NotFound"];

/// Takes the rule away.
///
/// # Errors
/// [`ServiceError`]. A rule that is gone already counts as revoked.
pub async fn revoke_security_group_ingress(aws: &Aws, group: &str, rule: &str) -> Result<(), ServiceError> {
    let sent = aws.ec2.revoke_security_group_ingress().group_id(group).security_group_rule_ids(rule).send().await;
    match sent.map_err(|error| ServiceError::new("ec2:RevokeSecurityGroupIngress", &error)) {
        Err(error) if error.code().is_some_and(|code| GONE.contains(&code)) => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::super::canned::answering;
    use super::*;

    #[tokio::test]
    async fn exactly_the_named_rule_is_revoked_and_one_that_is_gone_is_no_error() {
        let (aws, asked) = answering(|_, request| {
            let body = if request["SecurityGroupRuleId.1"] == "sgr-1" {
                (200, "<RevokeSecurityGroupIngressResponse><return>true</return></RevokeSecurityGroupIngressResponse>")
            } else {
                let error = "<Code>InvalidSecurityGroupRuleId.NotFound</Code><Message>no</Message>";
                (400, &*format!("<Response><Errors><Error>{error}</Error></Errors></Response>").leak())
            };
            (body.0, Value::from(body.1))
        });
        revoke_security_group_ingress(&aws, "sg-1", "sgr-1").await.expect("revoked");
        revoke_security_group_ingress(&aws, "sg-1", "sgr-2").await.expect("gone");
        let (operation, sent) = asked.all().remove(0);
        assert_eq!((operation.as_str(), &sent["GroupId"]), ("RevokeSecurityGroupIngress", &Value::from("sg-1")));
        assert!(sent.get("SecurityGroupRuleId.2").is_none(), "{sent}");
    }
}

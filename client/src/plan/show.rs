//! `--dry-run`: the request, the calls and the price, as one JSON document for people and machines.

use serde_json::{Value, json};

use super::Plan;
use super::ingress::Ingress;
use crate::aws::describe_task_definition::TaskDefinition;
use crate::ssh::host_key::HostKey;

impl Plan {
    /// The plan as JSON. The key and the seed in it belong to a run that will never be: they open nothing.
    #[must_use]
    pub fn to_json(&self, definition: Option<&TaskDefinition>, caller: Option<&str>, region: &str) -> Value {
        let size = self.size(definition.and_then(TaskDefinition::cpu), definition.and_then(TaskDefinition::memory));
        let arm64 = definition.is_some_and(TaskDefinition::is_arm64);
        let size = size.map(|size| crate::price::Size { arm64, ..size });
        json!({
            "region": region,
            "caller": caller,
            "taskDefinition": definition.map(TaskDefinition::arn),
            "authorizeSecurityGroupIngress": self.ingress.as_ref().map(Ingress::requests),
            "runTask": self.request,
            "calls": self.calls(),
            "ssh": {
                "user": self.user,
                "port": self.port,
                "hostKey": match &self.host_key {
                    HostKey::Pinned(_) => "pinned",
                    HostKey::AcceptNew => "accept-new",
                },
            },
            "price": size.map(|size| json!({
                "usdPerHour": (size.per_hour() * 1e6).round() / 1e6,
                "basis": "estimate from the us-east-1 on-demand price list",
                "spot": self.may_be_spot(),
                "publicIpv4": size.public_ipv4,
            })),
            "endsByItself": {
                "maxLifetimeSeconds": self.max_lifetime.as_secs(),
            },
        })
    }

    fn may_be_spot(&self) -> bool {
        self.request.capacity_provider_strategy.iter().any(|provider| provider.capacity_provider == "FARGATE_SPOT")
    }

    fn calls(&self) -> Vec<&'static str> {
        let mut calls = Vec::new();
        if !self.request.tags.is_empty() {
            calls.push("sts:GetCallerIdentity");
        }
        if let Some(ingress) = &self.ingress {
            calls.push("ec2:AuthorizeSecurityGroupIngress");
            if !ingress.tags.is_empty() {
                calls.push("ec2:CreateTags (permission only)");
            }
        }
        calls.extend(["ecs:RunTask", "ecs:DescribeTasks"]);
        if !self.request.tags.is_empty() {
            calls.push("ecs:TagResource (permission only)");
        }
        if self.public {
            calls.push("ec2:DescribeNetworkInterfaces");
        }
        calls.push("ecs:StopTask");
        calls.extend(self.ingress.as_ref().map(|_| "ec2:RevokeSecurityGroupIngress"));
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{given, options};
    use super::*;
    use crate::options::Options;

    #[test]
    fn the_request_is_shown_with_the_apis_own_names() {
        let options = Options { cpu: Some(256), memory: Some(512), ephemeral_storage: Some(30), ..options() };
        let json = Plan::new(options, given()).expect("a plan").to_json(None, None, "eu-west-1");
        let request = &json["runTask"];
        assert_eq!(request["launchType"], "FARGATE");
        assert_eq!(request["networkConfiguration"]["awsvpcConfiguration"]["assignPublicIp"], "ENABLED");
        assert_eq!(request["overrides"]["ephemeralStorage"]["sizeInGiB"], 30);
        assert_eq!(request["overrides"]["containerOverrides"][0]["name"], "cli");
        assert_eq!(json["price"]["usdPerHour"], 0.018_453);
    }
}

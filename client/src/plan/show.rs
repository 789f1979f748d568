//! `--dry-run`: the request, the calls and the price, as one JSON document for people and machines.

use serde_json::{Value, json};

use super::Plan;
use super::ingress::Ingress;
use crate::aws::describe_task_definition::TaskDefinition;
use crate::forward::Forwards;
use crate::forward::spec::{Forward, Purpose, RemoteForward};

impl Plan {
    /// The plan as JSON. The key and the seed in it belong to a run that will never be: they open nothing.
    #[must_use]
    pub fn to_json(&self, definition: Option<&TaskDefinition>, caller: Option<&str>, region: &str) -> Value {
        let size = self.size(definition.and_then(TaskDefinition::cpu), definition.and_then(TaskDefinition::memory));
        let arm64 = definition.is_some_and(TaskDefinition::is_arm64);
        let size = size.map(|size| crate::price::Size { arm64, ..size });
        let mut plan = json!({
            "region": region,
            "caller": caller,
            "taskDefinition": definition.map(TaskDefinition::arn),
            "authorizeSecurityGroupIngress": self.ingress.as_ref().map(Ingress::requests),
            "runTask": self.request,
            "calls": self.calls(),
            "route": {
                "via": self.via.name(),
                "reason": self.via.reason,
                "sessions": self.via.is_ssm().then_some(self.ssm_sessions),
            },
            "ssh": {
                "user": self.user,
                "port": self.port,
                "hostKey": self.host_key.mode(),
                "hostKeyLog": self.host_key.log().map(|place| json!({
                    "group": place.group,
                    "stream": place.stream("TASK").stream,
                    "region": place.region,
                })),
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
        });
        if !self.forwards.is_empty() {
            plan["forwards"] = self.forwards();
        }
        plan
    }

    fn forwards(&self) -> Value {
        let Forwards { local, dynamic, remote, agent, .. } = &self.forwards;
        let of_local =
            |Forward { listen, target }: &Forward| json!({"listen": listen.to_string(), "target": target.to_string()});
        let of_remote = |RemoteForward { listen, purpose }: &RemoteForward| {
            let target = match purpose {
                Purpose::Fixed(target) => Some(target.to_string()),
                Purpose::Socks => None,
            };
            json!({"listen": listen.to_string(), "target": target})
        };
        json!({
            "local": local.iter().map(of_local).collect::<Value>(),
            "dynamic": dynamic.iter().map(ToString::to_string).collect::<Value>(),
            "remote": remote.iter().map(of_remote).collect::<Value>(),
            "agent": agent,
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
        calls.extend(self.via.asked_for_subnets.then_some("ec2:DescribeSubnets"));
        if let Some(ingress) = &self.ingress {
            calls.push("ec2:AuthorizeSecurityGroupIngress");
            if !ingress.tags.is_empty() {
                calls.push("ec2:CreateTags (permission only)");
            }
        }
        let log = self.host_key.log();
        calls.extend(log.map(|_| "ecs:DescribeTaskDefinition"));
        calls.extend(["ecs:RunTask", "ecs:DescribeTasks"]);
        if !self.request.tags.is_empty() {
            calls.push("ecs:TagResource (permission only)");
        }
        if self.via.is_ssm() {
            calls.extend(["ssm:StartSession", "ssmmessages:OpenDataChannel", "ssm:ResumeSession (after a cut)"]);
        } else if self.public {
            calls.push("ec2:DescribeNetworkInterfaces");
        }
        calls.extend(log.map(|_| "logs:GetLogEvents"));
        calls.extend(self.via.is_ssm().then_some("ssm:TerminateSession (unless the agent ends the session)"));
        calls.push("ecs:StopTask");
        calls.extend(self.ingress.as_ref().map(|_| "ec2:RevokeSecurityGroupIngress"));
        calls
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{given, options, place};
    use super::*;
    use crate::options::{HostKeyMode, Options};
    use crate::plan::Given;

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
        assert!(json.get("forwards").is_none());
        assert_eq!((&json["ssh"]["hostKey"], &json["ssh"]["hostKeyLog"]), (&"pinned".into(), &Value::Null));
    }

    #[test]
    fn a_host_key_in_the_log_takes_two_calls_more() {
        let options = Options { host_key: Some(HostKeyMode::Logs), ..options() };
        let given = Given { log: Some(place()), ..given() };
        let json = Plan::new(options, given).expect("a plan").to_json(None, None, "eu-west-1");
        let log = json!({"group": "/ecs/cli", "stream": "p/cli/TASK", "region": "eu-west-1"});
        assert_eq!((&json["ssh"]["hostKey"], &json["ssh"]["hostKeyLog"]), (&"logs".into(), &log));
        let calls: Vec<_> = json["calls"].as_array().expect("calls").iter().filter_map(Value::as_str).collect();
        let at = |name: &str| calls.iter().position(|call| *call == name).expect("that call");
        assert!(at("ecs:DescribeTaskDefinition") < at("ecs:RunTask") && at("ecs:RunTask") < at("logs:GetLogEvents"));
    }

    #[test]
    fn forwards_are_shown() {
        let local = vec![Forward::parse("*:0:[::1]:5432").expect("a forward")];
        let remote = ["1080", "80:db:81"].map(|spec| RemoteForward::parse(spec).expect("a forward")).into();
        let options = Options { forwards: Forwards { local, remote, ..Forwards::default() }, ..options() };
        let json = Plan::new(options, given()).expect("a plan").to_json(None, None, "eu-west-1");
        assert_eq!(json["forwards"]["local"], json!([{"listen": "*:0", "target": "[::1]:5432"}]));
        let remote = json!([{"listen": "port 1080", "target": null}, {"listen": "port 80", "target": "db:81"}]);
        assert_eq!(json["forwards"]["remote"], remote);
    }
}

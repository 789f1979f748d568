//! Who is let in for the run: the rules that are asked for, one for each range, and what they say of themselves.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;

use super::{Given, tag_value};
use crate::aws::authorize_security_group_ingress::{
    IngressRequest, IpPermission, IpRange, Ipv6Range, TagSpecification,
};
use crate::aws::run_task::Tag;
use crate::error::Advice;
use crate::options::Options;
use crate::ready::route::Route;

/// Tag that every rule of ours has: the run it is for.
pub const RUN_TAG: &str = "fargate-login:run";
/// Tag with the cluster that the run's task is in.
pub const CLUSTER_TAG: &str = "fargate-login:cluster";
/// Tag with the time at which the rule was asked for.
pub const CREATED_TAG: &str = "fargate-login:created";
/// Tag with the time at which the run is over in any case.
pub const EXPIRES_TAG: &str = "fargate-login:expires";

/// The rules of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ingress {
    /// The group that they are added to.
    pub group: String,
    /// How many groups the task has.
    pub groups: usize,
    /// Port that they open.
    pub port: u16,
    /// One rule for each.
    pub cidrs: Vec<IpNet>,
    /// What each says: also how a rule is found whose id was lost on the way.
    pub description: String,
    /// Empty when the caller may not tag.
    pub tags: Vec<Tag>,
}

/// Why nobody can be let in. All of these are wrong usage.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IngressError {
    /// There is no group to add a rule to.
    #[error("no security group is named that could let anybody in")]
    NoSecurityGroup,
}

impl Advice for IngressError {
    fn hints(&self) -> Vec<String> {
        vec!["`--allow-my-ip` and `--allow-cidr` add a rule to the first group of `-sg`: name one".to_owned()]
    }
}

/// Whether the options can be met, before anything is looked up for them.
///
/// # Errors
/// [`IngressError`].
pub fn check(options: &Options) -> Result<(), IngressError> {
    let is_asked = options.allow_my_ip || !options.allow_cidrs.is_empty();
    if is_asked && options.security_groups.is_empty() { Err(IngressError::NoSecurityGroup) } else { Ok(()) }
}

impl Ingress {
    /// The rules that the options ask for; `None` when they ask for none. `life` is the longest time from now to the end of
    /// the run.
    #[must_use]
    pub fn new(options: &Options, given: &Given, cluster: &str, port: u16, life: Duration) -> Option<Self> {
        let mut cidrs: Vec<IpNet> = Vec::new();
        for cidr in given.my_ip.map(IpNet::from).into_iter().chain(options.allow_cidrs.iter().copied()) {
            if !cidrs.contains(&cidr) {
                cidrs.push(cidr);
            }
        }
        let group = options.security_groups.first().filter(|_| !cidrs.is_empty())?.clone();
        // Both are far from the year 9999, up to which a timestamp goes.
        let expires = given.now.checked_add(life).unwrap_or(given.now);
        let description = format!("fargate-login run {}, until {}", given.run, written(expires));
        let tag = |key: &str, value: &str| Tag { key: key.to_owned(), value: tag_value(value) };
        let mut tags = Vec::new();
        if !options.no_tags {
            tags.extend([
                tag(RUN_TAG, &given.run),
                tag("fargate-login:version", env!("CARGO_PKG_VERSION")),
                tag(CLUSTER_TAG, cluster),
                tag(CREATED_TAG, &written(given.now)),
                tag(EXPIRES_TAG, &written(expires)),
            ]);
            tags.extend(given.caller.as_deref().map(|caller| tag("fargate-login:caller", caller)));
        }
        Some(Self { group, groups: options.security_groups.len(), port, cidrs, description, tags })
    }

    /// The request for one of the ranges.
    #[must_use]
    pub fn request(&self, cidr: IpNet) -> IngressRequest {
        let (cidr_text, description) = (cidr.to_string(), self.description.clone());
        let (ip_ranges, ipv6_ranges) = match cidr {
            IpNet::V4(_) => (vec![IpRange { cidr_ip: cidr_text, description }], Vec::new()),
            IpNet::V6(_) => (Vec::new(), vec![Ipv6Range { cidr_ipv6: cidr_text, description }]),
        };
        let permission = IpPermission {
            ip_protocol: "tcp".to_owned(),
            from_port: self.port,
            to_port: self.port,
            ip_ranges,
            ipv6_ranges,
        };
        let tags = TagSpecification { resource_type: "security-group-rule".to_owned(), tags: self.tags.clone() };
        IngressRequest {
            group_id: self.group.clone(),
            ip_permissions: vec![permission],
            tag_specifications: if self.tags.is_empty() { Vec::new() } else { vec![tags] },
        }
    }

    /// The requests, one for each range.
    #[must_use]
    pub fn requests(&self) -> Vec<IngressRequest> {
        self.cidrs.iter().map(|cidr| self.request(*cidr)).collect()
    }

    /// What is wrong with the rules for a task at these addresses; `None` when one of them can be reached through one rule.
    #[must_use]
    pub fn mismatch(&self, route: &Route) -> Option<String> {
        let is_of_family = |address: IpAddr| self.cidrs.iter().any(|cidr| cidr.addr().is_ipv4() == address.is_ipv4());
        if route.addresses().iter().any(|address| is_of_family(address.ip())) {
            return None;
        }
        let (task, rules) = if self.cidrs.iter().any(|cidr| cidr.addr().is_ipv4()) { (6, 4) } else { (4, 6) };
        let ranges: Vec<_> = self.cidrs.iter().map(ToString::to_string).collect();
        Some(format!(
            "the task has an IPv{task} address only, and the rule admits IPv{rules} only ({}): give your IPv{task} address \
             with `--allow-cidr`, or an `--my-ip-url` that is reached over IPv{task}",
            ranges.join(", ")
        ))
    }
}

/// A time as tags and descriptions have it: UTC, to the second.
fn written(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{given, options};
    use super::*;

    fn ingress(options: &Options, my_ip: Option<&str>) -> Option<Ingress> {
        let my_ip = my_ip.map(|text| text.parse().expect("an address"));
        let now = "2026-11-21T14:00:00Z".parse().expect("a time");
        Ingress::new(options, &Given { my_ip, now, ..given() }, "tools", 2222, Duration::from_secs(3600))
    }

    fn asking(cidrs: &[&str]) -> Options {
        let allow_cidrs = cidrs.iter().map(|cidr| cidr.parse().expect("a range")).collect();
        Options { allow_cidrs, ..options() }
    }

    #[test]
    fn an_address_is_one_rule_that_names_its_run_and_its_end() {
        let ingress = ingress(&options(), Some("203.0.113.7")).expect("a rule");
        let json = serde_json::to_value(ingress.requests()).expect("JSON");
        assert_eq!(json.as_array().map(Vec::len), Some(1));
        let permission = &json[0]["ipPermissions"][0];
        assert_eq!(
            (&json[0]["groupId"], &permission["fromPort"], &permission["toPort"]),
            (&"sg-1".into(), &2222.into(), &2222.into())
        );
        assert_eq!(permission["ipRanges"][0]["cidrIp"], "203.0.113.7/32");
        assert!(permission.get("ipv6Ranges").is_none());
        let description = permission["ipRanges"][0]["description"].as_str().expect("a description");
        assert_eq!(description, format!("fargate-login run {}, until 2026-11-21T15:00:00Z", given().run));
        let tags = json[0]["tagSpecifications"][0]["tags"].as_array().expect("tags").clone();
        let value = |key: &str| tags.iter().find(|tag| tag["key"] == key).map(|tag| tag["value"].as_str());
        assert_eq!(value(RUN_TAG), Some(Some(given().run.as_str())));
        assert_eq!((value(CLUSTER_TAG), value(CREATED_TAG)), (Some(Some("tools")), Some(Some("2026-11-21T14:00:00Z"))));
        assert_eq!(value(EXPIRES_TAG), Some(Some("2026-11-21T15:00:00Z")));
        assert_eq!(value("fargate-login:caller"), Some(Some("arn:aws:iam::000000000000:user/o_neil")));
    }

    #[test]
    fn ranges_are_a_rule_each_and_once() {
        let asked = asking(&["10.0.0.0/8", "2001:db8::/64", "203.0.113.7/32"]);
        let ingress = ingress(&asked, Some("203.0.113.7")).expect("rules");
        let cidrs: Vec<_> = ingress.cidrs.iter().map(ToString::to_string).collect();
        assert_eq!(cidrs, ["203.0.113.7/32", "10.0.0.0/8", "2001:db8::/64"]);
        let request = ingress.request(ingress.cidrs[2]);
        assert_eq!(request.ip_permissions[0].ipv6_ranges[0].cidr_ipv6, "2001:db8::/64");
        assert!(request.ip_permissions[0].ip_ranges.is_empty());
    }

    #[test]
    fn without_tags_none_are_sent_and_without_ranges_there_is_no_rule() {
        let untagged = ingress(&Options { no_tags: true, ..asking(&["10.0.0.0/8"]) }, None).expect("a rule");
        assert!(untagged.requests()[0].tag_specifications.is_empty());
        assert_eq!(ingress(&options(), None), None);
        let nowhere = Options { security_groups: Vec::new(), allow_my_ip: true, ..options() };
        assert_eq!(check(&nowhere), Err(IngressError::NoSecurityGroup));
        assert_eq!(check(&Options { allow_my_ip: false, ..nowhere }), Ok(()));
    }

    #[test]
    fn a_rule_of_the_other_family_is_told() {
        let ingress = ingress(&options(), Some("203.0.113.7")).expect("a rule");
        let route = |address: &str| Route::Direct(vec![address.parse().expect("an address")]);
        assert_eq!(ingress.mismatch(&route("10.0.1.7:22")), None);
        let told = ingress.mismatch(&route("[2001:db8::7]:22")).expect("a mismatch");
        assert!(
            told.starts_with("the task has an IPv6 address only, and the rule admits IPv4 only (203.0.113.7/32)"),
            "{told}"
        );
    }
}

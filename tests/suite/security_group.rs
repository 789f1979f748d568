//! `--allow-my-ip` and `--allow-cidr`: a rule for the run, before the task and no longer than it; nobody else's rule is touched.

mod failures;
mod left_behind;

use e2e::{AddressService, Program, World};
use local_fargate::{Fault, RuleSummary};
use serde_json::Value;

/// The caller's address, as the lookups of these tests tell it.
const MY_IP: &str = "203.0.113.7";

/// The main job, which lets this address in.
fn admitting(world: &World, service: &AddressService) -> Program {
    world.login().args(["--allow-my-ip", "--my-ip-url", &service.url()])
}

/// Rules that there are, as `203.0.113.7/32`.
fn cidrs(world: &World) -> Vec<String> {
    world.stand_in().rules().iter().map(|rule| rule.cidr.to_string()).collect()
}

fn tag<'a>(rule: &'a RuleSummary, key: &str) -> &'a str {
    let found = rule.tags.iter().find(|(known, _)| known == key);
    assert!(found.is_some(), "no tag {key}: {rule:?}");
    found.map_or("", |(_, value)| value.as_str())
}

/// The only request of this kind.
fn request(world: &World, action: &str) -> Value {
    let mut calls = world.stand_in().journal();
    calls.retain(|call| call.action == action);
    assert_eq!(calls.len(), 1, "{action}: {calls:?}");
    calls.remove(0).request
}

fn authorize(world: &World, cidr: &str, tags: &[(&str, &str)]) {
    let keys: Vec<_> = (1..=tags.len()).map(|n| format!("TagSpecification.1.Tag.{n}")).collect();
    let pairs: Vec<_> = keys.iter().map(|key| (format!("{key}.Key"), format!("{key}.Value"))).collect();
    let mut members = vec![
        ("GroupId", "sg-1"),
        ("IpPermissions.1.IpProtocol", "tcp"),
        ("IpPermissions.1.FromPort", "2222"),
        ("IpPermissions.1.ToPort", "2222"),
        ("IpPermissions.1.IpRanges.1.CidrIp", cidr),
    ];
    if !tags.is_empty() {
        members.push(("TagSpecification.1.ResourceType", "security-group-rule"));
    }
    for ((key, value), (key_member, value_member)) in tags.iter().zip(&pairs) {
        members.extend([(key_member.as_str(), *key), (value_member.as_str(), *value)]);
    }
    let _ = world.ec2("AuthorizeSecurityGroupIngress", &members);
}

#[test]
fn a_rule_stands_for_the_run_and_no_longer() {
    let (world, service) = (World::new(), AddressService::telling(&format!("{MY_IP}\n")));
    let mut running = admitting(&world, &service).args(["--shell-command", "echo ready; cat"]).start();
    running.read_until("ready");
    let rules = world.stand_in().rules();
    let [rule] = rules.as_slice() else { panic!("one rule: {rules:?}") };
    assert_eq!((rule.group.as_str(), rule.protocol.as_str(), rule.ports), ("sg-1", "tcp", Some((2222, 2222))));
    assert_eq!(rule.cidr.to_string(), format!("{MY_IP}/32"));
    let run = request(&world, "RunTask")["clientToken"].as_str().expect("a run").to_owned();
    assert_eq!((tag(rule, "fargate-login:run"), tag(rule, "fargate-login:cluster")), (run.as_str(), "default"));
    assert!(rule.description.as_deref().is_some_and(|text| text.contains(&run)), "{rule:?}");
    assert!(tag(rule, "fargate-login:caller").starts_with("arn:aws"), "{rule:?}");
    let time = |key| tag(rule, key).parse::<jiff::Timestamp>().expect("a time");
    let life = time("fargate-login:expires").duration_since(time("fargate-login:created"));
    assert_eq!(life, jiff::SignedDuration::from_mins(12 * 60 + 5), "the longest life, and the time to start");
    let id = rule.id.clone();
    let done = running.wait();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(
        done.stderr.contains(&format!("sg-1 admits {MY_IP}/32 to port 2222 for this run ({id})")),
        "{}",
        done.stderr
    );
    assert!(done.stderr.contains(&format!("{id} revoked")), "{}", done.stderr);
    assert_eq!((cidrs(&world), service.asked()), (Vec::new(), 1));
    let revoke = request(&world, "RevokeSecurityGroupIngress");
    assert_eq!((&revoke["GroupId"], &revoke["SecurityGroupRuleId.1"]), (&"sg-1".into(), &id.into()));
    assert!(!revoke.as_object().expect("members").keys().any(|key| key.starts_with("IpPermissions")), "{revoke}");
    let calls = world.calls();
    let at = |name: &str| calls.iter().position(|call| call == name).unwrap_or_else(|| panic!("no {name}: {calls:?}"));
    assert!(at("ec2:AuthorizeSecurityGroupIngress") < at("ecs:RunTask"), "{calls:?}");
    assert!(at("ecs:StopTask") < at("ec2:RevokeSecurityGroupIngress"), "{calls:?}");
}

#[test]
fn somebody_elses_rule_lets_us_in_and_stays() {
    let (world, service) = (World::new(), AddressService::telling(MY_IP));
    authorize(&world, &format!("{MY_IP}/32"), &[]);
    let done = admitting(&world, &service).args(["--allow-cidr", "198.51.100.0/24", "--", "true"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("which is not ours and stays"), "{}", done.stderr);
    assert_eq!(cidrs(&world), [format!("{MY_IP}/32")], "only the rule that was ours is gone");
}

#[test]
fn two_runs_of_one_caller_share_the_rule_of_the_first() {
    let (world, service) = (World::new(), AddressService::telling(MY_IP));
    let mut first = admitting(&world, &service).args(["--shell-command", "echo ready; cat"]).start();
    first.read_until("ready");
    let second = admitting(&world, &service).args(["--", "true"]).run();
    assert_eq!(second.code, 0, "{}", second.stderr);
    assert_eq!(cidrs(&world), [format!("{MY_IP}/32")], "the second run leaves the rule of the first alone");
    assert_eq!(first.wait().code, 0);
    assert_eq!(cidrs(&world), Vec::<String>::new());
}

#[test]
fn a_run_that_has_not_connected_yet_adds_the_rule_again_when_it_goes() {
    let (world, service) = (World::new(), AddressService::telling(MY_IP));
    let mut first = admitting(&world, &service).args(["--shell-command", "echo ready; cat"]).start();
    first.read_until("ready");
    // The second run waits for its address for as long as the test takes.
    let slow = Fault::SlowApi { action: "DescribeNetworkInterfaces".to_owned(), delay: e2e::world::PATIENCE };
    world.stand_in().inject(slow);
    let mut second = admitting(&world, &service).args(["--", "true"]).start();
    second.hear("which is not ours and stays");
    assert_eq!(first.wait().code, 0);
    second.hear("the rule that did so has gone");
    let rules = world.stand_in().rules();
    let runs: Vec<_> = world.stand_in().journal().into_iter().filter(|call| call.action == "RunTask").collect();
    assert_eq!(runs.last().map(|call| &call.request["clientToken"]), Some(&tag(&rules[0], "fargate-login:run").into()));
    second.signal(nix::sys::signal::Signal::SIGTERM);
    let done = second.wait();
    assert_eq!((done.code, cidrs(&world)), (143, Vec::new()), "{}", done.stderr);
}

#[test]
fn a_rule_whose_answer_was_lost_is_known_again_and_revoked() {
    let lost = Fault::LostReply { action: "AuthorizeSecurityGroupIngress".to_owned(), count: 1 };
    for flags in [&[][..], &["--no-tags"]] {
        let world = World::with(|config| config.faults.push(lost.clone()));
        let done = world.login().args(["--allow-cidr", MY_IP]).args(flags).args(["--", "true"]).run();
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(cidrs(&world), Vec::<String>::new(), "{flags:?}: {}", done.stderr);
        assert!(world.calls().contains(&"ec2:RevokeSecurityGroupIngress".to_owned()), "{:?}", world.calls());
    }
}

#[test]
fn without_tags_the_rule_has_none_and_needs_no_right_to_tag() {
    let denied = Fault::AccessDenied { action: "ec2:CreateTags".to_owned() };
    let world = World::with(|config| config.faults.push(denied));
    let mut running =
        world.login().args(["--allow-cidr", MY_IP, "--no-tags", "--shell-command", "echo ready; cat"]).start();
    running.read_until("ready");
    let rules = world.stand_in().rules();
    assert!(rules.len() == 1 && rules[0].tags.is_empty(), "{rules:?}");
    assert_eq!(running.wait().code, 0);
    assert_eq!(cidrs(&world), Vec::<String>::new());
}

#[test]
fn the_first_of_several_groups_takes_the_rule_and_is_named() {
    let world = World::new();
    let login = world.program().args(["-n", "test-cli", "-sg", "sg-default,sg-1", "-sn", "subnet-1", "-p", "2222"]);
    let done = login.args(["--allow-cidr", MY_IP, "--", "true"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("sg-default, the first of 2 groups, admits 203.0.113.7/32"), "{}", done.stderr);
    assert_eq!(request(&world, "AuthorizeSecurityGroupIngress")["GroupId"], "sg-default");
}

#[test]
fn ipv6_is_let_in_as_ipv6_and_the_wrong_family_is_told() {
    // Tasks of the IPv6 subnet are all at ::1: one after the other.
    let world = World::new();
    let login = || world.program().args(["-n", "test-cli", "-sg", "sg-1", "-sn", "subnet-3", "-p", "2226"]);
    let service = AddressService::telling("2001:db8::7\n");
    let of_my_ip = login().args(["--allow-my-ip", "--my-ip-url", &service.url(), "--", "true"]).run();
    assert_eq!(of_my_ip.code, 0, "{}", of_my_ip.stderr);
    assert!(!of_my_ip.stderr.contains("warning:"), "{}", of_my_ip.stderr);
    let authorized = request(&world, "AuthorizeSecurityGroupIngress");
    assert_eq!(authorized["IpPermissions.1.Ipv6Ranges.1.CidrIpv6"], "2001:db8::7/128");
    assert_eq!(authorized.get("IpPermissions.1.IpRanges.1.CidrIp"), None);
    let of_ipv4 = login().args(["--allow-cidr", MY_IP, "--", "true"]).run();
    assert_eq!(of_ipv4.code, 0, "nothing filters here: {}", of_ipv4.stderr);
    let told = "the task has an IPv6 address only, and the rule admits IPv4 only (203.0.113.7/32)";
    assert!(of_ipv4.stderr.contains(told), "{}", of_ipv4.stderr);
    assert_eq!(cidrs(&world), Vec::<String>::new());
}

#[test]
fn a_dry_run_shows_the_rule_and_adds_none() {
    let (world, service) = (World::new(), AddressService::telling(MY_IP));
    let done = admitting(&world, &service).arg("--dry-run").run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    let plan: Value = serde_json::from_slice(&done.stdout).expect("JSON on stdout");
    let shown = &plan["authorizeSecurityGroupIngress"][0];
    assert_eq!((&shown["groupId"], &shown["ipPermissions"][0]["toPort"]), (&"sg-1".into(), &2222.into()));
    assert_eq!(shown["ipPermissions"][0]["ipRanges"][0]["cidrIp"], format!("{MY_IP}/32"));
    assert_eq!(shown["tagSpecifications"][0]["resourceType"], "security-group-rule");
    let calls: Vec<_> = plan["calls"].as_array().expect("calls").iter().filter_map(Value::as_str).collect();
    let at = |name: &str| calls.iter().position(|call| *call == name).unwrap_or_else(|| panic!("no {name}: {calls:?}"));
    assert!(at("ec2:AuthorizeSecurityGroupIngress") < at("ecs:RunTask"), "{calls:?}");
    assert_eq!(calls.last(), Some(&"ec2:RevokeSecurityGroupIngress"));
    assert_eq!(cidrs(&world), Vec::<String>::new());
    assert!(!world.calls().iter().any(|call| call.contains("SecurityGroup")), "{:?}", world.calls());
}

#[test]
fn the_embedded_stand_in_is_on_this_machine_and_nobody_is_asked_who_we_are() {
    let world = World::new();
    let done = world.program().args(["--local", "-n", "test-cli", "--allow-my-ip", "--", "true"]).run();
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stderr.contains("sg-1 admits 127.0.0.1/32 to port 2222"), "{}", done.stderr);
}

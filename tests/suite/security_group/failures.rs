//! What goes wrong: nothing is made that is not taken away, and whoever has to act is told what to do.

use e2e::redact::redact;
use e2e::{AddressService, Finished, World};
use local_fargate::Fault;
use nix::sys::signal::Signal;

use super::{MY_IP, admitting, authorize, cidrs};

/// The error and its hints.
fn told(done: &Finished) -> String {
    let said = |line: &&str| ["error:", "hint:", "warning:"].iter().any(|word| line.starts_with(word));
    let lines: Vec<_> = done.stderr.lines().filter(said).collect();
    redact(&format!("exit status {}\n{}\n", done.code, lines.join("\n")))
}

fn nothing_was_made(world: &World) {
    assert!(world.stand_in().tasks().is_empty(), "{:?}", world.stand_in().tasks());
    assert_eq!(cidrs(world), Vec::<String>::new());
    assert!(!world.calls().iter().any(|call| call == "ecs:RunTask"), "{:?}", world.calls());
}

fn failing_lookup(answer: &str) -> String {
    let (world, service) = (World::new(), AddressService::answering(answer));
    let done = admitting(&world, &service).args(["--", "true"]).run();
    nothing_was_made(&world);
    assert!(!world.calls().iter().any(|call| call.contains("SecurityGroup")), "{:?}", world.calls());
    told(&done)
}

#[test]
fn a_lookup_that_tells_no_address() {
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n<html>sign in</html>";
    insta::assert_snapshot!(failing_lookup(page));
}

#[test]
fn a_lookup_that_fails() {
    insta::assert_snapshot!(failing_lookup("HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n"));
}

#[test]
fn a_lookup_that_never_answers() {
    insta::assert_snapshot!(failing_lookup(""));
}

#[test]
fn no_group_to_add_a_rule_to() {
    let (world, service) = (World::new(), AddressService::telling(MY_IP));
    let login = world.program().args(["-n", "test-cli", "-sn", "subnet-1", "--my-ip-url", &service.url()]);
    let done = login.arg("--allow-my-ip").run();
    assert_eq!((service.asked(), world.calls()), (0, Vec::new()));
    insta::assert_snapshot!(told(&done));
}

#[test]
fn a_caller_that_may_not_add_rules() {
    let denied = Fault::AccessDenied { action: "ec2:AuthorizeSecurityGroupIngress".to_owned() };
    let world = World::with(|config| config.faults.push(denied));
    let done = world.login().args(["--allow-cidr", MY_IP]).run();
    nothing_was_made(&world);
    insta::assert_snapshot!(told(&done));
}

#[test]
fn a_caller_that_may_not_tag_rules() {
    let denied = Fault::AccessDenied { action: "ec2:CreateTags".to_owned() };
    let world = World::with(|config| config.faults.push(denied));
    let done = world.login().args(["--allow-cidr", MY_IP]).run();
    nothing_was_made(&world);
    insta::assert_snapshot!(told(&done));
}

#[test]
fn a_group_that_is_full() {
    let world = World::new();
    for number in 1..=60 {
        authorize(&world, &format!("10.0.0.{number}/32"), &[]);
    }
    let done = world.login().args(["--allow-cidr", MY_IP]).run();
    assert_eq!(cidrs(&world).len(), 60);
    assert!(world.stand_in().tasks().is_empty());
    insta::assert_snapshot!(told(&done));
}

#[test]
fn what_was_opened_before_a_refusal_is_closed() {
    let world = World::new();
    for number in 1..60 {
        authorize(&world, &format!("10.0.0.{number}/32"), &[]);
    }
    // The first range finds room, the second does not.
    let done = world.login().args(["--allow-cidr", "198.51.100.1,198.51.100.2"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    let left = cidrs(&world);
    assert!(left.len() == 59 && !left.iter().any(|cidr| cidr.starts_with("198.")), "{left:?}");
    assert!(world.stand_in().tasks().is_empty());
}

#[test]
fn a_run_that_is_not_launched_leaves_no_rule() {
    for fault in [Fault::Capacity, Fault::AccessDenied { action: "ecs:RunTask".to_owned() }] {
        let world = World::with(|config| config.faults.push(fault.clone()));
        let done = world.login().args(["--allow-cidr", MY_IP, "--", "true"]).run();
        assert_eq!(done.code, 255, "{}", done.stderr);
        assert_eq!(cidrs(&world), Vec::<String>::new(), "{fault:?}: {}", done.stderr);
        assert_eq!(world.calls().last().map(String::as_str), Some("ec2:RevokeSecurityGroupIngress"));
    }
}

#[test]
fn a_revoke_that_fails_for_a_while_is_repeated() {
    // More often than the SDK repeats it by itself.
    let failing = Fault::ServerError { action: "RevokeSecurityGroupIngress".to_owned(), count: 5 };
    let world = World::with(|config| config.faults.push(failing));
    let done = world.login().args(["--allow-cidr", MY_IP, "--", "true"]).run();
    assert_eq!((done.code, cidrs(&world)), (0, Vec::new()), "{}", done.stderr);
}

#[test]
fn a_rule_that_cannot_be_revoked_is_told_with_the_command() {
    let denied = Fault::AccessDenied { action: "ec2:RevokeSecurityGroupIngress".to_owned() };
    let world = World::with(|config| config.faults.push(denied));
    let done = world.login().args(["--allow-cidr", MY_IP, "--", "true"]).run();
    assert_eq!(cidrs(&world), [format!("{MY_IP}/32")]);
    assert_eq!(world.stopped_task().last_status, "STOPPED");
    insta::assert_snapshot!(told(&done));
}

#[test]
fn a_second_signal_prints_the_command_that_revokes_the_rule() {
    let slow = Fault::SlowApi { action: "RevokeSecurityGroupIngress".to_owned(), delay: e2e::world::PATIENCE };
    let world = World::with(|config| config.faults.push(slow));
    let mut running = world.login().args(["--allow-cidr", MY_IP, "--", "true"]).start();
    running.hear("RevokeSecurityGroupIngress sg-1");
    running.signal(Signal::SIGINT);
    // Another one than the first: two of a kind may arrive as one.
    running.signal(Signal::SIGTERM);
    let done = running.wait();
    let rules = world.stand_in().rules();
    let command = format!(
        "aws ec2 revoke-security-group-ingress --region us-east-1 --group-id sg-1 --security-group-rule-ids {}",
        rules[0].id
    );
    assert!(done.stderr.contains(&command), "{}", done.stderr);
    assert!([130, 143].contains(&done.code), "{}: {}", done.code, done.stderr);
}

#[test]
fn a_second_signal_while_a_rule_is_asked_for_prints_what_revokes_it() {
    let slow = Fault::SlowApi { action: "AuthorizeSecurityGroupIngress".to_owned(), delay: e2e::world::PATIENCE };
    let world = World::with(|config| config.faults.push(slow));
    let mut running = world.login().args(["--allow-cidr", "203.0.113.7,2001:db8::7", "--", "true"]).start();
    running.hear("AuthorizeSecurityGroupIngress sg-1");
    running.signal(Signal::SIGINT);
    running.signal(Signal::SIGTERM);
    let done = running.wait();
    assert!([130, 143].contains(&done.code), "{}: {}", done.code, done.stderr);
    for permission in ["IpRanges=[{CidrIp=203.0.113.7/32}]'", "Ipv6Ranges=[{CidrIpv6=2001:db8::7/128}]'"] {
        let line = format!("--group-id sg-1 --ip-permissions 'IpProtocol=tcp,FromPort=2222,ToPort=2222,{permission}");
        assert!(done.stderr.contains(&line), "{}", done.stderr);
    }
    assert!(world.stand_in().tasks().is_empty());
}

//! What options become, and what is refused on the way.

use super::via::Transport;
use super::*;
use crate::aws::run_task::CapacityProvider;

pub(super) fn given() -> Given {
    Given {
        run: "6a1f0d52-6ab1-4bb0-9d0e-0f6f5a3f2f11".to_owned(),
        host_seed: HostSeed::new([3; 32]),
        identity: OneTimeKey::generate(),
        caller: Some("arn:aws:iam::000000000000:user/o'neil".to_owned()),
        my_ip: None,
        now: jiff::Timestamp::UNIX_EPOCH,
        stop_notice: None,
        via: Choice::new(Transport::Direct, "a test"),
        log: None,
    }
}

pub(super) fn place() -> Place {
    let [group, prefix, region] = ["/ecs/cli", "p", "eu-west-1"].map(str::to_owned);
    Place { group, prefix, container: "cli".to_owned(), region }
}

pub(super) fn options() -> Options {
    Options {
        task_definition: Some("test-cli".to_owned()),
        subnets: vec!["subnet-1".to_owned()],
        security_groups: vec!["sg-1".to_owned()],
        ..Options::default()
    }
}

#[test]
fn the_ancestors_defaults_hold() {
    let plan = Plan::new(options(), given()).expect("a plan");
    assert_eq!((plan.request.cluster.as_str(), plan.container.as_str(), plan.public), ("default", "cli", true));
    assert_eq!((plan.port, plan.user.as_str()), (22, "root"));
    assert_eq!(plan.request.started_by, "ecs-fargate-login");
    assert!(plan.request.started_by.len() <= limits::STARTED_BY_MAX_CHARS);
}

#[test]
fn a_task_behind_systems_manager_listens_for_its_agent_alone() {
    let ssm = || Given { via: Choice::new(Transport::Ssm, "a test"), ..given() };
    let of = |options, given| {
        let plan = Plan::new(options, given).expect("a plan");
        let environment = &plan.request.overrides.container_overrides[0].environment;
        let listen = environment.iter().find(|variable| variable.name == "_FARGATE_LOGIN_LISTEN");
        (plan.request.enable_execute_command, plan.public, listen.map(|variable| variable.value.clone()))
    };
    assert_eq!(of(options(), given()), (false, true, None));
    assert_eq!(of(options(), ssm()), (true, false, Some("127.0.0.1".to_owned())));
    let sessions = |options, given| {
        let plan = Plan::new(options, given).expect("a plan");
        let environment = &plan.request.overrides.container_overrides[0].environment;
        let links = environment.iter().find(|variable| variable.name == "_FARGATE_LOGIN_LINKS");
        (plan.ssm_sessions, links.map(|variable| variable.value.clone()))
    };
    assert_eq!(sessions(options(), given()), (1, None));
    assert_eq!(sessions(options(), ssm()), (4, Some("4".to_owned())));
    assert_eq!(sessions(Options { ssm_sessions: Some(1), ..options() }, ssm()), (1, None));
    let foreign = Options { host_key: Some(HostKeyMode::AcceptNew), ..options() };
    assert_eq!(sessions(foreign, ssm()), (1, None), "an sshd has no such thing");
    assert!(of(Options { public: Some(true), ..options() }, ssm()).1, "a public subnet without a NAT gateway needs it");
}

#[test]
fn launch_type_and_capacity_provider_exclude_each_other() {
    let plan = Plan::new(Options { spot: Some(true), ..options() }, given()).expect("a plan");
    assert_eq!(plan.request.launch_type, None);
    assert_eq!(plan.request.capacity_provider_strategy[0].capacity_provider, "FARGATE_SPOT");
    let plan = Plan::new(options(), given()).expect("a plan");
    assert!(plan.request.capacity_provider_strategy.is_empty());
    let of_service = vec![CapacityProvider { capacity_provider: "FARGATE".to_owned(), base: 1, weight: 1 }];
    let like = || Options { capacity_providers: of_service.clone(), ..options() };
    let plan = Plan::new(like(), given()).expect("a plan");
    assert_eq!((plan.request.launch_type, plan.request.capacity_provider_strategy), (None, of_service.clone()));
    let plan = Plan::new(Options { spot: Some(false), ..like() }, given()).expect("a plan");
    assert_eq!(plan.request.launch_type.as_deref(), Some("FARGATE"));
}

#[test]
fn the_seed_goes_only_to_an_init_that_uses_it() {
    let names = |plan: &Plan| -> Vec<String> {
        plan.request.overrides.container_overrides[0].environment.iter().map(|v| v.name.clone()).collect()
    };
    let pinned = Plan::new(options(), given()).expect("a plan");
    assert!(names(&pinned).contains(&"_FARGATE_LOGIN_HOST_SEED".to_owned()));
    let open = Options { host_key: Some(HostKeyMode::AcceptNew), ..options() };
    let open = Plan::new(open, given()).expect("a plan");
    assert_eq!(names(&open), ["_AUTHORIZED_PUBLIC_KEY", "_FARGATE_LOGIN_RUN", "_FARGATE_LOGIN_CALLER"]);
    let logs = Options { host_key: Some(HostKeyMode::Logs), ..options() };
    let logs = Plan::new(logs, Given { log: Some(place()), ..given() }).expect("a plan");
    assert_eq!(
        names(&logs),
        [
            "_AUTHORIZED_PUBLIC_KEY",
            "_FARGATE_LOGIN_KEX",
            "_FARGATE_LOGIN_FORWARDING",
            "_FARGATE_LOGIN_RUN",
            "_FARGATE_LOGIN_CALLER"
        ]
    );
}

#[test]
fn what_the_service_would_refuse_is_refused_before() {
    let plan = |options| Plan::new(options, given()).map(|_| ()).expect_err("no plan");
    assert_eq!(plan(Options::default()), PlanError::NoTaskDefinition);
    assert_eq!(plan(Options { subnets: vec![], ..options() }), PlanError::NoSubnets);
    let groups = vec!["sg-1".to_owned(); 6];
    assert!(matches!(plan(Options { security_groups: groups, ..options() }), PlanError::TooMany { most: 5, .. }));
    let env = vec![("A".to_owned(), "x".to_owned()), ("BIG".to_owned(), "x".repeat(7000))];
    match plan(Options { env, ..options() }) {
        PlanError::OverridesTooLong { longest, bytes } => {
            assert_eq!(longest.as_deref(), Some("BIG"));
            assert!(bytes > limits::OVERRIDES_BUDGET_BYTES);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_grant_names_the_caller_as_sts_does() {
    let plan = Plan::new(options(), given()).expect("a plan");
    let environment = &plan.request.overrides.container_overrides[0].environment;
    let caller = environment.iter().find(|variable| variable.name == "_FARGATE_LOGIN_CALLER").expect("the caller");
    assert_eq!(caller.value, "arn:aws:iam::000000000000:user/o'neil", "what a tag could not hold");
}

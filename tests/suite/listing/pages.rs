//! A hundred clusters and five thousand tasks: every page is read, once.

use std::collections::BTreeSet;

use e2e::World;
use local_fargate::Fault;
use serde_json::{Value, json};

use super::account::{account, create_service, list, request, wait_for};

/// Beside the one called `default`.
const CLUSTERS: usize = 100;
/// Tasks of each cluster but the big one, in one service.
const SMALL: usize = 20;
/// Services of the big cluster and tasks of each.
const BIG: (usize, usize) = (30, 100);
/// Tasks of the big cluster that belong to no service.
const ALONE: usize = 20;
const TASKS: usize = (CLUSTERS - 1) * SMALL + BIG.0 * BIG.1 + ALONE;
/// Most tasks of a RunTask call.
const AT_ONCE: usize = 10;

fn big_account() -> World {
    let world = account(&[]);
    let make = |name: &str| world.call("ecs", "CreateCluster", &json!({"clusterName": name})).expect("a cluster");
    for number in 1..CLUSTERS {
        let name = format!("c-{number}");
        make(&name);
        create_service(&world, &name, "web", SMALL);
    }
    make("big");
    (0..BIG.0).for_each(|number| create_service(&world, "big", &format!("s-{number}"), BIG.1));
    for _ in 0..ALONE / AT_ONCE {
        world.call("ecs", "RunTask", &request("big", "web", AT_ONCE)).expect("tasks");
    }
    wait_for(&world, TASKS);
    world
}

/// How often each operation was called by what `act` does.
fn calls<T>(world: &World, act: impl FnOnce() -> T) -> (T, impl Fn(&str) -> usize) {
    let before = world.calls().len();
    let done = act();
    let called = world.calls().split_off(before);
    (done, move |name: &str| called.iter().filter(|call| *call == name).count())
}

fn arns<'a>(listed: &'a [Value], name: &str) -> BTreeSet<&'a str> {
    listed.iter().map(|item| item[name].as_str().expect("an ARN")).collect()
}

#[test]
fn a_hundred_clusters_and_five_thousand_tasks_are_listed_whole() {
    assert_eq!(TASKS, 5000);
    let world = big_account();
    let there: BTreeSet<_> = world.stand_in().tasks().into_iter().map(|task| task.arn).collect();
    let (seen, called) = calls(&world, || list(&world, &["tasks", "--all-clusters"]));
    assert_eq!(seen.len(), TASKS, "none twice");
    assert!(arns(&seen, "taskArn").into_iter().eq(there.iter().map(String::as_str)), "all of them");
    let big_pages = (BIG.0 * BIG.1 + ALONE).div_ceil(100);
    // One page for the clusters that have one, and for the default one, which has none.
    assert_eq!(called("ecs:ListClusters"), 2);
    assert_eq!(called("ecs:ListTasks"), CLUSTERS + big_pages);
    assert_eq!(called("ecs:DescribeTasks"), CLUSTERS - 1 + big_pages);
    assert_eq!(called("ec2:DescribeNetworkInterfaces"), TASKS.div_ceil(200));
    assert!(seen.iter().all(|task| task["publicIp"].is_string()), "every address is known");

    let (services, called) = calls(&world, || list(&world, &["services", "-A"]));
    assert_eq!((services.len(), arns(&services, "serviceArn").len()), (CLUSTERS - 1 + BIG.0, CLUSTERS - 1 + BIG.0));
    assert_eq!([called("ecs:ListClusters"), called("ecs:ListServices")], [2, CLUSTERS + 1]);
    assert_eq!(called("ecs:DescribeServices"), CLUSTERS - 1 + BIG.0.div_ceil(10));

    let (of_one, called) = calls(&world, || list(&world, &["tasks", "-cluster", "big", "--service", "s-7"]));
    assert_eq!(of_one.len(), BIG.1);
    assert!(of_one.iter().all(|task| task["group"] == "service:s-7"));
    assert_eq!([called("ecs:ListClusters"), called("ecs:ListTasks"), called("ecs:DescribeTasks")], [0, 1, 1]);
    let table = world.program().args(["tasks", "-cluster", "big"]).run();
    assert_eq!(table.text().lines().count(), 1 + BIG.0 * BIG.1 + ALONE, "{}", table.stderr);

    // As many calls as would empty AWS's buckets: what is throttled is asked again.
    world.stand_in().inject(Fault::RateLimits);
    assert_eq!(list(&world, &["tasks", "-A"]), seen);
    assert!(world.stand_in().journal().iter().any(|call| call.error.as_deref() == Some("ThrottlingException")));
}

#[test]
fn a_cluster_with_more_services_than_a_page_holds_is_listed_whole() {
    let world = account(&[]);
    let names: Vec<_> = (0..123).map(|number| format!("s-{number}")).collect();
    names.iter().for_each(|name| create_service(&world, "default", name, 0));
    let (seen, called) = calls(&world, || list(&world, &["services"]));
    let seen: BTreeSet<_> = arns(&seen, "serviceName").into_iter().map(str::to_owned).collect();
    assert_eq!(seen, names.into_iter().collect());
    assert_eq!([called("ecs:ListServices"), called("ecs:DescribeServices")], [2, 13]);
}

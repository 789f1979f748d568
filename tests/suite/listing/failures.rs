//! What cannot be listed is told, and hides nothing else.

use e2e::redact::redact;
use e2e::{Finished, World};
use local_fargate::Fault;
use serde_json::json;

use super::account::{account, create_service, list, run_task, wait_for};

fn told(done: &Finished) -> String {
    let said = |line: &&str| {
        ["error:", "hint:", "warning:", "no tasks", "there are"].iter().any(|word| line.starts_with(word))
    };
    let lines: Vec<_> = done.stderr.lines().filter(said).collect();
    redact(&format!("exit status {}\n{}\n", done.code, lines.join("\n")))
}

#[test]
fn what_cannot_be_listed_is_told() {
    let world = account(&[("web", 1)]);
    let run = |words: &[&str]| told(&world.program().args(words).run());
    let empty = account(&[]);
    let on_empty = |words: &[&str]| told(&empty.program().args(words).run());
    let inject = |world: &World, fault| world.stand_in().inject(fault);
    let mut all = vec![
        run(&["services", "-cluster", "nowhere"]),
        run(&["tasks", "-cluster", "nowhere"]),
        run(&["describe", "0123", "-cluster", "nowhere"]),
        run(&["tasks", "--service", "wbe"]),
        run(&["tasks", "--service", "wbe", "-A"]),
        run(&["describe", "ffffffffffffffffffffffffffffffff"]),
        run(&["describe", "arn:aws:ecs:eu-west-1:000000000000:task/default/ffffffffffffffffffffffffffffffff"]),
        on_empty(&["services"]),
        on_empty(&["tasks"]),
        on_empty(&["tasks", "--stopped", "-A"]),
    ];
    inject(&world, Fault::AccessDenied { action: "ec2:DescribeNetworkInterfaces".to_owned() });
    all.push(run(&["tasks"]));
    inject(&world, Fault::AccessDenied { action: "ecs:DescribeTasks".to_owned() });
    all.push(run(&["tasks"]));
    inject(&world, Fault::AccessDenied { action: "ecs:ListServices".to_owned() });
    all.push(run(&["services"]));
    let throttled = |action: &str| Fault::Throttle { action: action.to_owned(), count: u32::MAX };
    inject(&empty, throttled("ListTasks"));
    all.push(on_empty(&["tasks"]));
    insta::assert_snapshot!(all.join("\n"));
}

#[test]
fn a_beginning_of_several_ids_names_none_of_them() {
    let world = account(&[]);
    // Of seventeen ids, two begin with the same digit.
    let ids: Vec<_> = (0..17).map(|_| run_task(&world, "default", "web")).collect();
    let first = |arn: &String| arn.rsplit('/').next().and_then(|id| id.chars().next()).expect("a digit");
    let twice = ids.iter().map(first).find(|digit| ids.iter().filter(|other| first(other) == *digit).count() > 1);
    let done = world.program().args(["describe", &twice.expect("such a digit").to_string()]).run();
    assert_eq!((done.code, done.text().as_str()), (255, ""));
    assert!(done.stderr.contains("tasks begin with"), "{}", done.stderr);
}

#[test]
fn calls_that_are_throttled_for_a_while_are_made_again() {
    let world = account(&[("web", 2)]);
    for action in ["ListClusters", "ListTasks", "DescribeTasks", "DescribeNetworkInterfaces"] {
        world.stand_in().inject(Fault::Throttle { action: action.to_owned(), count: 2 });
    }
    assert_eq!(list(&world, &["tasks", "-A"]).len(), 2);
}

#[test]
fn a_cluster_that_cannot_be_looked_at_hides_no_other_one() {
    let world = account(&[("web", 2)]);
    for name in ["a-cluster", "tools"] {
        world.call("ecs", "CreateCluster", &json!({"clusterName": name})).expect("made");
    }
    create_service(&world, "tools", "web", 1);
    wait_for(&world, 3);
    assert_eq!(list(&world, &["services", "-A"]).len(), 2);
    let denied = Fault::AccessDenied { action: "ecs:ListTasks".to_owned() };
    world.stand_in().inject(Fault::Times { count: 1, fault: Box::new(denied) });
    let done = world.program().args(["tasks", "-A"]).run();
    assert_eq!(done.code, 255, "{}", done.stderr);
    assert!(done.stderr.contains("AccessDeniedException"), "{}", done.stderr);
    assert!(done.text().lines().count() >= 2, "the others are shown: {}", done.text());
}

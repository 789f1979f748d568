//! Listings of made-up services and tasks, as people and machines read them.

use serde_json::json;

use super::describe::lines as described;
use super::{exec, json as to_json, services, tasks};
use crate::aws::describe_services::listed::ListedService;
use crate::aws::describe_tasks::listed::{ExecAgent, Interface, ListedContainer, ListedTask};
use crate::aws::run_task::{CapacityProvider, Tag};

/// A minute and five seconds after everything was created.
const NOW: f64 = 1_000_065.0;

fn container(name: &str, agent: Option<&str>) -> ListedContainer {
    let agent = agent.map(|status| ExecAgent { last_status: status.to_owned(), ..ExecAgent::default() });
    ListedContainer {
        name: name.to_owned(),
        image: Some(format!("{name}:7")),
        runtime_id: Some("0123456789abcdef0123456789abcdef-0123456789".to_owned()),
        last_status: Some("RUNNING".to_owned()),
        exec_agent: agent,
        ..ListedContainer::default()
    }
}

fn task(id: &str, containers: Vec<ListedContainer>) -> ListedTask {
    ListedTask {
        arn: format!("arn:aws:ecs:r:1:task/shop/{id}"),
        cluster_arn: "arn:aws:ecs:r:1:cluster/shop".to_owned(),
        task_definition_arn: "arn:aws:ecs:r:1:task-definition/web:42".to_owned(),
        group: Some("service:web".to_owned()),
        last_status: "RUNNING".to_owned(),
        desired_status: "RUNNING".to_owned(),
        health_status: Some("UNKNOWN".to_owned()),
        exec: true,
        launch_type: Some("FARGATE".to_owned()),
        cpu: Some("256".to_owned()),
        memory: Some("512".to_owned()),
        interface: Some(Interface {
            id: "eni-1".to_owned(),
            subnet: Some("subnet-1".to_owned()),
            private_ipv4: Some("10.0.1.7".parse().expect("an address")),
            ..Interface::default()
        }),
        created_at: Some(1_000_000.0),
        containers,
        ..ListedTask::default()
    }
}

const ID: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn exec_is_told_by_the_flag_and_by_the_agents() {
    let of =
        |agents: &[Option<&str>]| exec::of_task(&task(ID, agents.iter().map(|agent| container("a", *agent)).collect()));
    assert_eq!(of(&[Some("RUNNING"), None]), "yes", "a container without an agent does not count");
    assert_eq!(of(&[Some("PENDING")]), "agent PENDING");
    assert_eq!(of(&[Some("STOPPED"), Some("STOPPED")]), "agent STOPPED");
    assert_eq!(of(&[Some("RUNNING"), Some("PENDING")]), "1 of 2");
    assert_eq!(of(&[None]), "agent PENDING", "before ECS names an agent");
    let without = ListedTask { exec: false, ..task(ID, vec![container("a", Some("RUNNING"))]) };
    assert_eq!(exec::of_task(&without), "no");
}

#[test]
fn the_table_of_tasks_leaves_out_what_nobody_has() {
    let plain = task(ID, vec![container("web", Some("RUNNING")), container("envoy", Some("RUNNING"))]);
    let lines = tasks::to_lines(std::slice::from_ref(&plain), false, NOW, Some(100));
    assert_eq!(
        lines,
        [
            "TASK          SERVICE  STATUS   EXEC  ADDRESS   CONTAINERS  AGE  DEFINITION",
            "0123456789ab  web      RUNNING  yes   10.0.1.7  envoy,web   1m   web:42",
        ]
    );
    let mut public = ListedTask {
        group: Some("family:web".to_owned()),
        health_status: Some("HEALTHY".to_owned()),
        desired_status: "STOPPED".to_owned(),
        ..plain.clone()
    };
    public.interface.as_mut().expect("an interface").public_ipv4 = Some("203.0.113.7".parse().expect("an address"));
    let lines = tasks::to_lines(&[plain, public], true, NOW, None);
    assert!(lines[0].starts_with("TASK ") && lines[0].contains("CLUSTER"), "{lines:?}");
    for word in ["HEALTHY", "203.0.113.7", "RUNNING, to be STOPPED", "shop     -  "] {
        assert!(lines[2].contains(word), "{word} in {lines:?}");
    }
}

#[test]
fn the_table_of_services_tells_how_far_they_are() {
    let service = ListedService {
        name: "web".to_owned(),
        cluster_arn: "a:cluster/shop".to_owned(),
        status: "ACTIVE".to_owned(),
        desired_count: 3,
        running_count: 2,
        pending_count: 1,
        exec: true,
        launch_type: Some("FARGATE".to_owned()),
        task_definition: Some("a:task-definition/web:42".to_owned()),
        rollout_state: Some("IN_PROGRESS".to_owned()),
        created_at: Some(1_000_000.0),
        ..ListedService::default()
    };
    let provider = |name: &str| CapacityProvider { capacity_provider: name.to_owned(), base: 0, weight: 1 };
    let spot = ListedService {
        name: "worker".to_owned(),
        pending_count: 0,
        exec: false,
        capacity_providers: vec![provider("FARGATE_SPOT")],
        ..service.clone()
    };
    assert_eq!(
        services::to_lines(&[service.clone(), spot], false, NOW, None),
        [
            "SERVICE  STATUS  TASKS  ROLLOUT      EXEC  LAUNCH        AGE  DEFINITION",
            "web      ACTIVE  2/3+1  IN_PROGRESS  yes   FARGATE       1m   web:42",
            "worker   ACTIVE  2/3    IN_PROGRESS  no    FARGATE_SPOT  1m   web:42",
        ]
    );
    let names: Vec<_> = to_json::service(&service).as_object().expect("an object").keys().cloned().collect();
    insta::assert_snapshot!("names_of_a_service", names.join("\n"));
}

#[test]
fn a_task_is_described_with_a_target_for_each_container() {
    let mut app = container("app", Some("STOPPED"));
    if let Some(agent) = &mut app.exec_agent {
        agent.reason = Some("it has ended".to_owned());
        agent.last_started_at = Some(1_000_005.0);
    }
    let side = ListedContainer {
        last_status: Some("STOPPED".to_owned()),
        exit_code: Some(137),
        reason: Some("OutOfMemoryError".to_owned()),
        runtime_id: None,
        ..container("side", None)
    };
    let tag = Tag { key: "team".to_owned(), value: "a".to_owned() };
    let task = ListedTask { tags: vec![tag], started_by: Some("ecs-svc/1".to_owned()), ..task(ID, vec![app, side]) };
    insta::assert_snapshot!("a_task_described", described(&task, NOW).join("\n"));
    insta::assert_snapshot!("a_task_as_json", format!("{:#}", to_json::task(&task)));
    assert_eq!(to_json::task(&task)["containers"][1]["target"], json!(null));
}

//! Members of a container definition, each seen from inside.

use serde_json::json;

use super::{container, log, register, run_to_its_end, shell, shell_with, world, world_with};

#[test]
fn what_a_container_is_given_is_what_it_finds() {
    let secrets = [("db/web".to_owned(), r#"{"password": "p \"q\""}"#.to_owned())];
    let Some(world) = world_with(|config| config.secrets = secrets.into_iter().collect()) else { return };
    let line =
        "echo \"$A|$PASSWORD|$IMAGE_SAYS\"; pwd; id -u; touch /x 2>&1 | sed s/.*://; ulimit -n; cat /proc/1/comm";
    let given = json!({
        "environment": [{"name": "A", "value": "line 1\nline 2"}],
        "secrets": [{"name": "PASSWORD", "valueFrom": "arn:aws:secretsmanager:us-east-1:000000000000:secret:db/web-AbCdEf:password::"}],
        "workingDirectory": "/etc",
        "user": "1234:5678",
        "readonlyRootFilesystem": true,
        "linuxParameters": {"initProcessEnabled": true},
        "ulimits": [{"name": "nofile", "softLimit": 1111, "hardLimit": 2222}],
    });
    let task = run_to_its_end(&world, json!([shell_with("app", line, given)]), json!({}));
    let seen = log(&world, &task, "app");
    let expected = ["line 1", "line 2|p \"q\"|hello", "/etc", "1234", " Read-only file system", "1111", "docker-init"];
    assert_eq!(seen, expected, "{task}");
    assert_eq!(container(&task, "app")["exitCode"], 0);
}

#[test]
fn entry_point_and_command_are_dockers() {
    let Some(world) = world() else { return };
    let app = json!({"name": "app", "entryPoint": ["echo", "a"], "command": ["b c", "d"]});
    let task = run_to_its_end(&world, json!([app]), json!({}));
    assert_eq!(log(&world, &task, "app"), ["a b c d"]);
}

#[test]
fn a_container_finds_its_metadata() {
    let Some(world) = world() else { return };
    let app = shell("app", "wget -qO- $ECS_CONTAINER_METADATA_URI_V4/task");
    let task = run_to_its_end(&world, json!([app]), json!({}));
    let told: serde_json::Value = serde_json::from_str(&log(&world, &task, "app").concat()).expect("JSON");
    assert_eq!(told["TaskARN"], task["taskArn"]);
    assert_eq!(told["Limits"], json!({"CPU": 0.25, "Memory": 512.0}));
}

#[test]
fn limits_are_the_tasks_unless_the_container_has_its_own() {
    let Some(world) = world() else { return };
    // Control groups of version 1 and 2.
    let line = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null";
    let containers = json!([shell("a", line), shell_with("b", line, json!({"memory": 64, "essential": false}))]);
    let task = run_to_its_end(&world, containers, json!({}));
    assert_eq!(log(&world, &task, "a"), [(512 * 1024 * 1024).to_string()]);
    assert_eq!(container(&task, "b")["memory"], "64");
}

#[test]
fn output_goes_to_the_log_group() {
    let Some(world) = world() else { return };
    let options = json!({"awslogs-group": "/app", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p"});
    let logs = json!({"logConfiguration": {"logDriver": "awslogs", "options": options}});
    let app = shell_with("app", "echo one; echo two >&2", logs);
    let refused = run_to_its_end(&world, json!([app.clone()]), json!({}));
    assert_eq!(refused["stopCode"], "TaskFailedToStart");
    let reason = refused["stoppedReason"].as_str().expect("a reason");
    assert!(reason.contains("The specified log group does not exist"), "{reason}");
    world.call("logs", "CreateLogGroup", &json!({"logGroupName": "/app"})).expect("made");
    let task = run_to_its_end(&world, json!([app]), json!({}));
    let id = task["taskArn"].as_str().and_then(|arn| arn.rsplit('/').next()).expect("an id");
    let request = json!({"logGroupName": "/app", "logStreamName": format!("p/app/{id}"), "startFromHead": true});
    let events = world.call("logs", "GetLogEvents", &request).expect("events");
    let mut messages: Vec<_> =
        events["events"].as_array().expect("events").iter().map(|event| event["message"].clone()).collect();
    // Two pipes have no order between them.
    messages.sort_by_key(ToString::to_string);
    assert_eq!(messages, ["one", "two"]);
    let filtered = json!({"logGroupName": "/app", "filterPattern": "two"});
    let found = world.call("logs", "FilterLogEvents", &filtered).expect("events");
    assert_eq!(found["events"].as_array().map(Vec::len), Some(1), "{found}");
}

#[test]
fn what_fargate_refuses_is_refused() {
    let Some(world) = world() else { return };
    for (more, says) in [
        (json!({"privileged": true}), "privileged"),
        (json!({"linuxParameters": {"capabilities": {"add": ["NET_ADMIN"]}}}), "SYS_PTRACE"),
        (json!({"healthCheck": {"command": ["true"]}}), "CMD"),
        (json!({"dependsOn": [{"containerName": "nobody", "condition": "START"}]}), "nobody"),
        (json!({"mountPoints": [{"sourceVolume": "none", "containerPath": "/x"}]}), "none"),
        (json!({"stopTimeout": 121}), "stopTimeout"),
        (json!({"portMappings": [{"containerPort": 80, "hostPort": 81}]}), "must match"),
    ] {
        let refused = register(&world, json!([shell_with("app", "true", more)]), json!({}));
        assert!(
            refused.as_ref().is_err_and(|(code, message)| code == "ClientException" && message.contains(says)),
            "{refused:?}"
        );
    }
    let bridge = register(&world, json!([shell("app", "true")]), json!({"networkMode": "bridge"}));
    assert!(bridge.is_err_and(|(_, message)| message.contains("awsvpc")));
}

//! Task definitions as teams have them, and what is made of each.

use serde_json::{Value, json};

use super::candidate::{Candidate, candidate};
use super::*;
use crate::error::Advice as _;

fn definition(json: Value) -> TaskDefinition {
    TaskDefinition { json: json.as_object().expect("an object").clone(), tags: Vec::new() }
}

fn wishes() -> Wishes {
    Wishes { init_image: "init:1".to_owned(), keep_entrypoint: false, with_sidecars: false, add_tmp: false }
}

fn container<'a>(derived: &'a Derived, name: &str) -> Option<&'a Value> {
    members::list(derived.request.get("containerDefinitions")).iter().find(|container| name_of(container) == name)
}

/// A definition with these members over those that every Fargate definition has.
fn fargate(members: Value) -> TaskDefinition {
    let mut json = json!({
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:000000000000:task-definition/shop:42", "family": "shop", "revision": 42,
        "status": "ACTIVE", "networkMode": "awsvpc", "requiresCompatibilities": ["FARGATE"],
        "compatibilities": ["EC2", "FARGATE"], "cpu": "512", "memory": "1024", "registeredAt": 1_763_700_000.0,
        "registeredBy": "arn:aws:iam::000000000000:user/u", "requiresAttributes": [{"name": "ecs.capability.x"}],
        "placementConstraints": [], "volumes": [],
    });
    for (name, value) in members.as_object().expect("an object") {
        json[name.as_str()] = value.clone();
    }
    definition(json)
}

/// Rails behind nginx, with secrets, files on EFS, a mesh proxy, and a migration that it waits for.
fn rails() -> TaskDefinition {
    definition(serde_json::from_str(include_str!("tests/rails.json")).expect("JSON"))
}

#[test]
fn a_console_is_the_same_container_started_otherwise() {
    let derived = Derived::new(&rails(), "rails", &wishes()).expect("derived");
    let original = rails();
    let (before, after) = (&containers(&original)[1], container(&derived, "rails").expect("the container"));
    for kept in [
        "image",
        "cpu",
        "memory",
        "memoryReservation",
        "workingDirectory",
        "user",
        "environment",
        "environmentFiles",
        "secrets",
        "ulimits",
        "repositoryCredentials",
        "stopTimeout",
        "logConfiguration",
        "inventedIn2031",
    ] {
        assert_eq!(after[kept], before[kept], "{kept}");
        assert!(!after[kept].is_null(), "{kept}");
    }
    assert_eq!((&after["entryPoint"], &after["command"]), (&json!(["/fargate-login/fargate-init"]), &json!(["init"])));
    assert_eq!(after["essential"], true);
    let ports = json!({"namespace": "net.ipv4.ip_unprivileged_port_start", "value": "0"});
    assert_eq!(after["systemControls"], json!([{"namespace": "a", "value": "b"}, ports]));
    assert_eq!(after["linuxParameters"], json!({"initProcessEnabled": false, "capabilities": {"drop": ["ALL"]}}));
    assert_eq!(
        after["mountPoints"],
        json!([
            {"sourceVolume": "files", "containerPath": "/files"},
            {"sourceVolume": "fargate-login-init", "containerPath": "/fargate-login", "readOnly": true},
        ])
    );
    assert_eq!(
        after["dependsOn"],
        json!([
            {"containerName": "migrate", "condition": "SUCCESS"},
            {"containerName": "envoy", "condition": "START"},
            {"containerName": "fargate-login-init", "condition": "SUCCESS"},
        ])
    );
    for dropped in OF_THE_SERVICE {
        assert!(after.get(dropped).is_none(), "{dropped}");
    }
    assert_eq!(
        derived.left_out,
        [
            "container nginx",
            "container cron",
            "rails.portMappings",
            "rails.healthCheck",
            "rails.dockerLabels",
            "rails.restartPolicy",
            "proxyConfiguration",
            "pidMode",
            "volume block.configuredAtLaunch",
        ]
    );
}

#[test]
fn the_task_around_it_is_the_same_too() {
    let (original, derived) = (rails(), Derived::new(&rails(), "rails", &wishes()).expect("derived"));
    for kept in
        ["taskRoleArn", "executionRoleArn", "cpu", "memory", "ephemeralStorage", "runtimePlatform", "inventedIn2030"]
    {
        assert_eq!(derived.request[kept], original.json[kept], "{kept}");
    }
    for dropped in OF_ANSWERS.iter().chain(&NOT_FOR_A_CONSOLE) {
        assert!(!derived.request.contains_key(*dropped), "{dropped}");
    }
    assert_eq!(derived.family(), "shop-fargate-login");
    assert_eq!(derived.request["requiresCompatibilities"], json!(["FARGATE"]));
    let volumes = json!([
        {"name": "files", "efsVolumeConfiguration": {"fileSystemId": "fs-1", "transitEncryption": "ENABLED"}},
        {"name": "block"},
        {"name": "fargate-login-init"},
    ]);
    assert_eq!(derived.request["volumes"], volumes);
}

#[test]
fn the_carrier_brings_the_init_and_ends() {
    let derived = Derived::new(&rails(), "rails", &wishes()).expect("derived");
    let carrier = container(&derived, "fargate-login-init").expect("a carrier");
    assert_eq!(
        (&carrier["image"], &carrier["essential"], &carrier["user"]),
        (&json!("init:1"), &json!(false), &json!("0"))
    );
    assert_eq!(carrier["command"], json!(["install", "/fargate-login"]));
    assert_eq!(carrier["mountPoints"][0]["readOnly"], false);
    assert_eq!(carrier["logConfiguration"]["options"]["awslogs-group"], "/shop");
    assert!(carrier.get("secrets").is_none() && carrier.get("environment").is_none());
}

#[test]
fn only_what_is_needed_stays_beside_it() {
    let derived = Derived::new(&rails(), "rails", &wishes()).expect("derived");
    let names: Vec<&str> = names_in(members::list(derived.request.get("containerDefinitions"))).collect();
    assert_eq!(names, ["rails", "fargate-login-init", "migrate", "assets", "envoy"]);
    assert_eq!(container(&derived, "envoy").expect("kept")["essential"], false);

    let all = Derived::new(&rails(), "rails", &Wishes { with_sidecars: true, ..wishes() }).expect("derived");
    let nginx = container(&all, "nginx").expect("kept");
    assert_eq!((&nginx["essential"], nginx.get("portMappings")), (&json!(false), None));
    assert_eq!(nginx["dependsOn"], json!([{"containerName": "rails", "condition": "START"}]));
    assert!(container(&all, "cron").is_some());

    let nginx = Derived::new(&rails(), "nginx", &wishes()).expect("derived");
    let names: Vec<&str> = names_in(members::list(nginx.request.get("containerDefinitions"))).collect();
    assert_eq!(names, ["nginx", "fargate-login-init", "rails", "migrate", "assets", "envoy"]);
}

#[test]
fn dependencies_on_what_is_gone_are_forgotten() {
    let three = fargate(json!({"containerDefinitions": [
        {"name": "app", "image": "a"},
        {"name": "one", "image": "a", "essential": false, "dependsOn": [{"containerName": "two", "condition": "START"}]},
        {"name": "two", "image": "a", "essential": false, "portMappings": [{"containerPort": 1}],
         "dependsOn": [{"containerName": "app", "condition": "COMPLETE"}]},
    ]}));
    let derived = Derived::new(&three, "two", &wishes()).expect("derived");
    assert!(container(&derived, "one").is_none());
    let app = Derived::new(&three, "app", &wishes()).expect("derived");
    let after = container(&app, "app").expect("the container");
    assert_eq!(after["dependsOn"], json!([{"containerName": "fargate-login-init", "condition": "SUCCESS"}]));
}

#[test]
fn a_log_router_stays_and_is_nobodys_console() {
    let firelens = fargate(json!({"containerDefinitions": [
        {"name": "log_router", "image": "fluent-bit", "essential": true, "firelensConfiguration": {"type": "fluentbit"}},
        {"name": "app", "image": "app:1", "essential": true, "logConfiguration": {"logDriver": "awsfirelens",
         "options": {"Name": "datadog", "apikey": "very secret", "Host": "example.com"}}},
        {"name": "agent", "image": "agent:1", "essential": false},
    ]}));
    assert_eq!(candidate(&firelens, None), Ok(Candidate::One("app".to_owned())));
    let derived = Derived::new(&firelens, "app", &wishes()).expect("derived");
    assert_eq!(container(&derived, "log_router").expect("kept")["firelensConfiguration"]["type"], "fluentbit");
    assert!(container(&derived, "agent").is_none());
    assert!(container(&derived, "fargate-login-init").expect("a carrier").get("logConfiguration").is_none());
    let diff = Derived::new(&firelens, "app", &Wishes { keep_entrypoint: true, ..wishes() }).expect("derived").diff();
    assert!(!diff.contains("very secret"), "{diff}");
}

#[test]
fn the_images_entry_point_can_stay_as_a_wrapper() {
    let keep = Wishes { keep_entrypoint: true, ..wishes() };
    let derived = Derived::new(&rails(), "rails", &keep).expect("derived");
    let after = container(&derived, "rails").expect("the container");
    assert_eq!(after["entryPoint"], json!(["bin/entry"]));
    assert_eq!(after["command"], json!(["/fargate-login/fargate-init", "init"]));
    let bare = fargate(json!({"containerDefinitions": [{"name": "app", "image": "a", "command": ["serve"]}]}));
    let derived = Derived::new(&bare, "app", &keep).expect("derived");
    let after = container(&derived, "app").expect("the container");
    assert_eq!((after.get("entryPoint"), &after["command"]), (None, &json!(["/fargate-login/fargate-init", "init"])));
}

#[test]
fn what_cannot_run_on_fargate_is_refused_with_all_its_reasons() {
    let refused = |definition: &TaskDefinition| Derived::new(definition, "app", &wishes()).expect_err("refused");
    let ec2 = definition(json!({
        "family": "old", "revision": 3, "networkMode": "host", "requiresCompatibilities": ["EC2"], "compatibilities": ["EC2"],
        "volumes": [{"name": "run", "host": {"sourcePath": "/var/run"}}, {"name": "tmp", "host": {}}],
        "containerDefinitions": [{"name": "app", "image": "a", "privileged": true, "memory": 128}],
    }));
    let told = refused(&ec2);
    assert_eq!(
        told.to_string(),
        "old:3 cannot run on Fargate: its network mode is host, not awsvpc; it is registered for EC2 only; it has no cpu for \
         the whole task; it has no memory for the whole task; its volume run is /var/run of the instance; its container app \
         is privileged"
    );
    assert!(!told.is_usage());
    let app = json!([{"name": "app", "image": "a"}]);
    let found =
        fargate(json!({"requiresCompatibilities": [], "compatibilities": ["EC2"], "containerDefinitions": app}));
    assert!(refused(&found).to_string().ends_with("ECS found it fit for EC2 only"));
    let windows = json!({"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"});
    let windows = fargate(json!({"runtimePlatform": windows, "containerDefinitions": app}));
    assert!(matches!(refused(&windows), DeriveError::Windows { .. }));
}

#[test]
fn a_carrier_for_another_cpu_is_refused_where_its_tag_says_so() {
    let with = |image: &str| Derived::new(&rails(), "rails", &Wishes { init_image: image.to_owned(), ..wishes() });
    assert!(with("x/init:1.2-arm64").is_ok() && with("x/init:1.2").is_ok());
    let error = with("x/init:1.2-amd64@sha256:00").expect_err("refused");
    assert_eq!(
        error.to_string(),
        "the init image x/init:1.2-amd64@sha256:00 is for X86_64, and the task runs on ARM64"
    );
    assert!(error.is_usage() && error.hints()[0].contains("--init-image"));
}

#[test]
fn a_console_needs_a_place_to_write() {
    let with = |member: &str, value: Value| {
        let mut app = json!({"name": "app", "image": "a", "readonlyRootFilesystem": true});
        app[member] = value;
        fargate(json!({"containerDefinitions": [app]}))
    };
    let read_only = with("mountPoints", json!([{"sourceVolume": "v", "containerPath": "/v", "readOnly": true}]));
    let error = Derived::new(&read_only, "app", &wishes()).expect_err("refused");
    assert!(error.is_usage() && error.hints()[0].contains("--add-tmp"), "{error}");
    let derived = Derived::new(&read_only, "app", &Wishes { add_tmp: true, ..wishes() }).expect("derived");
    let tmpfs = &container(&derived, "app").expect("the container")["linuxParameters"]["tmpfs"];
    assert_eq!(tmpfs[0]["containerPath"], "/tmp");
    for writable in [
        with("mountPoints", json!([{"sourceVolume": "v", "containerPath": "/v"}])),
        with("linuxParameters", json!({"tmpfs": [{"containerPath": "/scratch", "size": 8}]})),
    ] {
        assert!(Derived::new(&writable, "app", &wishes()).is_ok());
    }
}

#[test]
fn the_container_is_named_or_the_only_essential_one() {
    let told = candidate(&rails(), Some("rials")).expect_err("none");
    assert_eq!(told.to_string(), "shop:42 has no container `rials`; it has nginx, rails, migrate, assets, envoy, cron");
    assert!(told.is_usage() && told.hints()[0].contains("--container rails"), "{:?}", told.hints());
    assert_eq!(candidate(&rails(), Some("cron")), Ok(Candidate::One("cron".to_owned())));
    let several = Candidate::Several(vec!["nginx".to_owned(), "rails".to_owned()]);
    assert_eq!(candidate(&rails(), None), Ok(several), "a mesh's proxy is not among them");
    let unsaid = fargate(json!({"containerDefinitions": [{"name": "app"}, {"name": "side", "essential": false}]}));
    assert_eq!(candidate(&unsaid, None), Ok(Candidate::One("app".to_owned())));
    assert!(matches!(candidate(&fargate(json!({})), None), Err(DeriveError::NoContainers { .. })));
}

#[test]
fn too_many_containers_and_a_second_derivation_are_refused() {
    let names = (0..10).map(|n| json!({"name": format!("c{n}"), "image": "a", "essential": n == 0}));
    let ten = fargate(json!({"containerDefinitions": names.collect::<Vec<_>>()}));
    assert!(Derived::new(&ten, "c0", &wishes()).is_ok());
    let error = Derived::new(&ten, "c0", &Wishes { with_sidecars: true, ..wishes() }).expect_err("refused");
    assert_eq!(error, DeriveError::TooManyContainers { count: 11, most: 10 });
    let again = definition(Value::Object(Derived::new(&rails(), "rails", &wishes()).expect("derived").request));
    assert!(matches!(Derived::new(&again, "rails", &wishes()), Err(DeriveError::AlreadyDerived { .. })));
    assert!(starts_the_init(&again, "rails", "init:1"));
    assert!(!starts_the_init(&rails(), "rails", "init:1"));
}

#[test]
fn the_hash_is_of_the_content_and_the_mark_is_found_again() {
    let derived = Derived::new(&rails(), "rails", &wishes()).expect("derived");
    let mut later = rails();
    later.json["revision"] = 43.into();
    later.json["registeredAt"] = 1_763_800_000.into();
    let same = Derived::new(&later, "rails", &wishes()).expect("derived");
    assert_eq!(same.content_hash, derived.content_hash);
    let other = Derived::new(&rails(), "rails", &Wishes { add_tmp: true, ..wishes() }).expect("derived");
    assert_ne!(other.content_hash, derived.content_hash);
    let registered = definition(Value::Object(derived.request.clone()));
    let mark = Mark { derived_from: "shop:42".to_owned(), content_hash: derived.content_hash };
    assert_eq!(Mark::read(&registered), Some(mark));
    assert_eq!(Mark::read(&rails()), None);
}

#[test]
fn a_diff_shows_what_changes_and_no_values() {
    let derived = Derived::new(&rails(), "rails", &wishes()).expect("derived");
    let diff = derived.diff();
    assert!(diff.starts_with("--- shop:42\n+++ shop-fargate-login (derived)\n@@ "), "{diff}");
    for line in [
        "-  \"family\": \"shop\",",
        "+  \"family\": \"shop-fargate-login\",",
        "-        \"bin/entry\"",
        "+        \"/fargate-login/fargate-init\"",
        "-      \"name\": \"nginx\",",
        "-  \"pidMode\": \"task\",",
    ] {
        assert!(diff.lines().any(|shown| shown == line), "{line} in {diff}");
    }
    assert!(!diff.contains("production") && !diff.contains("registeredAt"), "{diff}");
    assert!(!format!("{derived:?}").contains("production"));
}

//! The stand-in and calls to it.

use std::time::Duration;

use local_fargate::{Config, Instance, LocalFargate, ProcessImage};
use serde_json::{Value, json};

/// The one instance.
pub(crate) const INSTANCE: &str = "i-0123456789abcdef0";
/// How long anything may take before it counts as hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Code of a refusal.
pub(crate) type Refusal = String;

/// A stand-in with one instance and one task definition, whose only container sleeps.
pub(crate) async fn stand_in(configure: impl FnOnce(&mut Config)) -> LocalFargate {
    let mut config = Config::default();
    config.instances = vec![Instance::new(INSTANCE)];
    let entry_point = ["/bin/sleep", "infinity"].map(std::ffi::OsString::from).into();
    config.images = vec![ProcessImage { name: "sleeper".to_owned(), entry_point, env: Vec::new() }];
    let definition = json!({
        "family": "sleeper",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "taskRoleArn": "arn:aws:iam::000000000000:role/sleeper",
        "containerDefinitions": [{
            "name": "main",
            "image": "sleeper",
            "essential": true,
            "environment": [{"name": "GREETING", "value": "hello"}],
        }],
    });
    config.task_definitions = vec![definition.to_string()];
    configure(&mut config);
    LocalFargate::start(config).await.expect("the stand-in starts")
}

/// Calls an operation.
pub(crate) async fn call(
    stand_in: &LocalFargate,
    service: &'static str,
    action: &str,
    request: Value,
) -> Result<Value, Refusal> {
    let prefix = match service {
        "ecs" => "AmazonEC2ContainerServiceV20141113",
        "kms" => "TrentService",
        _ => "AmazonSSM",
    };
    let (endpoint, target) = (stand_in.endpoint_url(), format!("{prefix}.{action}"));
    let asked = tokio::task::spawn_blocking(move || {
        let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        let sent = agent
            .post(&endpoint)
            .header("Content-Type", "application/x-amz-json-1.1")
            .header("X-Amz-Target", target)
            .header("Authorization", authorization(service))
            .send(request.to_string());
        let mut reply = sent.expect("the stand-in answers");
        let body: Value = reply.body_mut().read_json().expect("JSON");
        if reply.status().is_success() { Ok(body) } else { Err(body["__type"].as_str().unwrap_or_default().to_owned()) }
    });
    asked.await.expect("no panic")
}

/// A signature of nobody's.
pub(crate) fn authorization(service: &str) -> String {
    let signature = "0".repeat(64);
    format!(
        "AWS4-HMAC-SHA256 Credential=local/20261121/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature={signature}"
    )
}

/// StartSession on the instance.
pub(crate) async fn start(stand_in: &LocalFargate, document: &str, parameters: Value) -> Value {
    let request = json!({"Target": INSTANCE, "DocumentName": document, "Parameters": parameters});
    call(stand_in, "ssm", "StartSession", request).await.expect("a session")
}

/// A running task whose agent is connected: its ARN and its container.
pub(crate) async fn task(stand_in: &LocalFargate) -> (String, Value) {
    let vpc = json!({"subnets": ["subnet-1"], "securityGroups": ["sg-1"], "assignPublicIp": "ENABLED"});
    let request = json!({
        "taskDefinition": "sleeper",
        "launchType": "FARGATE",
        "enableExecuteCommand": true,
        "networkConfiguration": {"awsvpcConfiguration": vpc},
    });
    let launched = call(stand_in, "ecs", "RunTask", request).await.expect("a task");
    let arn = launched["tasks"][0]["taskArn"].as_str().expect("an ARN").to_owned();
    stand_in.task_running(&arn).await;
    loop {
        let described = call(stand_in, "ecs", "DescribeTasks", json!({"tasks": [arn]})).await.expect("a task");
        let container = &described["tasks"][0]["containers"][0];
        if container.is_null() {
            // RUNNING sooner than DescribeTasks knows of it.
            assert_eq!(described["failures"][0]["reason"], "MISSING");
            continue;
        }
        let agent = &container["managedAgents"][0];
        assert_eq!(agent["name"], "ExecuteCommandAgent", "{described}");
        if agent["lastStatus"] == "RUNNING" {
            assert!(agent["lastStartedAt"].is_f64(), "{agent}");
            return (arn, container.clone());
        }
        assert_eq!(agent["lastStatus"], "PENDING");
        tokio::task::yield_now().await;
    }
}

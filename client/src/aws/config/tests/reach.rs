//! What the local configuration can reach, tried in a process whose environment points everywhere else.

use super::service::Service;
use super::*;

/// Tells the child process, which is this test again, where the stand-in is.
const STAND_IN: &str = "FARGATE_LOGIN_TEST_STAND_IN";

#[tokio::test]
async fn the_local_configuration_reaches_the_stand_in_and_nothing_else() {
    if let Ok(endpoint_url) = std::env::var(STAND_IN) {
        return call(&endpoint_url).await;
    }
    let stand_in = Service::start(|_| ("200 OK", r#"{"clusterArns":["arn:local"]}"#.to_owned())).await;
    let elsewhere = Service::start(|_| ("500 Internal Server Error", String::new())).await;
    let home = Home::new("[default]\nregion = eu-west-1\n", BAIT);
    let (_, module) = module_path!().split_once("::").expect("a module of the crate");
    let test = format!("{module}::the_local_configuration_reaches_the_stand_in_and_nothing_else");
    let mut child = tokio::process::Command::new(std::env::current_exe().expect("this program"));
    child.args([test.as_str(), "--exact"]).env(STAND_IN, &stand_in.url).env("HOME", home.0.path());
    for variable in [
        "AWS_ENDPOINT_URL",
        "AWS_ENDPOINT_URL_ECS",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_EC2_METADATA_SERVICE_ENDPOINT",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
    ] {
        child.env(variable, &elsewhere.url);
    }
    child.env("AWS_ACCESS_KEY_ID", "AKIAREAL").env("AWS_SECRET_ACCESS_KEY", "s").env("AWS_SESSION_TOKEN", "t");
    child.env("AWS_PROFILE", "nowhere").env("AWS_REGION", "eu-north-1").env_remove("NO_PROXY").env_remove("no_proxy");
    let output = child.output().await.expect("a child");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    let requests = stand_in.requests();
    assert_eq!(requests.len(), 1);
    let head = &requests[0].head;
    assert!(head.contains("Credential=local/") && head.contains("/us-east-1/ecs/"), "{head}");
    assert!(!head.to_lowercase().contains("x-amz-security-token"), "{head}");
    assert_eq!(elsewhere.requests().len(), 0);
}

const BAIT: &str = "[default]\naws_access_key_id = AKIAREAL\naws_secret_access_key = s\n";

async fn call(endpoint_url: &str) {
    let config = local(endpoint_url, "us-east-1").expect("a loopback address");
    let reply = aws_sdk_ecs::Client::new(&config).list_clusters().send().await.expect("an answer");
    assert_eq!(reply.cluster_arns(), ["arn:local"]);
}

#[test]
fn only_a_loopback_address_is_local() {
    for good in ["http://127.0.0.1:8000", "http://127.0.0.1:8000/", "http://[::1]:8000", "http://127.9.9.9:1"] {
        assert!(local(good, "us-east-1").is_ok(), "{good}");
    }
    for bad in [
        "https://127.0.0.1:8000",
        "http://localhost:8000",
        "http://10.0.0.1:8000",
        "http://0.0.0.0:8000",
        "http://127.0.0.1:8000@ecs.us-east-1.amazonaws.com",
        "http://ecs.us-east-1.amazonaws.com",
        "127.0.0.1:8000",
        "",
    ] {
        let error = local(bad, "us-east-1").expect_err(bad);
        assert_eq!(error, ConfigError::NotLoopback { endpoint_url: bad.to_owned() });
    }
}

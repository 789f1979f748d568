//! Calls to the stand-in in AWS JSON, for what no command of ours does.

use serde_json::{Value, json};

/// Why a call was refused: code and message.
pub type Refusal = (String, String);

/// Calls an operation of ECS (`ecs`) or CloudWatch Logs (`logs`).
///
/// # Errors
/// The service's own.
///
/// # Panics
/// When nobody answers.
pub fn call(endpoint: &str, service: &str, action: &str, request: &Value) -> Result<Value, Refusal> {
    let target = match service {
        "ecs" => "AmazonEC2ContainerServiceV20141113",
        _ => "Logs_20140328",
    };
    let signature = "0".repeat(64);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=local/20261121/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature={signature}"
    );
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let sent = agent
        .post(endpoint)
        .header("Content-Type", "application/x-amz-json-1.1")
        .header("X-Amz-Target", format!("{target}.{action}"))
        .header("Authorization", authorization)
        .send(request.to_string());
    let mut reply = sent.expect("the stand-in answers");
    let body: Value = reply.body_mut().read_json().unwrap_or_else(|_| json!({}));
    if reply.status().is_success() {
        return Ok(body);
    }
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    Err((text("__type"), text("message")))
}

//! Calls to the stand-in in AWS JSON and as forms, for what no command of ours does.

use serde_json::{Value, json};

/// Why a call was refused: code and message.
pub type Refusal = (String, String);

/// Calls an operation of ECS (`ecs`), CloudWatch Logs (`logs`), Systems Manager (`ssm`) or KMS (`kms`).
///
/// # Errors
/// The service's own.
///
/// # Panics
/// When nobody answers.
pub fn call(endpoint: &str, service: &str, action: &str, request: &Value) -> Result<Value, Refusal> {
    let target = match service {
        "ecs" => "AmazonEC2ContainerServiceV20141113",
        "ssm" => "AmazonSSM",
        "kms" => "TrentService",
        _ => "Logs_20140328",
    };
    let sent = agent()
        .post(endpoint)
        .header("Content-Type", "application/x-amz-json-1.1")
        .header("X-Amz-Target", format!("{target}.{action}"))
        .header("Authorization", authorization(service))
        .send(request.to_string());
    let mut reply = sent.expect("the stand-in answers");
    let body: Value = reply.body_mut().read_json().unwrap_or_else(|_| json!({}));
    if reply.status().is_success() {
        return Ok(body);
    }
    let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    Err((text("__type"), text("message")))
}

/// Calls an operation of EC2 with these members; answers the reply's XML.
///
/// # Panics
/// When it is refused.
#[must_use]
pub fn ec2(endpoint: &str, action: &str, members: &[(&str, &str)]) -> String {
    let head = [("Action", action), ("Version", "2016-11-15")];
    let sent = agent()
        .post(endpoint)
        .header("Authorization", authorization("ec2"))
        .send_form(head.iter().chain(members).copied());
    let mut reply = sent.expect("the stand-in answers");
    let body = reply.body_mut().read_to_string().expect("text");
    assert!(reply.status().is_success(), "{action}: {body}");
    body
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().http_status_as_error(false).build().into()
}

fn authorization(service: &str) -> String {
    let signature = "0".repeat(64);
    format!(
        "AWS4-HMAC-SHA256 Credential=local/20261121/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature={signature}"
    )
}

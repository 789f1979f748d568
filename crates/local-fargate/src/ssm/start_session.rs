//! `StartSession`: a document, its parameters, and a target whose agent is connected.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::Value;

use super::document::{self, Parameters};
use super::{session, target, text};
use crate::error::ApiError;
use crate::fault::Fault;
use crate::protocol::aws_json;
use crate::state::Shared;

/// Longest target and reason (SSM API reference, StartSession).
const TARGET_MAX: usize = 400;
const REASON_MAX: usize = 256;
/// Ids begin with the caller's name.
const PREFIX: &str = "local-";

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Request {
    target: Option<String>,
    document_name: Option<String>,
    reason: Option<String>,
    parameters: Parameters,
}

/// Answers a call.
pub(super) fn call(shared: &Arc<Shared>, request: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(request)?;
    let given = text(request.target, "target", TARGET_MAX)?;
    if request.reason.is_some() {
        text(request.reason, "reason", REASON_MAX)?;
    }
    let name = request.document_name.as_deref();
    let is_denied = |fault: &Fault| match fault {
        Fault::DocumentDenied { name: denied } if Some(denied.as_str()) == name => Some(denied.clone()),
        _ => None,
    };
    let denied = shared.lock().faults.take(is_denied);
    if let Some(denied) = denied {
        return Err(ApiError::document_denied(&shared.config.region, &denied));
    }
    let work = document::work(name, &request.parameters)?;
    let target = target::find(shared, &given)?;
    Ok(session::start(shared, PREFIX, &given, target, work).invitation(shared))
}

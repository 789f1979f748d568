//! `TerminateSession`: the channel is closed to both ends. Ending a session twice is no error, and neither is ending none.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{SESSION_ID_MAX, text};
use crate::error::ApiError;
use crate::protocol::aws_json;
use crate::state::Shared;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Request {
    session_id: Option<String>,
}

/// Answers a call.
pub(super) fn call(shared: &Shared, request: &Value) -> Result<Value, ApiError> {
    let request: Request = aws_json::parse(request)?;
    let id = text(request.session_id, "sessionId", SESSION_ID_MAX)?;
    if let Some(session) = shared.sessions.find(&id) {
        session.terminated.cancel();
    }
    Ok(json!({"SessionId": id}))
}

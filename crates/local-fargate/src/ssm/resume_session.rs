//! `ResumeSession`: a new token for a session whose connection was lost; none for one that is over.

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
    let unknown = || ApiError::new("DoesNotExistException", format!("Session {id} does not exist."));
    let session = shared.sessions.find(&id).ok_or_else(unknown)?;
    Ok(if session.over.is_cancelled() { json!({"SessionId": id}) } else { session.invitation(shared) })
}

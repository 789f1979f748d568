//! Systems Manager's sessions (AWS JSON 1.1): the operations, the message gateway behind them, and the agents behind that.

mod agent;
mod channel;
mod document;
mod frame;
pub(crate) mod gateway;
mod impairment;
mod payload;
mod relay;
mod resume_session;
mod session;
mod start_session;
pub(crate) mod target;
mod terminate_session;

use std::sync::Arc;

use serde_json::Value;

use crate::error::ApiError;
use crate::state::Shared;

pub use agent::Agents;
pub(crate) use document::Work;
pub use impairment::Impairment;
pub use session::SessionSummary;
pub(crate) use session::{Sessions, start};
pub use target::Instance;

/// Longest session id (SSM API reference, StartSession).
const SESSION_ID_MAX: usize = 96;

/// Answers a call.
pub(crate) fn call(shared: &Arc<Shared>, action: &str, request: &Value) -> Result<Value, ApiError> {
    match action {
        "StartSession" => start_session::call(shared, request),
        "ResumeSession" => resume_session::call(shared, request),
        "TerminateSession" => terminate_session::call(shared, request),
        _ => Err(ApiError::new("UnknownOperationException", "")),
    }
}

/// A text of so many characters, or the service's word for one that is not.
fn text(value: Option<String>, member: &str, most: usize) -> Result<String, ApiError> {
    let wrong = |what: &str| {
        let constraint =
            format!("1 validation error detected: Value at '{member}' failed to satisfy constraint: {what}");
        Err(ApiError::new("ValidationException", constraint))
    };
    match value {
        None => wrong("Member must not be null"),
        Some(text) if text.is_empty() => wrong("Member must have length greater than or equal to 1"),
        Some(text) if text.chars().count() > most => {
            wrong(&format!("Member must have length less than or equal to {most}"))
        }
        Some(text) => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_have_the_lengths_of_the_model() {
        let code = |given: Option<&str>| text(given.map(str::to_owned), "target", 4).map_err(|error| error.message);
        assert_eq!(code(Some("four")), Ok("four".to_owned()));
        for wrong in [None, Some(""), Some("fives")] {
            assert!(code(wrong).is_err_and(|message| message.contains("'target'")), "{wrong:?}");
        }
    }
}

//! `ssm:TerminateSession`: the end of a session, for its user and its agent. Asking twice is harmless.

use super::{Aws, ServiceError};

/// Ends a session. One that is gone already counts as ended.
///
/// # Errors
/// [`ServiceError`].
pub async fn terminate_session(aws: &Aws, session_id: &str) -> Result<(), ServiceError> {
    let sent = aws.ssm.terminate_session().session_id(session_id).send().await;
    match sent.map_err(|error| ServiceError::new("ssm:TerminateSession", &error)) {
        Err(error) if error.code() == Some("DoesNotExistException") => Ok(()),
        Err(error) => Err(error),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;

    #[tokio::test]
    async fn a_session_is_ended_once_or_was_before() {
        let (aws, asked) = answering(|_, _| (200, json!({"SessionId": "me-0a"})));
        assert_eq!(terminate_session(&aws, "me-0a").await, Ok(()));
        assert_eq!(asked.all(), [("TerminateSession".to_owned(), json!({"SessionId": "me-0a"}))]);
        let (aws, _) = answering(|_, _| (400, json!({"__type": "DoesNotExistException", "message": "no"})));
        assert_eq!(terminate_session(&aws, "me-0a").await, Ok(()));
        let (aws, _) = answering(|_, _| (400, json!({"__type": "AccessDeniedException", "message": "no"})));
        assert!(terminate_session(&aws, "me-0a").await.is_err());
    }
}

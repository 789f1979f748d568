//! `ssm:ResumeSession`: a new token for a session whose connection was cut.

use super::{Aws, ServiceError};
use crate::ssm::Token;

/// A new token; `None` when the session is over.
///
/// # Errors
/// [`ServiceError`].
pub async fn resume_session(aws: &Aws, session_id: &str) -> Result<Option<Token>, ServiceError> {
    let sent = aws.ssm.resume_session().session_id(session_id).send().await;
    match sent.map_err(|error| ServiceError::new("ssm:ResumeSession", &error)) {
        Ok(reply) => Ok(reply.token_value().filter(|token| !token.is_empty()).map(Token::new)),
        Err(error) if error.code() == Some("DoesNotExistException") => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;

    #[tokio::test]
    async fn a_session_has_a_new_token_until_it_is_over() {
        let (aws, asked) = answering(|_, _| (200, json!({"SessionId": "me-0a", "TokenValue": "new"})));
        let token = resume_session(&aws, "me-0a").await.expect("an answer").expect("a token");
        assert_eq!(token.secret(), "new");
        assert_eq!(asked.all(), [("ResumeSession".to_owned(), json!({"SessionId": "me-0a"}))]);
        let (aws, _) = answering(|_, _| (200, json!({"SessionId": "me-0a"})));
        assert!(resume_session(&aws, "me-0a").await.expect("an answer").is_none());
        let (aws, _) = answering(|_, _| (400, json!({"__type": "DoesNotExistException", "message": "no"})));
        assert!(resume_session(&aws, "me-0a").await.expect("an answer").is_none());
        let (aws, _) = answering(|_, _| (400, json!({"__type": "ThrottlingException", "message": "Rate exceeded"})));
        assert!(resume_session(&aws, "me-0a").await.expect_err("throttled").is_transient());
    }
}

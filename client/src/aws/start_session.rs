//! `ssm:StartSession`: a session to a task's container, by its document.

use super::{Aws, ServiceError};
use crate::ssm::{Session, Token};

const ACTION: &str = "ssm:StartSession";

/// What a session is for, with the API's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StartSessionRequest {
    /// `ecs:<cluster>_<task>_<runtime id>`, as [`crate::ssm::session::ecs_target`] makes it.
    pub target: String,
    /// Name of the document, such as `AWS-StartPortForwardingSession`; `None` is a shell.
    pub document: Option<String>,
    /// The document's parameters.
    pub parameters: Vec<(String, String)>,
    /// For CloudTrail and `aws ssm describe-sessions`; at most 256 characters.
    pub reason: Option<String>,
}

/// Longest `Reason` that the API takes (Systems Manager API reference, StartSession).
const REASON_MAX_CHARS: usize = 256;

/// Starts a session. It stands until it is terminated, or nobody opens or uses it.
///
/// # Errors
/// [`ServiceError`]; `TargetNotConnected` when the container's agent is not there.
pub async fn start_session(aws: &Aws, request: &StartSessionRequest) -> Result<Session, ServiceError> {
    let mut call = aws.ssm.start_session().target(&request.target).set_document_name(request.document.clone());
    for (name, value) in &request.parameters {
        call = call.parameters(name, vec![value.clone()]);
    }
    let reason = request.reason.as_ref().map(|reason| reason.chars().take(REASON_MAX_CHARS).collect());
    let sent = call.set_reason(reason).send().await;
    let reply = sent.map_err(|error| ServiceError::new(ACTION, &error))?;
    granted(ACTION, reply.session_id(), reply.stream_url(), reply.token_value(), request.target.clone())
}

/// The session of an answer, which has all three members or is of no use.
pub(super) fn granted(
    action: &'static str,
    id: Option<&str>,
    stream_url: Option<&str>,
    token: Option<&str>,
    target: String,
) -> Result<Session, ServiceError> {
    let (Some(id), Some(stream_url), Some(token)) = (id, stream_url, token) else {
        return Err(ServiceError::without(action, "a session"));
    };
    Ok(Session { id: id.to_owned(), stream_url: stream_url.to_owned(), token: Token::new(token), target })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::canned::answering;
    use super::*;
    use crate::error::Advice as _;

    fn request() -> StartSessionRequest {
        StartSessionRequest {
            target: "ecs:shop_1_2".to_owned(),
            document: Some("AWS-StartPortForwardingSession".to_owned()),
            parameters: vec![("portNumber".to_owned(), "5432".to_owned())],
            reason: Some("a tunnel".to_owned()),
        }
    }

    #[tokio::test]
    async fn a_session_has_a_name_an_address_and_a_token() {
        let (aws, asked) = answering(|_, _| {
            (200, json!({"SessionId": "me-0a", "StreamUrl": "wss://gateway/x", "TokenValue": "hush"}))
        });
        let session = start_session(&aws, &request()).await.expect("a session");
        assert_eq!((session.id.as_str(), session.stream_url.as_str()), ("me-0a", "wss://gateway/x"));
        assert_eq!((session.token.secret(), session.target.as_str()), ("hush", "ecs:shop_1_2"));
        let expected = json!({
            "Target": "ecs:shop_1_2",
            "DocumentName": "AWS-StartPortForwardingSession",
            "Reason": "a tunnel",
            "Parameters": {"portNumber": ["5432"]},
        });
        assert_eq!(asked.all(), [("StartSession".to_owned(), expected)]);
    }

    #[tokio::test]
    async fn an_answer_without_a_token_is_no_session() {
        let (aws, _) = answering(|_, _| (200, json!({"SessionId": "me-0a", "StreamUrl": "wss://gateway/x"})));
        let error = start_session(&aws, &request()).await.expect_err("no token");
        assert_eq!(error.to_string(), "ssm:StartSession failed: its answer lacks a session");
    }

    #[tokio::test]
    async fn refusals_say_what_to_do() {
        for (code, message, hint) in [
            ("TargetNotConnected", "ecs:shop_1_2 is not connected.", "ExecuteCommandAgent"),
            ("InvalidDocument", "Document with name x does not exist.", "document"),
            ("AccessDeniedException", "User: x is not authorized to perform: ssm:StartSession", "ssm:StartSession"),
            ("ExpiredTokenException", "The security token included in the request is expired", "sign in again"),
        ] {
            let (aws, _) = answering(move |_, _| (400, json!({"__type": code, "message": message})));
            let error = start_session(&aws, &request()).await.expect_err("refused");
            assert!(error.hints()[0].contains(hint), "{:?}", error.hints());
        }
    }
}

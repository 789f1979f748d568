//! HTTP: one door for all services, told apart by the protocol, as AWS endpoints are by name.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use axum::serve::ListenerExt as _;
use axum::{Extension, Router};
use hyper::upgrade::OnUpgrade;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use crate::error::ApiError;
use crate::fault::Fault;
use crate::journal::Call;
use crate::protocol::aws_json;
use crate::protocol::query::{self, Form};
use crate::state::Shared;
use crate::{auth, ec2, ecs, kms, logs, metadata, ssm, sts};

/// Serves until `closing` is cancelled.
pub(crate) async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>, closing: CancellationToken) {
    let router = Router::new().fallback(answer).with_state(shared);
    // A keystroke's frame is sent when it is written.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "small frames may be held back");
        }
    });
    // Ends at the cancellation only: an accept that fails is tried again by axum. Open connections of clients that keep
    // them alive are dropped with it.
    tokio::select! {
        served = async { axum::serve(listener, router).await } => {
            if let Err(error) = served {
                tracing::error!(%error, "the stand-in ended");
            }
        }
        () = closing.cancelled() => {}
    }
}

/// Serves what tasks can ask about themselves, and nothing else, until `closing` is cancelled.
pub(crate) async fn serve_metadata(listener: tokio::net::TcpListener, shared: Arc<Shared>, closing: CancellationToken) {
    let answer = |State(shared): State<Arc<Shared>>, uri: Uri| async move { metadata::answer(&shared, uri.path()) };
    let router = Router::new().fallback(axum::routing::get(answer)).with_state(shared);
    tokio::select! {
        served = async { axum::serve(listener, router).await } => {
            if let Err(error) = served {
                tracing::error!(%error, "the metadata endpoint ended");
            }
        }
        () = closing.cancelled() => {}
    }
}

/// A request to a service.
struct Request<'a> {
    service: &'static str,
    action: &'a str,
    members: Members,
    /// As it came, for the journal.
    journal: Value,
}

enum Members {
    Json(Value),
    Form(Form),
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    upgrade: Option<Extension<OnUpgrade>>,
    body: Bytes,
) -> Response {
    if method == Method::GET && uri.path().starts_with(ssm::gateway::PATH) {
        return ssm::gateway::open(&shared, &uri, &headers, upgrade.map(|upgrade| upgrade.0)).await;
    }
    if method == Method::GET {
        return metadata::answer(&shared, uri.path());
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let authorization = text("authorization");
    let request_id = uuid::Uuid::new_v4().to_string();
    let content_type = text("content-type").unwrap_or_default();
    if let Some(target) = text("x-amz-target") {
        let operation = aws_json::operation(target).filter(|_| content_type == aws_json::CONTENT_TYPE);
        let answer = match (operation, aws_json::members(&body)) {
            (None, _) => Err(ApiError::new("UnknownOperationException", "")),
            (_, Err(error)) => Err(error),
            (Some((service, action)), Ok(members)) => {
                let journal = serde_json::from_slice(&body).unwrap_or_default();
                let request = Request { service, action, members: Members::Json(members), journal };
                call(&shared, request, authorization).await
            }
        };
        return json(answer, request_id);
    }
    let form = Form::parse(&body);
    let action = form.text("Action").unwrap_or_default().to_owned();
    let service = match form.text("Version") {
        Some(query::EC2_VERSION) => "ec2",
        Some(query::STS_VERSION) => "sts",
        _ => {
            return (
                StatusCode::BAD_REQUEST,
                "not a request to ECS, EC2, STS, CloudWatch Logs, Systems Manager or KMS\n",
            )
                .into_response();
        }
    };
    let request =
        Request { service, action: &action, journal: form.clone().into_value(), members: Members::Form(form) };
    xml(service, &action, call(&shared, request, authorization).await, request_id)
}

/// One call: faults first, then the operation, then the journal.
async fn call(shared: &Arc<Shared>, request: Request<'_>, authorization: Option<&str>) -> Result<Value, ApiError> {
    let Request { service, action, members, journal } = request;
    let unheard = |fault: &Fault| matches!(fault, Fault::NoAnswer).then_some(());
    let is_unheard = shared.lock().faults.take(unheard).is_some();
    if is_unheard {
        // Until the caller hangs up.
        std::future::pending::<()>().await;
    }
    tokio::time::sleep(delay(shared, action)).await;
    let answer = auth::check(authorization, service, &shared.config.region)
        .and_then(|()| fault(shared, service, action))
        .and_then(|()| dispatch(shared, service, action, &members))
        .and_then(|answer| if is_lost(shared, action) { Err(ApiError::server(service)) } else { Ok(answer) });
    let error = answer.as_ref().err().map(|error| error.code.to_owned());
    shared.lock().journal.push(Call { service, action: action.to_owned(), request: journal, error });
    answer
}

fn dispatch(shared: &Arc<Shared>, service: &str, action: &str, members: &Members) -> Result<Value, ApiError> {
    shared.lock().expire(tokio::time::Instant::now());
    match members {
        Members::Json(members) => match service {
            "logs" => logs::call(shared, action, members),
            "ssm" => ssm::call(shared, action, members),
            "kms" => kms::call(shared, action, members),
            _ => ecs::call(shared, action, members),
        },
        Members::Form(form) if service == "ec2" => ec2::call(shared, action, form),
        Members::Form(_) => sts::call(action),
    }
}

fn delay(shared: &Shared, action: &str) -> Duration {
    let slow = |fault: &Fault| match fault {
        Fault::SlowApi { action: slow, delay } if slow == action => Some(*delay),
        _ => None,
    };
    shared.lock().faults.take(slow).unwrap_or_default()
}

fn fault(shared: &Shared, service: &str, action: &str) -> Result<(), ApiError> {
    if service == "ecs" && is_over_the_limit(shared, action) {
        return Err(ApiError::throttled(service));
    }
    let refusal = |fault: &Fault| match fault {
        Fault::AccessDenied { action: denied } if *denied == format!("{service}:{action}") => {
            Some(ApiError::denied(service, action))
        }
        Fault::CredentialsExpired => Some(ApiError::expired(service)),
        Fault::Throttle { action: named, .. } if named == action => Some(ApiError::throttled(service)),
        Fault::ServerError { action: named, .. } if named == action => Some(ApiError::server(service)),
        _ => None,
    };
    shared.lock().faults.take(refusal).map_or(Ok(()), Err)
}

fn is_over_the_limit(shared: &Shared, action: &str) -> bool {
    let mut world = shared.lock();
    let is_counted = world.faults.take(|fault| matches!(fault, Fault::RateLimits).then_some(())).is_some();
    is_counted && !world.buckets.take(action, tokio::time::Instant::now())
}

fn is_lost(shared: &Shared, action: &str) -> bool {
    let lost = |fault: &Fault| matches!(fault, Fault::LostReply { action: named, .. } if named == action).then_some(());
    shared.lock().faults.take(lost).is_some()
}

fn json(answer: Result<Value, ApiError>, request_id: String) -> Response {
    let (status, body) = match answer {
        Ok(body) => (200, body),
        Err(error) => (error.status, aws_json::error(&error)),
    };
    // An operation that has no reply has an empty one.
    let body = if body.is_null() { String::new() } else { body.to_string() };
    respond(status, aws_json::CONTENT_TYPE, request_id, body)
}

fn xml(service: &str, action: &str, answer: Result<Value, ApiError>, request_id: String) -> Response {
    let (status, body) = match answer {
        Ok(body) if service == "ec2" => (200, query::ec2_response(action, &body, &request_id)),
        Ok(body) => (200, query::sts_response(action, &body, &request_id)),
        Err(error) if service == "ec2" => (error.status, query::ec2_error(&error, &request_id)),
        Err(error) => (error.status, query::sts_error(&error, &request_id)),
    };
    respond(status, query::CONTENT_TYPE, request_id, body)
}

fn respond(status: u16, content_type: &'static str, request_id: String, body: String) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE.as_str(), content_type.to_owned()), ("x-amzn-requestid", request_id)], body)
        .into_response()
}

//! The door of a data channel: a GET that becomes a WebSocket, let in by the token in its first message.

use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::StreamExt as _;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

use super::relay::{Client, Socket};
use super::session::Session;
use crate::auth;
use crate::error::ApiError;
use crate::fault::Fault;
use crate::journal::Call;
use crate::state::Shared;

/// What stands before the session's id.
pub(crate) const PATH: &str = "/v1/data-channel/";
/// How the service is called in signatures and permissions.
const SERVICE: &str = "ssmmessages";
const ACTION: &str = "OpenDataChannel";
/// How long a connection may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(30);
/// First version of session-manager-plugin that signs its request.
const SIGNED_SINCE: [u64; 4] = [1, 2, 764, 0];
/// Largest message: far more than any client sends, and too little to fill the memory with.
const MESSAGE_MAX: usize = 1024 * 1024;

/// The first message of a client.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Open {
    message_schema_version: String,
    request_id: String,
    token_value: String,
    client_id: String,
    #[serde(default)]
    client_version: String,
}

/// Answers a request for a data channel.
pub(crate) async fn open(shared: &Arc<Shared>, uri: &Uri, headers: &HeaderMap, upgrade: Option<OnUpgrade>) -> Response {
    let unheard = |fault: &Fault| matches!(fault, Fault::NoAnswer).then_some(());
    let is_unheard = shared.lock().faults.take(unheard).is_some();
    if is_unheard {
        // Until the caller hangs up.
        std::future::pending::<()>().await;
    }
    let text = |name: header::HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let is_websocket = text(header::UPGRADE).is_some_and(|value| value.eq_ignore_ascii_case("websocket"))
        && text(header::SEC_WEBSOCKET_VERSION) == Some("13");
    let (Some(upgrade), Some(key), true) = (upgrade, text(header::SEC_WEBSOCKET_KEY), is_websocket) else {
        return (StatusCode::BAD_REQUEST, "not a request for a WebSocket\n").into_response();
    };
    let session = match check(shared, uri, text(header::AUTHORIZATION)) {
        Ok(session) => session,
        Err(error) => {
            note(shared, uri.path(), "", false, Some(error.code));
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::BAD_REQUEST);
            return (status, format!("{error}\n")).into_response();
        }
    };
    let is_signed = text(header::AUTHORIZATION).is_some() || is_presigned(uri);
    let accepted = derive_accept_key(key.as_bytes());
    let shared_too = Arc::clone(shared);
    shared.drivers.spawn(async move {
        tokio::select! {
            () = admit(&shared_too, &session, upgrade, is_signed) => {}
            () = shared_too.kill.cancelled() => {}
        }
    });
    let switching = [
        (header::CONNECTION, "Upgrade".to_owned()),
        (header::UPGRADE, "websocket".to_owned()),
        (header::SEC_WEBSOCKET_ACCEPT, accepted),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, switching).into_response()
}

fn check(shared: &Shared, uri: &Uri, authorization: Option<&str>) -> Result<Arc<Session>, ApiError> {
    let refused = |status, code, message: &str| Err(ApiError { status, ..ApiError::new(code, message) });
    if authorization.is_some() {
        auth::check(authorization, SERVICE, &shared.config.region)
            .map_err(|error| ApiError { status: 403, ..error })?;
    }
    let is_expired =
        shared.lock().faults.take(|fault| matches!(fault, Fault::CredentialsExpired).then_some(())).is_some();
    if is_expired && authorization.is_some() {
        return Err(ApiError { status: 403, ..ApiError::expired(SERVICE) });
    }
    if shared.lock().faults.denies(&format!("{SERVICE}:{ACTION}")) {
        return Err(ApiError { status: 403, ..ApiError::denied(SERVICE, ACTION) });
    }
    let role = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).find(|(name, _)| name == "role");
    if role.is_none_or(|(_, role)| role != "publish_subscribe") {
        return refused(400, "BadRequest", "role must be publish_subscribe");
    }
    let id = uri.path().strip_prefix(PATH).unwrap_or_default();
    match shared.sessions.find(id) {
        Some(session) if !session.over.is_cancelled() => Ok(session),
        _ => refused(404, "ChannelNotFound", "there is no such channel"),
    }
}

fn is_presigned(uri: &Uri) -> bool {
    let mut pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    pairs.any(|(name, _)| name.to_ascii_lowercase().starts_with("x-amz-"))
}

/// Waits for the first message, and lets the connection in or closes it.
async fn admit(shared: &Shared, session: &Session, upgrade: OnUpgrade, is_signed: bool) {
    // A client that went away before its connection became a WebSocket.
    let Ok(upgraded) = upgrade.await else { return };
    let config = WebSocketConfig::default().max_message_size(Some(MESSAGE_MAX)).max_frame_size(Some(MESSAGE_MAX));
    let mut socket = WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
    let first = tokio::time::timeout(PATIENCE, first(&mut socket)).await;
    let opened = first.map_err(|_| "nobody said who it is").and_then(|first| identify(first, session, is_signed));
    match opened {
        Ok(version) => {
            note(shared, &session.id, &version, is_signed, None);
            // A session that ended meanwhile has nobody who takes it.
            let _ = session.clients.send(Client { socket }).await;
        }
        Err(reason) => {
            note(shared, &session.id, "", is_signed, Some("AccessDeniedException"));
            let frame = CloseFrame { code: CloseCode::Policy, reason: Utf8Bytes::from_static(reason) };
            // One that is gone needs no reason.
            let _ = socket.close(Some(frame)).await;
        }
    }
}

/// Pings may come before it.
async fn first(socket: &mut Socket) -> Option<Message> {
    loop {
        match socket.next().await?.ok()? {
            Message::Ping(_) | Message::Pong(_) => {}
            other => return Some(other),
        }
    }
}

/// The client's version, if it may come in.
fn identify(first: Option<Message>, session: &Session, is_signed: bool) -> Result<String, &'static str> {
    let Some(Message::Text(text)) = first else { return Err("the first message is not text") };
    let open: Open = serde_json::from_str(&text).map_err(|_| "the first message is not understood")?;
    if open.message_schema_version != "1.0" || open.client_id.is_empty() {
        return Err("the first message is not one of this schema");
    }
    if uuid::Uuid::parse_str(&open.request_id).is_err() {
        return Err("RequestId is no UUID");
    }
    if !session.admits(&open.token_value) {
        return Err("the token is not valid");
    }
    if !is_signed && super::agent::is_at_least(&open.client_version, &SIGNED_SINCE) {
        return Err("clients of this version sign their request");
    }
    Ok(open.client_version)
}

/// Into the journal, without the token.
fn note(shared: &Shared, session: &str, client_version: &str, is_signed: bool, error: Option<&str>) {
    let session = session.strip_prefix(PATH).unwrap_or(session);
    let request = json!({"SessionId": session, "ClientVersion": client_version, "Signed": is_signed});
    let error = error.map(str::to_owned);
    shared.lock().journal.push(Call { service: SERVICE, action: ACTION.to_owned(), request, error });
    shared.wake();
}

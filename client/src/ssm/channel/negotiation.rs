//! What the agent's messages mean: the handshake if there is one, the session's encryption, and what is for the user.

use std::collections::VecDeque;
use std::fmt;
use std::future::pending;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use super::super::encryption::Cipher;
use super::super::error::SsmError;
use super::super::frame::Frame;
use super::super::handshake::{self, Request};
use super::super::message;
use super::super::payload::{Flag, PayloadType};
use super::super::session::{DataKey, DataKeys, Session};
use super::{Event, Ready};

/// A message for the agent.
pub(super) type Answer = (PayloadType, Bytes);

/// How far the beginning of a session is, and the key that came of it.
pub(super) struct Negotiation {
    session: Session,
    keys: Arc<dyn DataKeys>,
    request: Option<Request>,
    /// Kept, since the key must not be made anew for a request that comes twice.
    response: Option<Bytes>,
    asking: Option<BoxFuture<'static, Result<DataKey, SsmError>>>,
    cipher: Option<Cipher>,
    ready: bool,
    refusal: Option<SsmError>,
}

impl Negotiation {
    pub(super) fn new(session: Session, keys: Arc<dyn DataKeys>) -> Self {
        Self { session, keys, request: None, response: None, asking: None, cipher: None, ready: false, refusal: None }
    }

    /// Whether the session has started: nothing else may be sent before.
    pub(super) const fn is_ready(&self) -> bool {
        self.ready
    }

    /// Whether the session began with a handshake.
    pub(super) const fn has_shaken_hands(&self) -> bool {
        self.request.is_some()
    }

    /// Why the agent will end a session that it has asked what we do not know; once.
    pub(super) fn refusal(&mut self) -> Option<SsmError> {
        self.refusal.take()
    }

    /// Takes the next message in order. What is for the user is added to `events`.
    pub(super) fn take(&mut self, frame: Frame, events: &mut VecDeque<Event>) -> Result<Option<Answer>, SsmError> {
        match frame.payload_type {
            PayloadType::Output => events.extend(self.content(&frame.payload)?.map(Event::Output)),
            PayloadType::StdErr => events.extend(self.content(&frame.payload)?.map(Event::StdErr)),
            PayloadType::ExitCode => {
                let text = self.content(&frame.payload)?.unwrap_or_default();
                events.extend(message::exit_code(&text).map(Event::ExitCode));
            }
            PayloadType::Flag if Flag::decode(&frame.payload) == Some(Flag::ConnectToPortError) => {
                events.push_back(Event::ConnectRefused);
            }
            PayloadType::HandshakeRequest => return self.requested(&frame.payload),
            PayloadType::EncChallengeRequest => return self.challenged(&frame.payload).map(Some),
            PayloadType::HandshakeComplete => {
                self.start(handshake::customer_message(&frame.payload), events);
                return Ok(None);
            }
            other => tracing::debug!(payload_type = ?other, "a message of no known use"),
        }
        // Without a handshake, the first output is the start.
        if !self.ready && self.request.is_none() && !events.is_empty() {
            let output = std::mem::take(events);
            self.start(None, events);
            events.extend(output);
        }
        Ok(None)
    }

    /// Whether KMS is being asked for a key.
    pub(super) const fn is_asking(&self) -> bool {
        self.asking.is_some()
    }

    /// Waits for KMS; for ever if it was not asked. May be dropped and called again.
    pub(super) async fn key(&mut self) -> Result<DataKey, SsmError> {
        let Some(asking) = &mut self.asking else { return pending().await };
        let key = asking.await;
        self.asking = None;
        key
    }

    /// The answer to the handshake that the key was for, and the reason why the session will not start, if it will not.
    pub(super) fn answer(&mut self, key: Result<DataKey, SsmError>) -> (Option<Answer>, Option<SsmError>) {
        let Some(request) = &self.request else { return (None, None) };
        let key = key.and_then(|key| {
            self.cipher = Some(Cipher::new(&key.plaintext).map_err(encryption)?);
            Ok(key)
        });
        let response = request.response(Some(&key));
        self.response = Some(response.clone());
        (Some((PayloadType::HandshakeResponse, response)), key.err())
    }

    /// Input as it is sent.
    pub(super) fn seal(&self, input: Bytes) -> Result<Bytes, SsmError> {
        match &self.cipher {
            Some(cipher) => cipher.seal(&input).map_err(encryption),
            None => Ok(input),
        }
    }

    fn requested(&mut self, payload: &[u8]) -> Result<Option<Answer>, SsmError> {
        if self.is_asking() {
            return Ok(None);
        }
        if let Some(response) = &self.response {
            return Ok(Some((PayloadType::HandshakeResponse, response.clone())));
        }
        let request = Request::parse(payload)?;
        if let Some(wanted) = &request.encryption {
            let (keys, asked) = (Arc::clone(&self.keys), wanted.key_request(&self.session));
            let key_id = wanted.key_id().to_owned();
            self.asking = Some(Box::pin(async move {
                keys.data_key(&asked).await.map_err(|error| SsmError::DataKey { key_id, error })
            }));
            self.request = Some(request);
            return Ok(None);
        }
        let response = request.response(None);
        self.refusal = request.unsupported().map(|cause| SsmError::Handshake { cause });
        self.request = Some(request);
        self.response = Some(response.clone());
        Ok(Some((PayloadType::HandshakeResponse, response)))
    }

    fn challenged(&self, payload: &[u8]) -> Result<Answer, SsmError> {
        let no_key = || SsmError::Handshake { cause: "a challenge without a key".to_owned() };
        let cipher = self.cipher.as_ref().ok_or_else(no_key)?;
        let plain = cipher.open(&handshake::challenge(payload)?).map_err(encryption)?;
        let sealed = cipher.seal(&plain).map_err(encryption)?;
        Ok((PayloadType::EncChallengeResponse, handshake::challenge_response(&sealed)))
    }

    fn start(&mut self, greeting: Option<String>, events: &mut VecDeque<Event>) {
        if self.ready {
            return;
        }
        self.ready = true;
        let (kind, agent) = self.request.as_ref().map_or_else(Default::default, |of| (of.kind.clone(), of.agent));
        events.push_back(Event::Ready(Ready { kind, agent, greeting }));
    }

    /// The plaintext of a message; `None` when it is empty.
    fn content(&self, payload: &Bytes) -> Result<Option<Bytes>, SsmError> {
        let plain = match &self.cipher {
            Some(cipher) => cipher.open(payload).map_err(encryption)?,
            None => payload.clone(),
        };
        Ok((!plain.is_empty()).then_some(plain))
    }
}

fn encryption(error: impl fmt::Display) -> SsmError {
    SsmError::Encryption { cause: error.to_string() }
}

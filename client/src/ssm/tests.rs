//! Sessions with a peer that is the gateway and the agent in one, over real WebSockets on the loopback interface.

mod cuts;
mod encrypted;
mod faults;
mod peer;
mod ports;
mod refusals;
mod shells;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::session::{DataKey, DataKeyRequest, DataKeys, Resume, Session, Token};
use super::{Services, SsmError};
use crate::aws::ServiceError;
use crate::aws::error::Fault;
use peer::Peer;

/// AWS as these sessions need it: what it is asked, and what it answers.
#[derive(Debug, Default)]
struct Cloud {
    resumed: Mutex<u32>,
    terminated: Mutex<u32>,
    asked: Mutex<Vec<DataKeyRequest>>,
    /// Answers to resuming, before which a fresh token is given each time.
    over: Mutex<VecDeque<Option<ServiceError>>>,
    key: Mutex<Option<ServiceError>>,
}

/// The key that KMS makes here, for which it gives its agent's ciphertext `wrapped`.
fn key() -> Vec<u8> {
    (0..64).collect()
}

fn refused(action: &'static str, code: &str) -> ServiceError {
    let fault = Fault::Refused { code: code.to_owned(), message: "no".to_owned(), request_id: None };
    ServiceError { action, fault }
}

impl Resume for Cloud {
    fn resume<'a>(&'a self, session_id: &'a str) -> BoxFuture<'a, Result<Option<Token>, ServiceError>> {
        assert_eq!(session_id, "me-0a1b");
        let mut resumed = self.resumed.lock().expect("no panic");
        *resumed += 1;
        let token = Token::new(&format!("token {resumed}"));
        let answer = match self.over.lock().expect("no panic").pop_front() {
            None => Ok(Some(token)),
            Some(None) => Ok(None),
            Some(Some(error)) => Err(error),
        };
        Box::pin(std::future::ready(answer))
    }

    fn terminate<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Result<(), ServiceError>> {
        *self.terminated.lock().expect("no panic") += 1;
        Box::pin(std::future::ready(Ok(())))
    }
}

impl DataKeys for Cloud {
    fn data_key<'a>(&'a self, request: &'a DataKeyRequest) -> BoxFuture<'a, Result<DataKey, ServiceError>> {
        self.asked.lock().expect("no panic").push(request.clone());
        let key = DataKey { plaintext: Zeroizing::new(key()), ciphertext: b"wrapped".to_vec() };
        let answer = self.key.lock().expect("no panic").clone().map_or(Ok(key), Err);
        Box::pin(std::future::ready(answer))
    }
}

fn services(cloud: &Arc<Cloud>) -> Services {
    Services { signer: None, resume: Arc::<Cloud>::clone(cloud), keys: Arc::<Cloud>::clone(cloud) }
}

fn session(peer: &Peer) -> Session {
    Session {
        id: "me-0a1b".to_owned(),
        stream_url: peer.url.clone(),
        token: Token::new("token 0"),
        target: "ecs:shop_1_2".to_owned(),
    }
}

/// Bytes without a pattern that a shifted or repeated piece could hide in.
fn noise(length: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(length + 32);
    for count in 0_u64.. {
        if bytes.len() >= length {
            break;
        }
        bytes.extend_from_slice(&Sha256::digest(count.to_be_bytes()));
    }
    bytes.truncate(length);
    bytes
}

fn digest(bytes: &[u8]) -> Bytes {
    Bytes::copy_from_slice(&Sha256::digest(bytes))
}

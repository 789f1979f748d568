//! The agent that lends the one-time key to OpenSSH (draft-miller-ssh-agent): it lists that key and signs logins with it, for
//! processes of our own user, and refuses everything else. The private half never leaves our memory.

use std::time::Duration;

use russh::keys::ssh_encoding::{Decode as _, Encode as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::directory::is_ours;
use crate::ssh::identity::OneTimeKey;

/// Message types (draft-miller-ssh-agent, section 6.1).
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;
/// SSH_MSG_USERAUTH_REQUEST (RFC 4252, section 6).
const USERAUTH_REQUEST: u8 = 50;

/// Longest request that is read, in bytes: what is signed is a session id, names and a key.
const REQUEST_MAX: u32 = 16 * 1024;
/// Connections at once. OpenSSH asks once for each login.
const CONNECTIONS: usize = 64;
/// Pause after a connection could not be accepted, mostly for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Answers processes of our own user until dropped.
pub async fn serve(listener: UnixListener, key: OneTimeKey) {
    let mut callers = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = callers.join_next() => {}
            accepted = listener.accept(), if callers.len() < CONNECTIONS => match accepted {
                Ok((stream, _)) if is_ours(&stream) => {
                    let key = key.clone();
                    callers.spawn(async move { answer_all(stream, &key).await });
                }
                Ok(_) => tracing::warn!("another user's process asked the agent"),
                Err(error) => {
                    tracing::warn!(%error, "the agent took no connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

/// One connection; its end is the caller's.
async fn answer_all(mut stream: UnixStream, key: &OneTimeKey) -> Option<()> {
    loop {
        let length = stream.read_u32().await.ok()?;
        if length == 0 || length > REQUEST_MAX {
            return None;
        }
        let mut request = vec![0; usize::try_from(length).ok()?];
        stream.read_exact(&mut request).await.ok()?;
        let answer = answer(&request, key).unwrap_or_else(|| vec![FAILURE]);
        stream.write_u32(u32::try_from(answer.len()).ok()?).await.ok()?;
        stream.write_all(&answer).await.ok()?;
    }
}

fn answer(request: &[u8], key: &OneTimeKey) -> Option<Vec<u8>> {
    let (kind, mut rest) = request.split_first()?;
    let own = key.public_key().to_bytes().ok()?;
    let mut answer = Vec::new();
    match *kind {
        REQUEST_IDENTITIES => {
            answer.push(IDENTITIES_ANSWER);
            1u32.encode(&mut answer).ok()?;
            own.as_slice().encode(&mut answer).ok()?;
            "fargate-login".encode(&mut answer).ok()?;
        }
        SIGN_REQUEST => {
            let wanted = Vec::<u8>::decode(&mut rest).ok()?;
            let message = Vec::<u8>::decode(&mut rest).ok()?;
            if wanted != own || !is_login(&message) {
                return None;
            }
            answer.push(SIGN_RESPONSE);
            key.sign(&message)?.as_slice().encode(&mut answer).ok()?;
        }
        _ => return None,
    }
    Some(answer)
}

/// Whether this is what a client signs to log in (RFC 4252, section 7): session id, message type, user, service, method.
fn is_login(message: &[u8]) -> bool {
    let mut rest = message;
    let mut read = || {
        let _session = Vec::<u8>::decode(&mut rest).ok()?;
        let kind = u8::decode(&mut rest).ok()?;
        let _user = Vec::<u8>::decode(&mut rest).ok()?;
        let service = Vec::<u8>::decode(&mut rest).ok()?;
        let method = Vec::<u8>::decode(&mut rest).ok()?;
        Some(kind == USERAUTH_REQUEST && service == b"ssh-connection" && method.starts_with(b"publickey"))
    };
    read().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use russh::keys::signature::Verifier as _;
    use russh::keys::ssh_key::Signature;

    use super::*;

    fn login(service: &str, method: &str) -> Vec<u8> {
        let mut message = Vec::new();
        [7u8; 32].as_slice().encode(&mut message).expect("memory");
        message.push(USERAUTH_REQUEST);
        for text in ["root", service, method] {
            text.encode(&mut message).expect("memory");
        }
        message.push(1);
        message
    }

    fn sign_request(key: &OneTimeKey, message: &[u8]) -> Vec<u8> {
        let mut request = vec![SIGN_REQUEST];
        key.public_key().to_bytes().expect("a key").as_slice().encode(&mut request).expect("memory");
        message.encode(&mut request).expect("memory");
        0u32.encode(&mut request).expect("memory");
        request
    }

    #[test]
    fn it_signs_logins_with_its_key_and_no_other() {
        let (key, other) = (OneTimeKey::generate(), OneTimeKey::generate());
        for method in ["publickey", "publickey-hostbound-v00@openssh.com"] {
            let message = login("ssh-connection", method);
            let answer = answer(&sign_request(&key, &message), &key).expect("a signature");
            let (kind, mut rest) = answer.split_first().expect("a type");
            let signature = Vec::<u8>::decode(&mut rest).expect("a string");
            let signature = Signature::try_from(signature.as_slice()).expect("a signature");
            assert_eq!((*kind, rest.len()), (SIGN_RESPONSE, 0));
            assert!(key.public_key().key_data().verify(&message, &signature).is_ok());
            assert_eq!(super::answer(&sign_request(&other, &message), &key), None);
        }
    }

    #[test]
    fn it_signs_nothing_but_logins() {
        let key = OneTimeKey::generate();
        let git = b"SSHSIG\0\0\0\x03git\0\0\0\0\0\0\0\x06sha512".to_vec();
        for message in [Vec::new(), git, login("ssh-userauth", "publickey"), login("ssh-connection", "hostbased")] {
            assert_eq!(answer(&sign_request(&key, &message), &key), None, "{message:?}");
        }
    }

    #[test]
    fn anything_else_fails() {
        let key = OneTimeKey::generate();
        // Adding, removing and locking among them (draft-miller-ssh-agent, section 6.1).
        for request in [&[][..], &[SIGN_REQUEST], &[SIGN_REQUEST, 0, 0, 1, 0, 7], &[17], &[19], &[22], &[27], &[255, 1]]
        {
            assert_eq!(answer(request, &key), None, "{request:?}");
        }
        assert_eq!(answer(&[REQUEST_IDENTITIES], &key).expect("a list")[..5], [IDENTITIES_ANSWER, 0, 0, 0, 1]);
    }
}

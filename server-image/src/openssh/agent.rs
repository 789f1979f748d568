//! The agent that signs for sshd with the host key (draft-miller-ssh-agent): the private half never leaves our memory, and no
//! file ever holds it.

use std::sync::Arc;

use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::{Decode as _, Encode as _};
use russh::keys::ssh_key::Signature;
use russh::keys::{PrivateKey, PublicKey};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use super::Sshds;
use crate::serve::ACCEPT_PAUSE;

/// Message types (draft-miller-ssh-agent, section 6.1).
const FAILURE: u8 = 5;
const REQUEST_IDENTITIES: u8 = 11;
const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
const SIGN_RESPONSE: u8 = 14;

/// Longest request that is read, in bytes: what sshd has signed is one hash.
const REQUEST_MAX: u32 = 64 * 1024;

/// Answers the sshds that we started, and nobody else, until dropped.
pub(super) async fn serve(listener: UnixListener, key: Arc<PrivateKey>, sshds: Sshds) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Out of descriptors or memory: connections that end give some back.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let caller = stream.peer_cred().ok().and_then(|peer| peer.pid());
        // Processes of a session may be of our own user: only sshd itself, our direct child, is answered.
        if caller.is_some_and(|pid| sshds.is_one(pid)) {
            tokio::spawn(answer_all(stream, Arc::clone(&key)));
        }
    }
}

/// One connection; its end is sshd's.
async fn answer_all(mut stream: UnixStream, key: Arc<PrivateKey>) -> Option<()> {
    loop {
        let length = stream.read_u32().await.ok()?;
        if length == 0 || length > REQUEST_MAX {
            return None;
        }
        let mut request = vec![0; usize::try_from(length).ok()?];
        stream.read_exact(&mut request).await.ok()?;
        let answer = answer(&request, &key).unwrap_or_else(|| vec![FAILURE]);
        stream.write_u32(u32::try_from(answer.len()).ok()?).await.ok()?;
        stream.write_all(&answer).await.ok()?;
    }
}

pub(super) fn answer(request: &[u8], key: &PrivateKey) -> Option<Vec<u8>> {
    let (kind, mut rest) = request.split_first()?;
    let own = key.public_key().to_bytes().ok()?;
    let mut answer = Vec::new();
    match *kind {
        REQUEST_IDENTITIES => {
            answer.push(IDENTITIES_ANSWER);
            1u32.encode(&mut answer).ok()?;
            own.as_slice().encode(&mut answer).ok()?;
            "".encode(&mut answer).ok()?;
        }
        SIGN_REQUEST => {
            let wanted = Vec::<u8>::decode(&mut rest).ok()?;
            let message = Vec::<u8>::decode(&mut rest).ok()?;
            if wanted != own {
                return None;
            }
            let signature: Signature = key.try_sign(&message).ok()?;
            answer.push(SIGN_RESPONSE);
            Vec::<u8>::try_from(signature).ok()?.as_slice().encode(&mut answer).ok()?;
        }
        _ => return None,
    }
    Some(answer)
}

/// The host key's public half as sshd reads it.
pub(super) fn line(key: &PublicKey) -> Option<String> {
    key.to_openssh().ok()
}

#[cfg(test)]
mod tests {
    use fargate_contract::HostSeed;
    use russh::keys::signature::Verifier as _;

    use super::*;

    fn sign_request(key: &PublicKey, message: &[u8]) -> Vec<u8> {
        let mut request = vec![SIGN_REQUEST];
        key.to_bytes().expect("a key").as_slice().encode(&mut request).expect("memory");
        message.encode(&mut request).expect("memory");
        0u32.encode(&mut request).expect("memory");
        request
    }

    #[test]
    fn it_signs_with_its_key_and_no_other() {
        let (key, other) = (HostSeed::new([1; 32]).private_key(), HostSeed::new([2; 32]).public_key());
        let answer = super::answer(&sign_request(key.public_key(), b"hash"), &key).expect("a signature");
        let (kind, mut rest) = answer.split_first().expect("a type");
        let signature = Vec::<u8>::decode(&mut rest).expect("a string");
        let signature = Signature::try_from(signature.as_slice()).expect("a signature");
        assert_eq!((*kind, rest.len()), (SIGN_RESPONSE, 0));
        assert!(key.public_key().key_data().verify(b"hash", &signature).is_ok());
        assert_eq!(super::answer(&sign_request(&other, b"hash"), &key), None);
    }

    #[test]
    fn anything_else_fails() {
        let key = HostSeed::new([1; 32]).private_key();
        for request in [&[][..], &[SIGN_REQUEST], &[SIGN_REQUEST, 0, 0, 1, 0, 7], &[17], &[255, 1]] {
            assert_eq!(super::answer(request, &key), None, "{request:?}");
        }
        assert_eq!(super::answer(&[REQUEST_IDENTITIES], &key).expect("a list")[..5], [IDENTITIES_ANSWER, 0, 0, 0, 1]);
    }
}

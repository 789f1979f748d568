//! Encryption between client and agent: AES-256-GCM under the two halves of a key that KMS made.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use bytes::{BufMut as _, Bytes, BytesMut};

/// Bytes of the key for one direction.
const KEY: usize = 32;
/// Bytes of a nonce, which stands before the ciphertext.
const NONCE: usize = 12;
/// Bytes of the tag behind the ciphertext.
const TAG: usize = 16;

/// Both directions. The keys are wiped by the library when they are dropped.
pub(crate) struct Cipher {
    opening: LessSafeKey,
    sealing: LessSafeKey,
}

/// Why there is no plaintext, or no ciphertext.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CipherError {
    #[error("KMS gave a key of {0} bytes instead of 64")]
    KeyLength(usize),
    #[error("a message is not encrypted under the session's key")]
    Forged,
    #[error("the system has no random numbers")]
    NoRandomness,
}

impl Cipher {
    /// Splits a key of 64 bytes: we decrypt with its first half, the agent with its second.
    pub(crate) fn new(key: &[u8]) -> Result<Self, CipherError> {
        let (opening, sealing) = key.split_at_checked(KEY).ok_or(CipherError::KeyLength(key.len()))?;
        let half = |half: &[u8]| {
            let unbound = UnboundKey::new(&AES_256_GCM, half).map_err(|_| CipherError::KeyLength(key.len()))?;
            Ok(LessSafeKey::new(unbound))
        };
        Ok(Self { opening: half(opening)?, sealing: half(sealing)? })
    }

    /// Nonce, ciphertext and tag. The nonce is random: 2^32 messages may share a key (NIST SP 800-38D, section 8.3), four TiB
    /// in pieces of 1 KiB.
    pub(crate) fn seal(&self, plaintext: &[u8]) -> Result<Bytes, CipherError> {
        let mut nonce = [0; NONCE];
        SystemRandom::new().fill(&mut nonce).map_err(|_| CipherError::NoRandomness)?;
        let mut sealed = BytesMut::with_capacity(NONCE + plaintext.len() + TAG);
        sealed.put_slice(&nonce);
        sealed.put_slice(plaintext);
        let mut content = sealed.split_off(NONCE);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self.sealing.seal_in_place_separate_tag(nonce, Aad::empty(), &mut content);
        let tag = tag.map_err(|_| CipherError::Forged)?;
        sealed.unsplit(content);
        sealed.put_slice(tag.as_ref());
        Ok(sealed.freeze())
    }

    /// The plaintext of what the agent has sealed.
    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Bytes, CipherError> {
        let (nonce, content) = sealed.split_at_checked(NONCE).ok_or(CipherError::Forged)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| CipherError::Forged)?;
        let mut content = BytesMut::from(content);
        let length = self.opening.open_in_place(nonce, Aad::empty(), &mut content);
        let length = length.map_err(|_| CipherError::Forged)?.len();
        content.truncate(length);
        Ok(content.freeze())
    }
}

impl fmt::Debug for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cipher(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The agent's end: the same key with its halves exchanged.
    fn ends() -> (Cipher, Cipher) {
        let key: Vec<u8> = (0..64).collect();
        let theirs = [&key[32..], &key[..32]].concat();
        (Cipher::new(&key).expect("a key"), Cipher::new(&theirs).expect("a key"))
    }

    #[test]
    fn the_halves_of_the_key_are_one_for_each_direction() {
        let (client, agent) = ends();
        let sealed = client.seal(b"ls\n").expect("sealed");
        assert_eq!(sealed.len(), NONCE + 3 + TAG);
        assert_eq!(agent.open(&sealed).as_deref(), Ok(&b"ls\n"[..]));
        assert_eq!(client.open(&sealed), Err(CipherError::Forged));
        assert_ne!(client.seal(b"ls\n").expect("sealed"), sealed, "a nonce is used once");
    }

    /// Test case 14 of McGrew and Viega's specification of GCM: AES-256, key, nonce and plaintext of zeros.
    #[test]
    fn the_layout_is_nonce_ciphertext_tag_as_the_published_vector_has_them() {
        let client = Cipher::new(&[0; 64]).expect("a key");
        let sealed = b"\0\0\0\0\0\0\0\0\0\0\0\0\
            \xce\xa7\x40\x3d\x4d\x60\x6b\x6e\x07\x4e\xc5\xd3\xba\xf3\x9d\x18\
            \xd0\xd1\xc8\xa7\x99\x99\x6b\xf0\x26\x5b\x98\xb5\xd4\x8a\xb9\x19";
        assert_eq!(client.open(sealed).as_deref(), Ok(&[0; 16][..]));
    }

    #[test]
    fn what_was_touched_does_not_open() {
        let (client, agent) = ends();
        let sealed = agent.seal(b"secret").expect("sealed");
        for at in 0..sealed.len() {
            let mut touched = sealed.to_vec();
            touched[at] ^= 1;
            assert_eq!(client.open(&touched), Err(CipherError::Forged));
        }
        assert_eq!(client.open(&sealed[..11]), Err(CipherError::Forged));
        assert_eq!(Cipher::new(&[0; 32]).err(), Some(CipherError::KeyLength(32)));
        assert_eq!(Cipher::new(&[0; 65]).err(), Some(CipherError::KeyLength(65)));
        assert_eq!(Cipher::new(&[0; 5]).err(), Some(CipherError::KeyLength(5)));
    }
}

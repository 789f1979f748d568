//! Sealing what a session says under a key of KMS's: AES-256-GCM, nonce in front, tag behind.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use bytes::Bytes;
use std::sync::atomic::{AtomicU64, Ordering};

/// Bytes of each of the two keys.
const KEY: usize = 32;

/// A session's two keys.
pub(super) struct Cipher {
    seals: LessSafeKey,
    opens: LessSafeKey,
    /// The first bytes of every nonce, and the counter behind them: drawn once, then counted.
    prefix: [u8; 4],
    counter: AtomicU64,
}

impl Cipher {
    /// From the 64 bytes of KMS: the agent seals with the first half, which is what the client opens with. `None` if they are not 64.
    pub(super) fn new(keys: &[u8], draw: &mut crate::draw::Draw) -> Option<Self> {
        let key = |bytes: &[u8]| UnboundKey::new(&AES_256_GCM, bytes).ok().map(LessSafeKey::new);
        let (first, second) = keys.split_at_checked(KEY).filter(|(_, second)| second.len() == KEY)?;
        let counter = AtomicU64::new(u64::from_be_bytes(draw.bytes()));
        Some(Self { seals: key(first)?, opens: key(second)?, prefix: draw.bytes(), counter })
    }

    pub(super) fn seal(&self, plain: &[u8]) -> Bytes {
        let count = self.counter.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let mut nonce = [0; NONCE_LEN];
        for (to, from) in nonce.iter_mut().zip(self.prefix.iter().chain(&count)) {
            *to = *from;
        }
        let mut sealed = plain.to_vec();
        let unique = Nonce::assume_unique_for_key(nonce);
        // Fails past 64 GiB only.
        let _ = self.seals.seal_in_place_append_tag(unique, Aad::empty(), &mut sealed);
        [&nonce[..], &sealed].concat().into()
    }

    /// `None` for what was not sealed with the client's key.
    pub(super) fn open(&self, sealed: &[u8]) -> Option<Bytes> {
        let (nonce, text) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut text = text.to_vec();
        let plain = self.opens.open_in_place(nonce, Aad::empty(), &mut text).ok()?;
        Some(Bytes::copy_from_slice(plain))
    }
}

impl std::fmt::Debug for Cipher {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cipher").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::Draw;

    /// Keys 00..1f and 20..3f. The second text was sealed by Python's `cryptography`, as the client seals: with the second key.
    fn keys() -> Vec<u8> {
        (0..64).collect()
    }

    #[test]
    fn what_the_client_seals_is_opened_and_nothing_else() {
        let cipher = Cipher::new(&keys(), &mut Draw::new(1, 1)).expect("64 bytes");
        let sealed = hex(include_str!("../../../tests/golden/sealed-by-client.hex"));
        assert_eq!(cipher.open(&sealed).as_deref(), Some(&b"ls -l\n"[..]));
        let mut damaged = sealed.clone();
        damaged[20] ^= 1;
        assert_eq!(cipher.open(&damaged), None);
        assert_eq!(cipher.open(&cipher.seal(b"own")), None, "the halves are not the same key");
        assert_eq!(cipher.open(b"short"), None);
    }

    #[test]
    fn no_nonce_comes_twice_and_the_first_half_seals() {
        let cipher = Cipher::new(&keys(), &mut Draw::new(1, 1)).expect("64 bytes");
        let turned: Vec<u8> = (32..64).chain(0..32).collect();
        let client = Cipher::new(&turned, &mut Draw::new(1, 2)).expect("64 bytes");
        let (first, second) = (cipher.seal(b"a"), cipher.seal(b"a"));
        assert_ne!(first[..12], second[..12]);
        assert_eq!(first.len(), 12 + 1 + 16);
        assert_eq!(client.open(&first).as_deref(), Some(&b"a"[..]));
        assert!(Cipher::new(&keys()[..63], &mut Draw::new(1, 1)).is_none());
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<_> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).expect("a byte")).collect()
    }
}

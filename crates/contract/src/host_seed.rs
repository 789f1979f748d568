//! The seed of a one-time host key: made by the client for one run, sent in its override, worth nothing afterwards.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ssh_key::private::Ed25519Keypair;
use ssh_key::{PrivateKey, PublicKey};
use zeroize::{Zeroize as _, ZeroizeOnDrop, Zeroizing};

/// Bytes in a seed: an ed25519 private key (RFC 8032, section 5.1.5).
pub const SEED_BYTES: usize = 32;

/// 32 random bytes that fix an ed25519 host key. Wiped when dropped, never shown by `Debug`.
#[derive(Clone, ZeroizeOnDrop)]
pub struct HostSeed([u8; SEED_BYTES]);

impl HostSeed {
    /// Takes bytes that the caller drew from a cryptographic source of randomness.
    #[must_use]
    pub const fn new(bytes: [u8; SEED_BYTES]) -> Self {
        Self(bytes)
    }

    /// The host key that the server shows.
    #[must_use]
    pub fn private_key(&self) -> PrivateKey {
        PrivateKey::from(Ed25519Keypair::from_seed(&self.0))
    }

    /// The host key that the client expects, and nothing else.
    #[must_use]
    pub fn public_key(&self) -> PublicKey {
        self.private_key().public_key().clone()
    }

    /// The seed as unpadded base64: 43 characters.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD_NO_PAD.encode(self.0))
    }

    /// Reads what [`HostSeed::encode`] wrote. `None` when it is not exactly that.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let mut decoded = Zeroizing::new(STANDARD_NO_PAD.decode(text).ok()?);
        let seed = <[u8; SEED_BYTES]>::try_from(decoded.as_slice()).ok().map(Self);
        decoded.zeroize();
        seed
    }
}

impl std::fmt::Debug for HostSeed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HostSeed(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_derive_the_same_host_key() {
        let seed = HostSeed::new([7; SEED_BYTES]);
        let server = HostSeed::decode(&seed.encode()).expect("own encoding");
        assert_eq!(server.private_key().public_key().key_data(), seed.public_key().key_data());
    }

    #[test]
    fn other_lengths_and_alphabets_are_refused() {
        for text in ["", "AAAA", &"A".repeat(44), &"*".repeat(43)] {
            assert!(HostSeed::decode(text).is_none(), "{text:?}");
        }
    }

    #[test]
    fn debug_hides_the_seed() {
        assert_eq!(format!("{:?}", HostSeed::new([65; SEED_BYTES])), "HostSeed(..)");
    }
}

//! The one-time key: made for one run, in memory only, worth nothing afterwards.

use std::sync::Arc;

use rand::RngExt as _;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_key::Signature;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use zeroize::Zeroizing;

/// Bytes of an ed25519 private key (RFC 8032, section 5.1.5).
const SECRET_BYTES: usize = 32;

/// An ed25519 key pair. The private half is shared by clones, wiped with the last of them, and never shown by `Debug`.
#[derive(Clone)]
pub struct OneTimeKey(Arc<PrivateKey>);

impl OneTimeKey {
    /// Draws a key pair from the thread's cryptographic generator, which the operating system seeds.
    #[must_use]
    pub fn generate() -> Self {
        let secret: Zeroizing<[u8; SECRET_BYTES]> = Zeroizing::new(rand::rng().random());
        Self(Arc::new(PrivateKey::from(Ed25519Keypair::from_seed(&secret))))
    }

    /// The public half.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        self.0.public_key()
    }

    /// The public half as a line of `authorized_keys`, without comment or line end.
    #[must_use]
    pub fn authorized_keys_line(&self) -> String {
        // An ed25519 key always has an OpenSSH form: only foreign algorithms and oversized comments do not.
        self.public_key().to_openssh().unwrap_or_default()
    }

    /// Signs a message, as an SSH signature blob (RFC 8709, section 6). `None` when there is no memory for it.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let signature: Signature = self.0.try_sign(message).ok()?;
        Vec::<u8>::try_from(signature).ok()
    }

    /// The private half, for the login alone.
    pub(super) fn private_key(&self) -> Arc<PrivateKey> {
        Arc::clone(&self.0)
    }
}

impl std::fmt::Debug for OneTimeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OneTimeKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_its_own_key() {
        let (one, other) = (OneTimeKey::generate(), OneTimeKey::generate());
        assert_ne!(one.public_key(), other.public_key());
        assert_eq!(one.clone().public_key(), one.public_key());
    }

    #[test]
    fn the_line_has_a_type_and_a_key_and_nothing_else() {
        let key = OneTimeKey::generate();
        let line = key.authorized_keys_line();
        assert_eq!(line.split(' ').count(), 2, "{line}");
        assert!(line.starts_with("ssh-ed25519 AAAA"), "{line}");
        assert_eq!(&PublicKey::from_openssh(&line).expect("own line"), key.public_key());
    }

    #[test]
    fn debug_hides_it() {
        assert_eq!(format!("{:?}", OneTimeKey::generate()), "OneTimeKey(..)");
    }
}

//! Which host is trusted.

use russh::keys::{HashAlg, PublicKey};

use super::SshError;

/// What a server has to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKey {
    /// Exactly this key.
    Pinned(PublicKey),
    /// Any key: nobody on the network path is kept out.
    AcceptNew,
}

impl HostKey {
    /// Compares key material; comments do not count.
    ///
    /// # Errors
    /// [`SshError::HostKeyMismatch`].
    pub fn verify(&self, shown: &PublicKey) -> Result<(), SshError> {
        match self {
            Self::Pinned(expected) if expected.key_data() != shown.key_data() => Err(SshError::HostKeyMismatch {
                expected: expected.fingerprint(HashAlg::Sha256).to_string(),
                shown: shown.fingerprint(HashAlg::Sha256).to_string(),
            }),
            Self::Pinned(_) => Ok(()),
            Self::AcceptNew => {
                tracing::info!(fingerprint = %shown.fingerprint(HashAlg::Sha256), "host key accepted unseen");
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fargate_contract::HostSeed;

    fn key(seed: u8) -> PublicKey {
        HostSeed::new([seed; 32]).public_key()
    }

    #[test]
    fn a_pinned_host_has_one_key_whatever_its_comment() {
        let mut shown = key(1);
        shown.set_comment("root@container");
        assert_eq!(HostKey::Pinned(key(1)).verify(&shown), Ok(()));
        assert_eq!(HostKey::AcceptNew.verify(&key(2)), Ok(()));
    }

    #[test]
    fn a_mismatch_names_both_fingerprints() {
        let error = HostKey::Pinned(key(1)).verify(&key(2)).expect_err("another key").to_string();
        for seed in [1, 2] {
            assert!(error.contains(&key(seed).fingerprint(HashAlg::Sha256).to_string()), "{error}");
        }
    }
}

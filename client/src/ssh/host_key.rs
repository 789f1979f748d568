//! Which host is trusted.

use russh::keys::{HashAlg, PublicKey};

use super::SshError;

/// What a server has to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKey {
    /// Exactly this key, which was made for the run.
    Pinned(PublicKey),
    /// Exactly this key, which the container's log announced.
    Announced(PublicKey),
    /// Any key: nobody on the network path is kept out.
    AcceptNew,
}

impl HostKey {
    /// Compares key material; comments do not count.
    ///
    /// # Errors
    /// [`SshError::HostKeyMismatch`].
    pub fn verify(&self, shown: &PublicKey) -> Result<(), SshError> {
        let (expected, named_by) = match self {
            Self::Pinned(expected) => (expected, "this run was made for"),
            Self::Announced(expected) => (expected, "the container's log announced"),
            Self::AcceptNew => {
                tracing::info!(fingerprint = %shown.fingerprint(HashAlg::Sha256), "host key accepted unseen");
                return Ok(());
            }
        };
        if expected.key_data() == shown.key_data() {
            return Ok(());
        }
        Err(SshError::HostKeyMismatch {
            named_by,
            expected: expected.fingerprint(HashAlg::Sha256).to_string(),
            shown: shown.fingerprint(HashAlg::Sha256).to_string(),
        })
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
        assert_eq!(HostKey::Announced(key(1)).verify(&shown), Ok(()));
        assert_eq!(HostKey::AcceptNew.verify(&key(2)), Ok(()));
    }

    #[test]
    fn a_mismatch_names_both_fingerprints() {
        for (trusted, named_by) in [(HostKey::Pinned(key(1)), "this run"), (HostKey::Announced(key(1)), "log")] {
            let error = trusted.verify(&key(2)).expect_err("another key").to_string();
            assert!(error.contains(named_by), "{error}");
            for seed in [1, 2] {
                assert!(error.contains(&key(seed).fingerprint(HashAlg::Sha256).to_string()), "{error}");
            }
        }
    }
}

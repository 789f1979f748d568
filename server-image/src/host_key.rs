//! The host key: derived from the seed in the grant (pinned), or drawn here (the client reads it in our log).

use fargate_contract::Grant;
use russh::keys::{Algorithm, HashAlg, PrivateKey, PublicKey};

/// The key this host shows.
pub(crate) fn host_key(grant: &Grant) -> Result<PrivateKey, russh::keys::ssh_key::Error> {
    match &grant.host_seed {
        Some(seed) => Ok(seed.private_key()),
        None => PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519),
    }
}

/// A key's fingerprint as OpenSSH prints it.
pub(crate) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

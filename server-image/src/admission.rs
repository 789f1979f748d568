//! Who may log in: exactly one key, burnt after the login that used it unless the grant says otherwise.

use std::sync::atomic::{AtomicBool, Ordering};

use fargate_contract::{Connections, Grant};
use russh::keys::{Algorithm, PublicKey};
use tokio_util::sync::CancellationToken;

/// Why a login is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NotTheKey,
    Burnt,
    UnknownUser,
    NotAKey,
    Sha1,
}

impl Refusal {
    pub(crate) const fn reason(self) -> &'static str {
        match self {
            Self::NotTheKey => "not the authorized key",
            Self::Burnt => "the key was used already",
            Self::UnknownUser => "unknown user",
            Self::NotAKey => "not a public key login",
            Self::Sha1 => "a signature with SHA-1",
        }
    }
}

/// The one door, shared by all connections.
#[derive(Debug)]
pub(crate) struct Admission {
    key: PublicKey,
    connections: Connections,
    used: AtomicBool,
    /// Cancelled when nobody can log in any more.
    burnt: CancellationToken,
}

impl Admission {
    pub(crate) fn new(grant: &Grant) -> Self {
        Self {
            key: grant.authorized_key.clone(),
            connections: grant.connections,
            used: AtomicBool::new(false),
            burnt: CancellationToken::new(),
        }
    }

    /// The key that may log in.
    pub(crate) fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether a key could log in now with a signature of this algorithm. An RSA key signs with SHA-2 (RFC 8332) or not at all.
    pub(crate) fn check_signed(&self, offered: &PublicKey, algorithm: &Algorithm) -> Result<(), Refusal> {
        if *algorithm == (Algorithm::Rsa { hash: None }) { Err(Refusal::Sha1) } else { self.check(offered) }
    }

    /// Whether a key could log in now. Comments do not count.
    pub(crate) fn check(&self, offered: &PublicKey) -> Result<(), Refusal> {
        if offered.key_data() != self.key.key_data() {
            Err(Refusal::NotTheKey)
        } else if self.used.load(Ordering::Acquire) {
            Err(Refusal::Burnt)
        } else {
            Ok(())
        }
    }

    /// Logs a key in whose possession was proven; of two at once, one wins. `admitted` runs before the other connections learn
    /// that the key is burnt.
    pub(crate) fn admit(&self, proven: &PublicKey, admitted: impl FnOnce()) -> Result<(), Refusal> {
        self.check(proven)?;
        let once = self.connections == Connections::Once;
        if once && self.used.swap(true, Ordering::AcqRel) {
            return Err(Refusal::Burnt);
        }
        admitted();
        if once {
            self.burnt.cancel();
        }
        Ok(())
    }

    /// Waits until nobody can log in any more.
    pub(crate) async fn burnt(&self) {
        self.burnt.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use fargate_contract::HostSeed;

    use super::*;

    #[test]
    fn one_key_once() {
        let (key, other) = (HostSeed::new([1; 32]).public_key(), HostSeed::new([2; 32]).public_key());
        let admission = Admission::new(&Grant::new(key.clone()));
        assert_eq!(admission.admit(&other, || ()), Err(Refusal::NotTheKey));
        assert_eq!(admission.check(&key), Ok(()), "another's attempt burns nothing");
        assert_eq!(admission.admit(&key, || ()), Ok(()));
        assert_eq!((admission.check(&key), admission.admit(&key, || ())), (Err(Refusal::Burnt), Err(Refusal::Burnt)));
        assert_eq!(admission.admit(&other, || ()), Err(Refusal::NotTheKey));
    }

    #[test]
    fn many_times_where_granted() {
        let key = HostSeed::new([1; 32]).public_key();
        let admission = Admission::new(&Grant { connections: Connections::Many, ..Grant::new(key.clone()) });
        assert_eq!((admission.admit(&key, || ()), admission.admit(&key, || ())), (Ok(()), Ok(())));
    }
}

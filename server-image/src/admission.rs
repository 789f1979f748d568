//! Who may log in: exactly one key, burnt after the login that used it unless the grant says otherwise.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

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

/// What a login is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// Sessions of its own.
    Full,
    /// Nothing but resuming a session of the login that used the key.
    Resuming,
}

/// The one door, shared by all connections.
#[derive(Debug)]
pub(crate) struct Admission {
    key: PublicKey,
    connections: Connections,
    used: AtomicBool,
    /// Sessions that their client may ask for again.
    resumable: AtomicUsize,
    /// Cancelled when nobody can log in any more.
    burnt: CancellationToken,
}

impl Admission {
    pub(crate) fn new(grant: &Grant) -> Self {
        Self {
            key: grant.authorized_key.clone(),
            connections: grant.connections,
            used: AtomicBool::new(false),
            resumable: AtomicUsize::new(0),
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
        } else if self.used.load(Ordering::Acquire) && self.resumable.load(Ordering::Acquire) == 0 {
            Err(Refusal::Burnt)
        } else {
            Ok(())
        }
    }

    /// Logs a key in whose possession was proven; of two at once, one wins. `admitted` runs, for a full entry, before the other
    /// connections learn that the key is burnt. With `may_resume` the door stays until [`Admission::burn`]: the client may make
    /// its session one that it can ask for again.
    pub(crate) fn admit(
        &self,
        proven: &PublicKey,
        may_resume: bool,
        admitted: impl FnOnce(),
    ) -> Result<Entry, Refusal> {
        self.check(proven)?;
        let once = self.connections == Connections::Once;
        if once && self.used.swap(true, Ordering::AcqRel) {
            let resumable = self.resumable.load(Ordering::Acquire) > 0;
            return if resumable { Ok(Entry::Resuming) } else { Err(Refusal::Burnt) };
        }
        admitted();
        if !may_resume {
            self.burn();
        }
        Ok(Entry::Full)
    }

    /// Closes the door behind the one login, unless a session is left that may be asked for again.
    pub(crate) fn burn(&self) {
        let over = self.used.load(Ordering::Acquire) && self.resumable.load(Ordering::Acquire) == 0;
        if over && self.connections == Connections::Once {
            self.burnt.cancel();
        }
    }

    /// A session begins that its client may ask for again. To be followed by [`Admission::release`].
    pub(crate) fn hold(&self) {
        self.resumable.fetch_add(1, Ordering::AcqRel);
    }

    /// Such a session has ended.
    pub(crate) fn release(&self) {
        self.resumable.fetch_sub(1, Ordering::AcqRel);
        self.burn();
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
        let admit = |key| admission.admit(key, false, || ());
        assert_eq!(admit(&other), Err(Refusal::NotTheKey));
        assert_eq!(admission.check(&key), Ok(()), "another's attempt burns nothing");
        assert_eq!(admit(&key), Ok(Entry::Full));
        assert!(admission.burnt.is_cancelled());
        assert_eq!((admission.check(&key), admit(&key)), (Err(Refusal::Burnt), Err(Refusal::Burnt)));
        assert_eq!(admit(&other), Err(Refusal::NotTheKey));
    }

    #[test]
    fn a_used_key_resumes_while_there_is_something_to_resume_and_does_nothing_else() {
        let (key, other) = (HostSeed::new([1; 32]).public_key(), HostSeed::new([2; 32]).public_key());
        let admission = Admission::new(&Grant::new(key.clone()));
        let admit = |key| admission.admit(key, true, || ());
        assert_eq!(admit(&key), Ok(Entry::Full));
        assert_eq!((admission.check(&key), admit(&key)), (Err(Refusal::Burnt), Err(Refusal::Burnt)));
        admission.hold();
        admission.burn();
        assert!(!admission.burnt.is_cancelled(), "its client may come again");
        assert_eq!((admission.check(&key), admit(&key)), (Ok(()), Ok(Entry::Resuming)));
        assert_eq!(admit(&other), Err(Refusal::NotTheKey));
        admission.release();
        assert_eq!((admission.check(&key), admit(&key)), (Err(Refusal::Burnt), Err(Refusal::Burnt)));
        assert!(admission.burnt.is_cancelled());
    }

    #[test]
    fn a_key_that_can_resume_nothing_is_burnt_as_ever() {
        let key = HostSeed::new([1; 32]).public_key();
        let admission = Admission::new(&Grant::new(key.clone()));
        assert_eq!(admission.admit(&key, true, || ()), Ok(Entry::Full));
        assert!(!admission.burnt.is_cancelled());
        admission.burn();
        assert!(admission.burnt.is_cancelled());
    }

    #[test]
    fn many_times_where_granted() {
        let key = HostSeed::new([1; 32]).public_key();
        let admission = Admission::new(&Grant { connections: Connections::Many, ..Grant::new(key.clone()) });
        let admit = || admission.admit(&key, true, || ());
        assert_eq!((admit(), admit()), (Ok(Entry::Full), Ok(Entry::Full)));
        admission.burn();
        assert!(!admission.burnt.is_cancelled());
    }
}

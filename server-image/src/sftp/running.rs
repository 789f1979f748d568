//! The SHA-256 of what passes through an open file from its beginning on, so that nothing has to be read again at the end.

use sha2::{Digest as _, Sha256};

/// The digest of a file's first bytes, as they went through its handle.
#[derive(Clone, Debug, Default)]
pub(super) struct Running {
    /// In bytes.
    length: u64,
    hash: Sha256,
}

impl Running {
    /// How many bytes it is of.
    pub(super) const fn length(&self) -> u64 {
        self.length
    }

    /// Takes what was read at this offset. Whether it still is a digest of all that comes before: what was read ahead of it is missed.
    #[must_use]
    pub(super) fn read(&mut self, offset: u64, data: &[u8]) -> bool {
        if offset == self.length {
            self.add(data);
        }
        offset <= self.length
    }

    /// Takes what was written at this offset. Whether it still is a digest: not of what was changed behind its back.
    #[must_use]
    pub(super) fn written(&mut self, offset: u64, data: &[u8]) -> bool {
        let is_next = offset == self.length;
        if is_next {
            self.add(data);
        }
        is_next
    }

    /// Takes the bytes behind those that it has.
    pub(super) fn add(&mut self, data: &[u8]) {
        self.hash.update(data);
        self.length += data.len() as u64;
    }

    /// The digest as it stands; it can go on from there.
    pub(super) fn digest(&self) -> Vec<u8> {
        self.hash.clone().finalize().to_vec()
    }
}

//! What names something to those alone who know it: 128 random bits, shown by nothing.

use subtle::ConstantTimeEq as _;

/// 128 random bits that the client draws to name one thing. Worth nothing without the run's key, and never shown by `Debug`.
#[derive(Clone)]
pub struct SecretId(u128);

impl SecretId {
    /// Takes bits that the caller drew from a cryptographic source of randomness.
    #[must_use]
    pub const fn new(bits: u128) -> Self {
        Self(bits)
    }

    /// The id as 32 hexadecimal digits.
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{:032x}", self.0)
    }

    /// Reads what [`SecretId::encode`] wrote. `None` when it is not exactly that.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let digits = text.len() == 32 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        digits.then(|| u128::from_str_radix(text, 16).ok()).flatten().map(Self)
    }

    /// Whether both are the same, in a time that does not tell how much of them is.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.to_be_bytes().ct_eq(&other.0.to_be_bytes()).into()
    }
}

impl std::fmt::Debug for SecretId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretId(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let id = SecretId::new(0x0123_4567_89ab_cdef);
        assert!(SecretId::decode(&id.encode()).expect("own encoding").is(&id));
        assert_eq!(id.encode().len(), 32, "leading zeros count");
    }

    #[test]
    fn another_id_is_another() {
        for bit in 0..128 {
            assert!(!SecretId::new(5).is(&SecretId::new(5 ^ (1 << bit))), "{bit}");
        }
    }
}

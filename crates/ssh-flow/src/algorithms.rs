//! The algorithms that both ends offer: post-quantum key exchange first, strict key exchange, nothing that ssh-audit warns of
//! but the classical curve that OpenSSH before 9.9 needs.

use std::borrow::Cow;

use russh::keys::Algorithm;
use russh::{Preferred, cipher, compression, kex, mac};

/// Key exchanges, then the markers of RFC 8308 (extension negotiation) and of strict key exchange (against Terrapin).
const KEX: &[kex::Name] = &[
    kex::MLKEM768X25519_SHA256,
    kex::CURVE25519,
    kex::CURVE25519_PRE_RFC_8731,
    kex::EXTENSION_SUPPORT_AS_CLIENT,
    kex::EXTENSION_SUPPORT_AS_SERVER,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
    kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER,
];

/// Authenticated ciphers only; AES-128-GCM measured fastest.
const CIPHERS: &[cipher::Name] = &[cipher::AES_128_GCM, cipher::AES_256_GCM, cipher::CHACHA20_POLY1305];

/// The ciphers above authenticate by themselves; a peer still wants a list.
const MACS: &[mac::Name] = &[mac::HMAC_SHA512_ETM, mac::HMAC_SHA256_ETM];

/// russh's `preferred`, for the client and for the server.
#[must_use]
pub fn preferred() -> Preferred {
    Preferred {
        kex: Cow::Borrowed(KEX),
        key: Cow::Borrowed(&[Algorithm::Ed25519]),
        host_key_certificates: Cow::Borrowed(&[]),
        cipher: Cow::Borrowed(CIPHERS),
        mac: Cow::Borrowed(MACS),
        compression: Cow::Borrowed(&[compression::NONE]),
    }
}

/// The same without the exchanges that a quantum computer could break: for ends that need no others.
#[must_use]
pub fn post_quantum(offered: Preferred) -> Preferred {
    let classical = [kex::CURVE25519, kex::CURVE25519_PRE_RFC_8731];
    let kex = offered.kex.iter().copied().filter(|name| !classical.contains(name)).collect();
    Preferred { kex, ..offered }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of the table in SECURITY.md that begin with this word: the names in their second column, in its order.
    fn table(of: &str) -> Vec<String> {
        let text = include_str!("../../../SECURITY.md");
        let row = text.lines().find_map(|line| line.strip_prefix(&format!("| {of} |"))).unwrap_or_default();
        let names = row.split('|').next().unwrap_or_default();
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    fn names<T: AsRef<str>>(offered: &[T]) -> Vec<String> {
        // Markers are no exchanges.
        let markers = ["ext-info-", "kex-strict-"];
        let names = offered.iter().map(AsRef::as_ref).filter(|name| !markers.iter().any(|mark| name.starts_with(mark)));
        names.map(str::to_owned).collect()
    }

    #[test]
    fn the_table_in_security_md_is_what_is_offered() {
        let offered = preferred();
        assert_eq!(table("key exchange"), names(&offered.kex));
        assert_eq!(table("key exchange, between our own ends"), names(&post_quantum(preferred()).kex));
        assert_eq!(table("host key"), offered.key.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(table("cipher"), names(&offered.cipher));
        assert_eq!(table("MAC"), names(&offered.mac));
        assert_eq!(table("compression"), names(&offered.compression));
    }

    #[test]
    fn the_exchange_that_resists_quantum_computers_comes_first_and_strict_key_exchange_stays() {
        for offered in [preferred(), post_quantum(preferred())] {
            assert_eq!(offered.kex[0], kex::MLKEM768X25519_SHA256);
            for marker in [kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT, kex::EXTENSION_OPENSSH_STRICT_KEX_AS_SERVER] {
                assert!(offered.kex.contains(&marker));
            }
        }
    }
}

//! What the fuzz target `grant` and the test over its seeds hold the grant's decoding to. Compiled for these two alone.

use crate::grant::VARIABLES;
use crate::{Grant, GrantError};

/// Longest message that a refused grant may cause: it goes into the log, and names the variable, not what it held.
const MESSAGE_MAX: usize = 256;

/// Reads `NAME=value` records that NUL bytes end as a container's environment.
///
/// # Panics
/// When the decoding breaks a promise: what was accepted is written and read back as the same grant; what was refused is told
/// in few words.
pub fn grant(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let records: Vec<(&str, &str)> = text.split('\0').filter_map(|record| record.split_once('=')).collect();
    match Grant::from_env(|name| value_of(&records, name)) {
        Ok(grant) => assert_kept(&grant),
        Err(error) => assert_told(&error),
    }
}

fn value_of(records: &[(&str, &str)], name: &str) -> Option<String> {
    records.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
}

fn assert_kept(grant: &Grant) {
    // A key that was read can be written.
    let env = grant.to_env().expect("the encoding of an accepted grant");
    assert!(env.iter().all(|(name, _)| VARIABLES.contains(name)), "a variable that is never removed: {env:?}");
    let back = Grant::from_env(|name| env.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()));
    // What we wrote ourselves.
    let back = back.expect("our own encoding");
    assert_eq!(format!("{back:?}"), format!("{grant:?}"));
    let seed = |grant: &Grant| grant.host_seed.as_ref().map(|seed| seed.encode());
    assert_eq!(seed(&back), seed(grant), "the host key");
    assert!(!grant.login_timeout.is_zero() && !grant.max_lifetime.is_zero() && grant.port > 0);
}

fn assert_told(error: &GrantError) {
    let told = error.to_string();
    assert!(told.len() <= MESSAGE_MAX, "{} bytes: {told}", told.len());
    assert!(VARIABLES.iter().any(|name| told.starts_with(name)), "no variable named: {told}");
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_seed_holds() {
        let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/grant");
        let mut count = 0;
        for seed in std::fs::read_dir(seeds).expect("the seeds").flatten() {
            super::grant(&std::fs::read(seed.path()).expect("a seed"));
            count += 1;
        }
        assert!(count >= 5, "{count} seeds");
    }
}

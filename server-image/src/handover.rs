//! The grant's way from `init` to `serve`: its variables as `NAME=value` records, each ended by NUL, on standard input.

use fargate_contract::{Grant, GrantError, grant::VARIABLES};
use zeroize::Zeroizing;

use crate::sys;

/// Bytes of grant that are handed over at most: many times what RunTask's overrides can carry, and what a pipe holds.
pub(crate) const MAX_BYTES: usize = 64 * 1024;

/// Takes the grant's variables out of the process's environment, so that nobody can read them there afterwards.
pub(crate) fn take() -> Zeroizing<Vec<u8>> {
    sys::take_variables(&VARIABLES, MAX_BYTES)
}

/// Reads the grant from the records.
pub(crate) fn grant(records: &[u8]) -> Result<Grant, GrantError> {
    Grant::from_env(|name| {
        records
            .split(|byte| *byte == 0)
            .filter_map(|record| record.strip_prefix(name.as_bytes()))
            .find_map(|rest| rest.strip_prefix(b"="))
            .map(|value| String::from_utf8_lossy(value).into_owned())
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use fargate_contract::HostSeed;

    use super::*;

    #[test]
    fn records_are_read_back() {
        let mut grant = Grant::new(HostSeed::new([1; 32]).public_key());
        grant.port = 2222;
        grant.login_timeout = Duration::from_millis(1234);
        let env = grant.to_env().expect("an ed25519 key");
        let records: String = env.iter().map(|(name, value)| format!("{name}={value}\0")).collect();
        let back = super::grant(records.as_bytes()).expect("own records");
        assert_eq!((back.port, back.login_timeout), (2222, Duration::from_millis(1234)));
        assert_eq!(super::grant(b"").expect_err("no key"), GrantError::NoKey);
    }
}

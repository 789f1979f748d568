//! What the fuzz targets `handover`, `openssh` and `sftp` and the test over their seeds hold this crate's parsers to. Compiled for
//! these alone.

use fargate_contract::Grant;

use crate::handover;

pub use crate::openssh::fuzz::{log_line, openssh};
pub use crate::sftp::fuzz::sftp;

/// Reads records as `serve` gets them from `init`.
///
/// # Panics
/// When they mean another grant than the same variables of an environment, whose first value counts.
pub fn handover(data: &[u8]) {
    let told = |grant: Result<Grant, _>| {
        grant.map_or_else(|error: fargate_contract::GrantError| error.to_string(), |grant| format!("{grant:?}"))
    };
    let records = handover::grant(data);
    let variables: Vec<(String, String)> = data
        .split(|byte| *byte == 0)
        .filter_map(|record| {
            let end = record.iter().position(|byte| *byte == b'=')?;
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            Some((text(&record[..end]), text(&record[end + 1..])))
        })
        .collect();
    let environment =
        Grant::from_env(|name| variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()));
    assert_eq!(told(records), told(environment));
}

#[cfg(test)]
mod tests {
    fn each_seed(target: &str, holds: fn(&[u8])) {
        let seeds = format!("{}/../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let mut count = 0;
        for seed in std::fs::read_dir(seeds).expect("the seeds").flatten() {
            holds(&std::fs::read(seed.path()).expect("a seed"));
            count += 1;
        }
        assert!(count >= 3, "{count} seeds of {target}");
    }

    #[test]
    fn every_seed_holds() {
        each_seed("handover", super::handover);
        each_seed("grant", super::handover);
        each_seed("log_line", super::log_line);
        each_seed("openssh", super::openssh);
        each_seed("sftp", super::sftp);
    }
}

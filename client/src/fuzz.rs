//! What the fuzz targets `socks` and `sftp_reply` and the test over their seeds hold this crate's parsers to. Compiled for these alone.

pub use crate::files::fuzz::sftp_reply;
pub use crate::forward::fuzz::socks;

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
        each_seed("socks", super::socks);
        each_seed("sftp_reply", super::sftp_reply);
    }
}

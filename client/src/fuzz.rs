//! What this crate's parsers are held to by the test over the seeds of the fuzz targets `socks` and `sftp_reply`, which have the same files
//! without the rest of the crate.

pub(crate) use crate::files::fuzz::sftp_reply;
pub(crate) use crate::forward::fuzz::socks;

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

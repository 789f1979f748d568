//! Requests for files, and the reports about them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fargate_init::fuzz::sftp(data));

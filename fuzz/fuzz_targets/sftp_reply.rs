//! Answers of a server of files.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fargate_login::fuzz::sftp_reply(data));

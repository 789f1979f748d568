//! What SOCKS clients say.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fargate_login::fuzz::socks(data));

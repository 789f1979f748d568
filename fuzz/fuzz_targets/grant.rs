//! The grant out of any environment.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fargate_contract::fuzz::grant(data));

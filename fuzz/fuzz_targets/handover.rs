//! The records that `init` hands to `serve`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fargate_init::fuzz::handover(data));

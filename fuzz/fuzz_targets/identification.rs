//! The search for a peer's identification string.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_flow::fuzz::identification(data));

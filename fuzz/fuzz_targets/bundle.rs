//! Frames of a bundle, as one link brings them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_flow::fuzz::bundle(data));

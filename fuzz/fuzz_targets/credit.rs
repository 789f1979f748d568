//! Credit messages, and the books that are kept of them.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| ssh_flow::fuzz::credit(data));
